"""Pseudo interfaces and network applications in the API: paths, bodies, answers, refusals."""

from __future__ import annotations

from ipaddress import ip_address
from types import SimpleNamespace

import pytest

from lbctl.control.advice import warnings
from lbctl.control.nic_keeper import PSEUDO
from lbctl.control.program_state import AppState, PortState
from lbctl.shared.abi import Verdict
from lbctl.shared.counters import Count
from lbctl.shared.routing import NextHop, NextHopState
from lbctl.switching.nics import AttachedNic
from tests.unit.control.fakes import VIP
from tests.unit.control.test_api_refusals import refusal

CONTROL_VIP = ip_address("203.0.113.1")
INNER = AttachedNic("lb0-s", 70, "native", "938c70b5", 56, bytes(6))
LB0 = {"name": "lb0", "addresses": ["203.0.113.1/32"]}
VOIP = {"name": "voip", "vips": ["203.0.113.20:5060/udp"]}
NOW = 1735787045.0
PORT = PortState("eth0", 3, zero_copy=True, received=7, rx_ring_full=2)
RUNS = AppState(4711, "root", NOW, (PORT,), exits=1, hung_count=2)


@pytest.fixture(autouse=True)
def _no_devices(monkeypatch):
    """What interfaces this machine has is not asked."""
    monkeypatch.setattr("lbctl.pseudo.device.find", lambda _owner, _name: None)


@pytest.fixture
def programs(controller):
    """What runs: a mapping that a test fills."""
    states = {}
    controller.programs = SimpleNamespace(running=states.get, follow=lambda _configuration: None)
    return states


def test_a_pseudo_interface_lives(client, controller):
    """Made, changed, shown, removed: each a generation with its verb."""
    assert client.get("/v1/pseudo").json() == []
    assert client.post("/v1/pseudo", json=LB0).json() == {
        **LB0,
        "mtu": 1500,
        "inner_end": "lb0-s",
        "state": "missing",
        "packets_in": 0,
        "packets_out": 0,
        "verdicts": {},
        "next": "curl --interface 203.0.113.1 http://ADDRESS/",
    }
    more = {"add_addresses": ["203.0.113.2"], "remove_addresses": ["203.0.113.1"], "mtu": 1400}
    changed = client.patch("/v1/pseudo/lb0", json=more).json()
    assert changed["addresses"] == ["203.0.113.2/32"]
    assert controller.configuration.pseudo[0].mtu == 1400
    client.patch("/v1/pseudo/lb0", json={"mtu": None})
    assert controller.configuration.pseudo[0].mtu is None
    assert client.get("/v1/pseudo/lb0").json() in client.get("/v1/pseudo").json()
    gone = client.delete("/v1/pseudo/lb0").json()

    assert gone == {"generation": 5, "changes": ["- pseudo lb0"]}
    assert [g["what"] for g in client.get("/v1/generations").json()][:4] == [
        "pseudo remove lb0",
        "pseudo set lb0",
        "pseudo set lb0",
        "pseudo add lb0",
    ]


def test_what_went_by_a_pseudo_interface(client, controller):
    """In: for its addresses, by any NIC.  Out: what the switch's end of it got from programs."""
    client.post("/v1/pseudo", json=LB0)
    controller.dataplane.nics["lb0-s"] = INNER
    controller.dataplane.counts = [
        Count(2, Verdict.TO_PSEUDO, 7, 700),
        Count(2, Verdict.TO_BACKEND, 9, 900),
        Count(56, Verdict.FROM_PSEUDO, 5, 500),
        Count(56, Verdict.TO_BACKEND_NEW, 1, 60),
    ]
    found = client.get("/v1/pseudo/lb0").json()

    assert (found["state"], found["packets_in"], found["packets_out"]) == ("up", 7, 5)
    assert found["verdicts"] == {"FROM_PSEUDO": 5, "TO_BACKEND_NEW": 1}
    assert client.get("/v1/status").json()["pseudo"] == [found]


def test_pseudo_interfaces_share_a_counter(client):
    """The verdict does not say for which of them a packet was: no number is better than a wrong."""
    client.post("/v1/pseudo", json=LB0)
    client.post("/v1/pseudo", json={"name": "lb1", "addresses": ["203.0.113.9"]})

    assert [one["packets_in"] for one in client.get("/v1/pseudo").json()] == [None, None]


@pytest.mark.parametrize(("known", "wanted", "shown"), [(9000, None, 9000), (0, 1400, 1400)])
def test_the_mtu_is_the_one_that_holds(client, controller, known, wanted, shown):
    """That of the way to it; until there is one, the one that is wanted."""
    client.post("/v1/pseudo", json={**LB0, "mtu": wanted})
    (hop,) = controller.dataplane.routing.hosts.values()
    controller.dataplane.routing.hops[hop] = NextHop(
        56, bytes(6), bytes(6), known, NextHopState.RESOLVED
    )

    assert client.get("/v1/pseudo/lb0").json()["mtu"] == shown


