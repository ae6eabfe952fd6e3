"""
The inspection of a whole switch, with a survey that says what a test wants.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_interface

import numpy as np
import pytest

from lbctl.control.preflight import inspection
from lbctl.control.preflight.facts import Answer, Link, Nic, Way
from lbctl.control.preflight.inspection import NIC_CHECKS, SAID, Preflight, inspect, standing
from lbctl.control.preflight.program_checks import APP_CHECKS, PSEUDO_CHECKS
from lbctl.control.preflight.program_facts import Pseudo
from lbctl.control.preflight.survey import Surroundings
from lbctl.model import State
from lbctl.shared.abi import NextHopState, Verdict
from lbctl.shared.routing import NextHop
from tests.unit.control import fakes
from tests.unit.control.preflight.made import ALL, MACHINE

ONE = fakes.ONE.address
STRANGER, OTHER = ip_address("192.0.2.1"), ip_address("198.51.100.1")


class Survey:
    """Finds that all is well, until a test says otherwise; *looks* counts."""

    def __init__(self):
        self.known = MACHINE
        self.spoilt = {}
        self.missing = set()
        self.looks = 0
        self.around = Surroundings({}, frozenset(), frozenset(), {})

    def machine(self, gateway_of):
        """The machine."""
        return replace(self.known, gateway_of=gateway_of)

    def nics(self, wanted):
        """The NICs."""
        self.looks += 1
        return [self._nic(asked) for asked in wanted]

    def _nic(self, asked):
        link = Link(asked.name, 2, up=True, carrier=True, mtu=1500)
        nic = Nic(
            asked.name,
            None if asked.name in self.missing else link,
            asked.attached,
            asked.configured,
            features=ALL,
            offloads=frozenset(),
            rp_filter=0,
        )
        return replace(nic, **self.spoilt.get(asked.name, {}))

    def pseudo(self, wanted):
        """The pseudo interfaces."""
        link = Link("lb0", 9, up=True, carrier=True, mtu=1500)
        fine = {"offloads": frozenset({"rx-gro"}), "without_rule": ()}
        return [Pseudo(one.name, link, **fine) for one in wanted]

    def surroundings(self, hosts):
        """The ways to hosts."""
        way = Way("eth0", source=ip_address("10.0.1.1"))
        ways = {host: way for host in hosts if host.is_private and str(host).startswith("10.")}
        return replace(self.around, ways={**ways, **self.around.ways})


@pytest.fixture
def survey(controller, monkeypatch):
    """The survey of a switch with the pool web, whose servers accept and answer."""
    monkeypatch.setattr(inspection, "GLANCE", 0.0)
    controller.change("add", "root", lambda _: _with_pool(fakes.web(1, 1)))
    made = controller.preflight.survey = Survey()
    controller.preflight.connect = lambda hosts: dict.fromkeys(hosts, Answer.ACCEPTED)
    controller.preflight.ask = lambda probes: [Answer.ACCEPTED] * len(probes)
    return made


def _with_pool(pool):
    return fakes.configured(nics=[{"name": "eth0"}], pools=[pool])


def told(report):
    """Check and subject of all but the notes."""
    return [(one.check, one.subject) for one in report.findings if one.severity != "note"]


@pytest.mark.usefixtures("survey")
def test_all_is_well(controller):
    """
    Nothing but a note that no packet has come; the checks of everything were made.
    """
    report = inspect(controller)

    assert ["vip-without-packets"] == [one.check for one in report.findings]
    assert () == report.not_checked
    made = {"no-bcc", "nic-down", "no-peer", "no-route", "return-route", "empty-pool"}
    assert made | {"vip-local", "table-room", "growing-drops"} <= set(report.checks)
    assert [] == list(standing(controller))


def test_without_a_survey(controller):
    """
    What needs the kernel is not checked, and nothing is made up.
    """
    report = inspect(controller)

    assert () == report.findings
    assert {"table-room", "growing-drops"} == set(report.checks)
    assert [] == list(standing(controller))


def test_a_named_nic(controller, survey):
    """
    The machine and that one; those that are configured count as its neighbors only.
    """
    survey.spoilt["eth0"] = {"link": Link("eth0", 2, up=False, carrier=False, mtu=1500)}
    survey.known = replace(MACHINE, bcc="")
    report = inspect(controller, ["eth7"])

    assert [("no-bcc", "machine")] == told(report)
    assert "nic-down" in report.checks
    assert "no-route" not in report.checks
    assert [("no-bcc", "machine"), ("nic-down", "NIC eth0")] == told(inspect(controller, ["eth0"]))


def test_a_nic_that_does_not_exist(controller, survey):
    """
    That is all that is said of it.
    """
    survey.missing = {"eth7", "eth0"}

    assert [("no-such-nic", "NIC eth7")] == told(inspect(controller, ["eth7"]))
    assert ("no-such-nic", "NIC eth0") in told(inspect(controller))


def test_a_server_whose_answers_take_another_way(controller, survey):
    """
    It is found by asking it; counters would say less.
    """
    del survey
    asked = []

    def ask(probes):
        asked.extend(probes)
        return [Answer.SILENT if probe.destination.address == ONE else Answer.ACCEPTED
                for probe in probes]  # fmt: skip

    controller.preflight.ask = ask
    controller.dataplane.traffic["connections"][0] = 9
    report = inspect(controller)

    assert [("return-route", "back-end 10.0.1.11:8080 of pool web")] == told(report)
    assert {STRANGER} == {probe.source.address for probe in asked}


def test_the_stranger_is_nobody_here(controller, survey):
    """
    An address on a link of ours would answer for itself.
    """
    survey.around = replace(survey.around, ways={STRANGER: Way("eth0")})
    asked = []
    controller.preflight.ask = lambda probes: asked.extend(probes) or [Answer.ACCEPTED] * 2
    inspect(controller)

    assert {OTHER} == {probe.source.address for probe in asked}


def test_a_missing_neighbor_is_looked_for_first(controller, survey, routing):
    """
    Before it is said to be missing.
    """
    del survey
    index = controller.dataplane.routing.destination(ONE)
    controller.dataplane.routing.hops[index] = NextHop(state=NextHopState.UNRESOLVED)
    report = inspect(controller)

    assert {ONE} == routing.asked
    assert [("no-neighbor", "back-end 10.0.1.11:8080 of pool web")] == told(report)


def test_servers_that_are_out(controller, survey):
    """
    Those that their administrator has taken out are not looked at.
    """
    del survey
    pool = fakes.web(1, 1)
    pool["backends"][0]["state"] = State.MAINTENANCE
    controller.change("set", "root", lambda _: _with_pool(pool))
    asked = []
    controller.preflight.connect = lambda hosts: asked.extend(hosts) or {}
    inspect(controller)

    assert [fakes.TWO] == asked


def test_vip_in_the_network_of_a_nic(controller, survey):
    """
    Nobody answers ARP for it; as soon as a packet has come that is no matter.
    """
    networks = {"eth0": [ip_interface("203.0.113.1/24")]}
    survey.around = replace(survey.around, addresses=networks)
    before = told(inspect(controller))
    proxy = frozenset({("eth0", fakes.VIP.address)})
    survey.around = replace(survey.around, answered=proxy)
    with_proxy = told(inspect(controller))
    survey.around = replace(survey.around, answered=frozenset())
    controller.dataplane.traffic["packets_in"][1] = 1

    assert [("vip-without-arp", f"VIP {fakes.VIP} of pool web")] == before
    assert [] == with_proxy == told(inspect(controller))


@pytest.mark.parametrize(("setting", "found"), [(0, 0), (1, 1), (2, 0)])
def test_reverse_path_filter_where_vips_are_checked(controller, survey, setting, found):
    """
    Their answers come by the NIC of the server, and the route to the VIP leads elsewhere.
    """
    check = {"check": "tcp", "to_vip": True}
    pool = fakes.web(1, forward="dsr", health=check)
    pool["backends"][0]["address"] = "10.0.1.11:80"
    controller.change("set", "root", lambda _: _with_pool(pool))
    survey.spoilt["eth0"] = {"rp_filter": setting}
    survey.around = replace(survey.around, ways={fakes.VIP.address: Way("eth9")})

    assert found == [one.check for one in inspect(controller).findings].count("rp-filter")


def test_status_asks_the_kernel_now_and_then(controller, survey):
    """
    Not every second; but at once when the configuration is another.
    """
    clock = [100.0]
    made = Preflight(controller, clock=lambda: clock[0])
    made.survey = survey
    for clock[0] in (100.0, 101.0, 104.9):
        assert [] == made.standing()
    assert 1 == survey.looks
    survey.spoilt["eth0"] = {"offloads": frozenset({"rx-lro"})}
    assert [] == made.standing()
    clock[0] = 105.0
    assert ["merged-packets"] == [one.check for one in made.standing()]
    controller.change("set", "root", lambda _: _with_pool(fakes.web(1)))
    survey.spoilt.clear()
    assert [] == made.standing()


def test_status_says_what_grows(client, controller, survey):
    """
    In a line of its own, with what to type.
    """
    del survey
    controller.preflight = Preflight(controller)
    client.get("/v1/status")
    services, _ = controller.dataplane.reasons
    services[0, Verdict.DROP_FRAGMENT] = 3
    (line,) = client.get("/v1/status").json()["warnings"]

    assert line.startswith(f"VIP {fakes.VIP} of pool web has DROP_FRAGMENT of 3 packets in the")
    assert line.endswith("; run `lbctl capture --verdict DROP_FRAGMENT --count 10`")


@pytest.mark.usefixtures("survey")
def test_status_does_not_say_a_thing_twice(client, controller):
    """
    What keeps back-ends from being reached it says in words of its own.
    """
    controller.preflight = Preflight(controller)
    client.get("/v1/status")
    services, backends = controller.dataplane.reasons
    services[0, Verdict.DROP_NO_NEIGHBOR] = backends[0, Verdict.DROP_NO_NEIGHBOR] = 3

    assert [] == client.get("/v1/status").json()["warnings"]


def test_what_status_says_itself_are_checks_that_there_are():
    """
    A misspelt one would be said twice.
    """
    every = (*NIC_CHECKS, *PSEUDO_CHECKS, *APP_CHECKS)
    checks = {check.__name__.replace("_", "-") for check in every}

    assert {"nic-down", "not-attached", "foreign-program", "generic-mode"} <= SAID & checks
    assert {check for check in SAID if check.startswith(("app-", "pseudo-"))} <= checks


def test_an_application_that_does_not_run_is_told_once(client):
    """
    Neither again by a check, nor by its drops while these grow.
    """
    voip = {"name": "voip", "vips": ["203.0.113.20:5060/udp"]}
    client.post("/v1/apps", json=voip)
    told = client.get("/v1/status").json()["warnings"]

    assert ["app voip does not run"] == [line.partition(",")[0] for line in told]


def test_a_full_table(controller, plane):
    """
    Connections are kept in comfort up to half of the places.
    """
    plane.connections.rows = [fakes.connection(n % 250) for n in range(plane.connections.size // 2)]
    found = list(standing(controller))

    assert ["table-room"] == [one.check for one in found]
    assert "the table of connections is nearly full: 512 of 512" in found[0].line


def test_the_call(client, controller, survey):
    """
    Plain JSON; NICs may be named.
    """
    survey.spoilt["eth1"] = {"link": Link("eth1", 3, up=False, carrier=False, mtu=1500)}
    report = client.get("/v1/preflight?nic=eth1").json()

    assert {
        "check": "nic-down",
        "severity": "error",
        "subject": "NIC eth1",
        "what": "is down",
        "why": "no packet comes in or leaves",
        "cure": "ip link set eth1 up",
    } in report["findings"]
    assert {"findings", "checks", "not_checked"} == report.keys()
    assert 400 == client.get("/v1/preflight?nic=" + "x" * 16).status_code
    assert np.array_equal(controller.dataplane.traffic["connections"], np.zeros(fakes.CAPACITY))