def test_an_app_that_nobody_runs(client):
    """All that is configured, and what to type."""
    assert client.post("/v1/apps", json=VOIP).json() == {
        **VOIP,
        "nics": [],
        "queues": [],
        "user": "root",
        "on_exit": "reset",
        "frames": 8192,
        "frame_size": 2048,
        "hung_after": 5,
        "state": "stopped",
        "pid": None,
        "run_by": None,
        "since": None,
        "exits": 0,
        "hung_count": 0,
        "packets": 0,
        "verdicts": {},
        "ports": [],
        "next": 'sudo -u root python3 PROGRAM  # that has netif.open("voip")',
    }


def test_an_app_that_runs(client, controller, programs):
    """Who runs it, its ports, and its packets, which packets count by service."""
    client.post("/v1/apps", json=VOIP)
    programs["voip"] = RUNS
    reasons, _ = controller.dataplane.reasons
    reasons[0, Verdict.TO_APP], reasons[0, Verdict.DROP_APP_GONE] = 40, 2
    found = client.get("/v1/apps/voip").json()

    assert (found["state"], found["pid"], found["run_by"]) == ("running", 4711, "root")
    assert (found["since"], found["exits"], found["hung_count"]) == ("2025-01-02T03:04:05Z", 1, 2)
    assert (found["packets"], found["verdicts"]) == (40, {"TO_APP": 40, "DROP_APP_GONE": 2})
    assert found["next"] is None
    (port,) = found["ports"]
    assert {key: value for key, value in port.items() if value} == {
        "nic": "eth0",
        "queue": 3,
        "zero_copy": True,
        "received": 7,
        "rx_ring_full": 2,
    }
    assert client.get("/v1/status").json()["apps"] == client.get("/v1/apps").json() == [found]


@pytest.mark.parametrize(
    ("state", "shown", "said"),
    [
        (
            AppState(4711, "root", NOW, (PORT,), hung=True),
            "hung",
            "ps -o stat,wchan:20,cmd -p 4711",
        ),
        (AppState(None, "root", NOW, exits=3), "stopped", "sudo -u '#1000' python3 PROGRAM"),
    ],
)
def test_an_app_in_trouble(client, programs, state, shown, said):
    """What it has lost is not shown as its own; how often it ended stays."""
    client.post("/v1/apps", json={**VOIP, "user": "1000"})
    programs["voip"] = state
    found = client.get("/v1/apps/voip").json()

    assert (found["state"], found["pid"], found["exits"]) == (shown, state.pid, state.exits)
    assert found["next"].startswith(said)
    assert len(found["ports"]) == len(state.ports)


def test_an_app_is_changed_and_removed(client, controller):
    """PATCH names what changes; a list that is empty is no list that is not given."""
    client.post("/v1/apps", json={**VOIP, "nics": ["eth0"], "queues": [1]})
    change = {"add_vips": ["[2001:db8::20]:5060/udp"], "nics": [], "on_exit": "kernel"}
    after = client.patch("/v1/apps/voip", json=change).json()

    assert after["vips"] == [*VOIP["vips"], "[2001:db8::20]:5060/udp"]
    assert (after["nics"], after["queues"], after["on_exit"]) == ([], [1], "kernel")
    assert client.delete("/v1/apps/voip").json()["changes"] == ["- app voip"]
    assert controller.configuration.apps == ()


def test_a_configuration_comes_back_as_it_was(client, controller):
    """What GET gives, POST takes: nothing changes."""
    client.post("/v1/pseudo", json={**LB0, "mtu": 1400})
    client.post("/v1/apps", json={**VOIP, "hung_after": 0.5, "user": "0"})
    before = controller.configuration
    found = client.get("/v1/configuration").json()

    assert client.post("/v1/configuration", json=found).json()["changes"] == []
    assert client.post("/v1/configuration/diff", json=found).json() == {"changes": []}
    assert controller.configuration == before


REFUSED = {
    "no such app": ("GET", "/v1/apps/nope", None, 404, 3, "there is no app 'nope'"),
    "no such app to change": ("PATCH", "/v1/apps/nope", {}, 404, 3, "there is no app 'nope'"),
    "no such pseudo interface": (
        *("GET", "/v1/pseudo/nope", None, 404, 3),
        "there is no pseudo interface 'nope'; see `lbctl pseudo list`",
    ),
    "an app that exists": ("POST", "/v1/apps", VOIP, 409, 4, "app 'voip' exists already"),
    "a VIP of an app": (
        *("POST", "/v1/apps", {**VOIP, "name": "rival"}, 409, 4),
        "VIP 203.0.113.20:5060/udp belongs to app 'voip'",
    ),
    "a VIP of an app for a pool": (
        *("POST", "/v1/pools/web/vips", {"vip": VOIP["vips"][0]}, 409, 4),
        "VIP 203.0.113.20:5060/udp belongs to app 'voip'",
    ),
    "a VIP of a pool": (
        *("PATCH", "/v1/apps/voip", {"add_vips": [str(VIP)]}, 409, 4),
        "VIP 203.0.113.10:80/tcp belongs to pool 'web'",
    ),
    "a user whom nobody knows": (
        *("PATCH", "/v1/apps/voip", {"user": "no-such-user"}, 422, 1),
        "app 'voip': there is no user 'no-such-user' here",
    ),
    "a NIC that is not attached": (
        *("PATCH", "/v1/apps/voip", {"nics": ["eth1"]}, 422, 1),
        "app 'voip': NIC 'eth1' is not attached; run `lbctl attach eth1` first",
    ),
    "a wrong number": (
        *("PATCH", "/v1/apps/voip", {"frames": 3}, 400, 2),
        "frames: must be greater than or equal to 64, not 3",
    ),
    "no address": ("POST", "/v1/pseudo", {"name": "lb1"}, 400, 2, "addresses: is missing"),
    "no address any more": (
        *("PATCH", "/v1/pseudo/lb0", {"addresses": []}, 409, 4),
        "would have no address left; remove it with `lbctl pseudo remove lb0`",
    ),
    "a long name": (
        *("POST", "/v1/pseudo", {"name": "a" * 14, "addresses": ["203.0.113.9"]}, 400, 2),
        "name: 'aaaaaaaaaaaaaa' is not a name; use at most 13 letters",
    ),
    "a name with a blank": (
        *("POST", "/v1/apps", {**VOIP, "name": "a b"}, 400, 2),
        "name: 'a b' is not a name; use at most 63 letters, digits, '.', '_' and '-'",
    ),
    "to attach a pseudo interface": (
        *("POST", "/v1/nics", {"name": "lb0"}, 409, 4),
        "NIC 'lb0' belongs to pseudo interface 'lb0'",
    ),
    "to detach an app's NIC": (
        *("DELETE", "/v1/nics/eth0", None, 409, 4),
        "NIC 'eth0' is one that app 'voip' receives from",
    ),
    "a file with a user whom nobody knows": (
        *("POST", "/v1/configuration", {"apps": [{**VOIP, "user": "no-such-user"}]}, 422, 1),
        "there is no user 'no-such-user' here",
    ),
    "the same, to compare": (
        *("POST", "/v1/configuration/diff", {"apps": [{**VOIP, "user": "no-such-user"}]}, 422, 1),
        "there is no user 'no-such-user' here",
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_refusals(served, controller, links, case):
    """One form, the exit status for the command line, and nothing was changed."""
    method, path, body, status, code, text = case
    links.indices["lb0"] = 71
    served.post("/v1/apps", json={**VOIP, "nics": ["eth0"]})
    served.post("/v1/pseudo", json=LB0)
    before = controller.current

    found = refusal(served.request(method, path, json=body))

    assert found[:2] == (status, code)
    assert text in found[2]
    assert controller.current == before


def test_vips_and_counters_of_an_app(served, controller):
    """Where those of pools are, with the application for the pool."""
    served.post("/v1/apps", json=VOIP)
    reasons = controller.dataplane.reasons[0]
    reasons[1, Verdict.TO_APP], reasons[1, Verdict.DROP_APP_GONE] = 40, 2
    owner = {"pool": None, "app": "voip", "vip": VOIP["vips"][0]}

    assert served.get("/v1/vips").json()[1:] == [{**owner, "connections": None}]
    assert served.get("/v1/stats").json()["services"][1:] == [
        {**owner, "verdicts": {"TO_APP": 40, "DROP_APP_GONE": 2}}
    ]


def test_warnings(client, controller, links, programs):
    """What does not do its work is named, with what to type; what the kernel has is in no need."""
    client.post("/v1/pseudo", json=LB0)
    client.post("/v1/apps", json=VOIP)
    fallback = {"name": "dns", "vips": ["203.0.113.53:53/udp"], "on_exit": "kernel"}
    client.post("/v1/apps", json=fallback)
    controller.nics.refusals[PSEUDO] = "the kernel is out of memory"

    assert warnings(controller) == (
        "pseudo interface lb0 is missing: the kernel is out of memory",
        (
            "app voip does not run, so that nobody serves its VIPs; "
            "`lbctl app show voip` says how to start it"
        ),
    )
    controller.dataplane.nics["lb0-s"] = INNER
    links.addresses.add(CONTROL_VIP)
    programs["voip"] = AppState(4711, "root", NOW, hung=True)
    (hangs,) = warnings(controller)
    assert hangs.startswith("app voip hangs: it does not look at packets that wait for it; see")
    programs["voip"] = RUNS
    assert warnings(controller) == ()


def test_an_address_that_is_not_there(client, controller):
    """The cure is at the interface: no route to one of our own addresses would help."""
    client.post("/v1/pseudo", json=LB0)
    controller.dataplane.nics["lb0-s"] = INNER
    unreachable = controller.routing.unreachable
    unreachable[CONTROL_VIP] = "203.0.113.1: no route leads to it; add one"
    unreachable[ip_address("10.0.1.11")] = other = "10.0.1.11: it does not answer"
    lost = (
        "pseudo interface lb0 has lost its address 203.0.113.1; "
        "run `ip address add 203.0.113.1/32 dev lb0`"
    )
    down = "pseudo interface lb0 is down; run `ip link set lb0 up; ip link set lb0-s up`"

    assert warnings(controller) == (lost, other)
    controller.links.down.add("lb0")
    assert warnings(controller) == (down, other)
