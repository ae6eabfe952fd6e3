"""The API: paths, bodies and answers as documented."""

from __future__ import annotations

import json
from dataclasses import replace
from urllib.parse import quote

import pytest

from lbctl import __version__
from lbctl.model import Balance, SocketAddress, Vip
from lbctl.shared.abi import Verdict
from lbctl.shared.counters import Count
from tests.unit.control.fakes import ONE, TWO, VIP, connection, web


def test_status(served, controller):
    """Every documented field."""
    controller.dataplane.connections.rows = [connection()]
    controller.dataplane.counts = [
        Count(2, Verdict.TO_BACKEND, 7, 700),
        Count(2, Verdict.DROP_NO_NEIGHBOR, 2, 120),
        Count(9, Verdict.DROP_MALFORMED, 5, 300),  # a NIC that was detached
    ]

    assert served.get("/v1/status").json() == {
        "name": "default",
        "version": __version__,
        "generation": 2,
        "active_buffer": "A",
        "nics": [
            {
                "name": "eth0",
                "mode": "native",
                "program_tag": "938c70b5",
                "packets": 9,
                "drops": 2,
            }
        ],
        "connections": {"used": 1, "size": 1024},
        "pools": 1,
        "backends": {"active": 2, "draining": 0, "down": 0, "maintenance": 0},
        "pseudo": [],
        "apps": [],
        "warnings": [],
    }


def test_pools_have_shares_and_connections(served, controller):
    """The object of `lbctl pool list -o json`."""
    controller.dataplane.connections.rows = [connection(n, TWO) for n in (1, 2, 3)]

    (pool,) = served.get("/v1/pools").json()

    backends = pool.pop("backends")
    assert pool == {
        "name": "web",
        "vips": ["203.0.113.10:80/tcp"],
        "forward": "nat",
        "scheduler": "maglev",
        "on_unknown": "reset",
        "on_down": "keep",
        "table_size": 101,
        "health": None,
        "passive": None,
        "balance": Balance().model_dump(),
        "quorum": 0,
        "panic": 0,
        "backup": None,
        "rules": [],
        "served_by": "web",
        "panicking": False,
        "problem": None,
    }
    for name in ("share", "wanted"):
        shares = [backend.pop(name) for backend in backends]
        assert shares == [pytest.approx(0.25, abs=0.02), pytest.approx(0.75, abs=0.02)]
    unseen = {"measured": None, "new_connections_per_second": 0}
    unheard = {"load": None, "report_age_seconds": None}
    well = {"state": "active", "reason": "", **unseen, **unheard}
    assert backends == [
        {"address": "10.0.1.11:8080", "weight": 1, "connections": 0, **well},
        {"address": "10.0.1.12:8080", "weight": 3, "connections": 3, **well},
    ]
    assert served.get("/v1/pools/web").json()["name"] == "web"


def test_back_ends_and_vips_name_their_pool(served, controller):
    """All, or of one pool."""
    served.post("/v1/pools", json={"name": "dns", "vips": ["203.0.113.53:53/udp"]})
    controller.dataplane.connections.rows = [connection()]

    assert [b["pool"] for b in served.get("/v1/backends").json()] == ["web", "web"]
    assert served.get("/v1/backends?pool=dns").json() == []
    assert served.get("/v1/vips").json() == [
        {"vip": "203.0.113.10:80/tcp", "pool": "web", "app": None, "connections": 1},
        {"vip": "203.0.113.53:53/udp", "pool": "dns", "app": None, "connections": 0},
    ]


def test_a_pool_is_changed_and_removed(served, controller):
    """PATCH names what changes; DELETE says what became of it."""
    assert served.patch("/v1/pools/web", json={"scheduler": "rr"}).json()["scheduler"] == "rr"
    assert served.delete("/v1/pools/web").json() == {"generation": 4, "changes": ["- pool web"]}
    assert controller.configuration.pools == ()


def test_vips_come_and_go(served):
    """A VIP in a path, with its slash, and in brackets for IPv6."""
    new = served.post("/v1/pools/web/vips", json={"vip": "203.0.113.11:*/tcp"}).json()
    assert new["vips"] == ["203.0.113.10:80/tcp", "203.0.113.11:*/tcp"]

    gone = served.delete(f"/v1/pools/web/vips/{quote('203.0.113.11:*/tcp')}")
    assert gone.json()["changes"] == ["- pool web: vip 203.0.113.11:*/tcp"]

    served.post("/v1/pools", json={"name": "six", "vips": ["[2001:db8::1]:80/tcp"]})
    six = served.delete(f"/v1/pools/six/vips/{quote('[2001:db8::1]:80/tcp', safe='')}")
    assert six.json()["changes"] == ["- pool six: vip [2001:db8::1]:80/tcp"]


def test_a_back_end_lives(served, controller):
    """Added, weighted, drained, restored, removed: each a generation with its verb."""
    address = "10.0.1.13:8080"
    new = served.post("/v1/pools/web/backends", json={"address": address, "weight": 2}).json()
    assert (new["pool"], new["address"], new["weight"]) == ("web", address, 2)
    path = f"/v1/pools/web/backends/{address}"

    assert served.patch(path, json={"weight": 5}).json()["weight"] == 5
    drained = served.patch(path, json={"state": "draining"}).json()
    assert (drained["state"], drained["share"]) == ("draining", 0)
    assert served.patch(path, json={"state": "active"}).json()["share"] > 0.4
    assert served.delete(path, params={"now": True}).json()["generation"] == 7

    history = served.get("/v1/generations").json()
    assert [(g["generation"], g["what"]) for g in history if g["generation"] > 2] == [
        (7, "backend remove web 10.0.1.13:8080"),
        (6, "backend restore web 10.0.1.13:8080"),
        (5, "backend drain web 10.0.1.13:8080"),
        (4, "backend set web 10.0.1.13:8080"),
        (3, "backend add web 10.0.1.13:8080"),
    ]
    (flushed,) = controller.dataplane.connections.flushed
    assert flushed.backend == SocketAddress.parse(address)


def test_nics_are_attached_and_detached(client, controller):
    """The answer is the NIC as it is now."""
    new = client.post("/v1/nics", json={"name": "eth1", "mode": "generic"}).json()
    assert (new["name"], new["mode"]) == ("eth1", "generic")
    assert [nic["name"] for nic in client.get("/v1/nics").json()] == ["eth0", "eth1"]

    assert client.delete("/v1/nics/eth0").json()["changes"] == ["- nic eth0"]
    assert list(controller.dataplane.nics) == ["eth1"]


def test_nics_come_and_go_together(client, controller):
    """One generation for all of them."""
    several = {"nics": [{"name": "eth1", "mode": "generic"}, {"name": "eth0"}]}

    new = client.post("/v1/nics", json=several).json()

    assert [(nic["name"], nic["mode"]) for nic in new] == [("eth1", "generic"), ("eth0", "native")]
    assert client.delete("/v1/nics?name=eth0&name=eth1").json() == {
        "generation": 3,
        "changes": ["- nic eth0", "- nic eth1"],
    }
    assert controller.dataplane.nics == {}
    assert [entry["what"] for entry in client.get("/v1/generations").json()][:2] == [
        "detach eth0 eth1",
        "attach eth1 eth0",
    ]


def test_a_drained_back_end_stays_drained_when_the_pool_is_changed(served):
    """Its state was not given."""
    address = "10.0.1.12:8080"
    served.patch(f"/v1/pools/web/backends/{address}", json={"state": "draining"})

    pool = served.patch("/v1/pools/web", json={"backends": [{"address": address, "weight": 5}]})

    (backend,) = pool.json()["backends"]
    assert (backend["weight"], backend["state"]) == (5, "draining")


def test_a_configuration_goes_round(served, controller):
    """What GET gives, POST takes, and nothing changes."""
    wanted = served.get("/v1/configuration").json()
    assert served.post("/v1/configuration", json=wanted).json() == {"generation": 2, "changes": []}

    wanted["pools"][0]["backends"][0]["weight"] = 3
    line = "~ pool web: back-end 10.0.1.11:8080 weight 1 -> 3"
    assert served.post("/v1/configuration/diff", json=wanted).json() == {"changes": [line]}
    dry = served.post("/v1/configuration?dry_run=true", json=wanted).json()
    assert dry == {"generation": 2, "changes": [line]}
    assert controller.current.number == 2
    assert served.post("/v1/configuration", json=wanted).json()["generation"] == 3
    assert controller.current.number == 3


def test_generations_say_who_and_what_and_roll_back(served, controller):
    """The header names the person; control characters cannot spoil the list."""
    first = served.get("/v1/generations").json()[0]
    assert {**first, "time": ""} == {
        "generation": 2,
        "time": "",
        "who": "alice",
        "what": "pool add web",
        "active": True,
    }
    content = served.get("/v1/generations/2").json()
    assert content["configuration"]["pools"][0]["name"] == "web"

    back = served.post("/v1/generations/1/rollback", headers={"X-Lbctl-Who": "b\x01ob" + "x" * 99})
    assert back.json() == {"generation": 3, "changes": ["- pool web"]}
    assert controller.store.history()[0][2] == "bob" + "x" * 60
    assert served.get("/v1/generations/2").json()["active"] is False


def test_connections_are_listed_counted_and_flushed_by_the_same_filters(served, controller):
    """Of a pool, to a back-end, of a client."""
    controller.dataplane.connections.rows = [connection(1, ONE), connection(2, TWO)]
    assert served.get("/v1/connections?limit=1").json() == [
        {
            "protocol": "tcp",
            "client": "198.51.100.1:40000",
            "vip": "203.0.113.10:80/tcp",
            "backend": "10.0.1.11:8080",
            "state": "established",
            "idle_seconds": 1.5,
            "pool": "web",
        }
    ]
    for query, expected in {
        "": 2,
        "?pool=web": 2,
        "?backend=10.0.1.12:8080": 1,
        "?client=198.51.100.1": 1,
        "?client=198.51.100.9:1": 0,
    }.items():
        assert served.get(f"/v1/connections/count{query}").json() == {"count": expected}
        assert len(served.get(f"/v1/connections{query}").json()) == expected
        assert served.delete(f"/v1/connections{query}").json() == {"flushed": expected}


def test_connections_of_a_vip_of_any_port_have_its_pool(served, controller):
    """The table shows the port that the client used."""
    wild = {"name": "any", "vips": ["203.0.113.99:*/tcp"]}
    served.post("/v1/pools", json=wild)
    vip = Vip.parse("203.0.113.99:22/tcp")
    controller.dataplane.connections.rows = [connection(1, ONE, vip), connection(2, ONE, VIP)]

    assert [row["pool"] for row in served.get("/v1/connections").json()] == ["any", "web"]


def test_counters(served, controller):
    """By NIC and verdict, by VIP, by back-end; drops with their reason, most first."""
    controller.dataplane.counts = [
        Count(2, Verdict.DROP_MALFORMED, 1, 60),
        Count(2, Verdict.DROP_NO_BACKEND, 8, 480),
        Count(2, Verdict.TO_CLIENT, 3, 300),
    ]
    row = controller.dataplane.traffic[1]
    row["packets_in"], row["bytes_in"], row["packets_out"], row["bytes_out"] = 5, 500, 4, 4000
    row["connections"], row["answers"], row["resets"], row["retries"] = 3, 2, 1, 6
    of_services, of_backends = controller.dataplane.reasons
    of_services[0, Verdict.DROP_NO_BACKEND], of_backends[1, Verdict.DROP_NO_NEIGHBOR] = 8, 7

    stats = served.get("/v1/stats").json()
    assert stats["nics"] == [
        {
            "name": "eth0",
            "verdicts": {
                "DROP_MALFORMED": {"packets": 1, "bytes": 60},
                "DROP_NO_BACKEND": {"packets": 8, "bytes": 480},
                "TO_CLIENT": {"packets": 3, "bytes": 300},
            },
        }
    ]
    assert stats["backends"][1] == {
        "pool": "web",
        "address": "10.0.1.12:8080",
        "vip": "203.0.113.10:80/tcp",
        "packets_in": 5,
        "bytes_in": 500,
        "packets_out": 4,
        "bytes_out": 4000,
        "connections": 3,
        "answers": 2,
        "resets": 1,
        "retries": 6,
        "verdicts": {"DROP_NO_NEIGHBOR": 7},
    }
    assert stats["services"] == [
        {
            "pool": "web",
            "app": None,
            "vip": "203.0.113.10:80/tcp",
            "verdicts": {"DROP_NO_BACKEND": 8},
        }
    ]
    assert served.get("/v1/drops").json() == [
        {"reason": "DROP_NO_BACKEND", "packets": 8, "bytes": 480, "nic": "eth0"},
        {"reason": "DROP_MALFORMED", "packets": 1, "bytes": 60, "nic": "eth0"},
    ]


def test_routes_and_neighbors(client):
    """As the routing daemon shows them."""
    assert client.get("/v1/routes").json() == [
        {
            "prefix": "192.0.2.0/24",
            "next_hop": None,
            "nic": None,
            "mac": None,
            "state": "no-route",
        }
    ]
    assert client.get("/v1/neighbors").json()[0]["used_by"] == ["10.0.1.11"]


def test_warnings_say_what_to_type(client, controller, links):
    """Each names the thing first."""
    client.post("/v1/nics", json={"name": "eth1"})
    client.post("/v1/pools", json=web(0))
    client.post("/v1/pools", json={"name": "bare"})
    nics = controller.dataplane.nics
    nics["eth1"] = replace(nics["eth1"], mode="generic")
    links.down = {"eth1"}
    del links.indices["eth0"]
    controller.routing.unreachable = {ONE.address: "10.0.1.11: no route leads to it"}

    assert client.get("/v1/status").json()["warnings"] == [
        "NIC eth0 has vanished; it is attached again when it comes back, or `lbctl detach eth0`",
        "NIC eth1 is down; run `ip link set eth1 up`",
        "NIC eth1 works in generic mode, which is slow; `lbctl preflight eth1` says why",
        "pool web has no active back-end; run `lbctl backend set web 10.0.1.11:8080 --weight 1`",
        "pool bare has no VIP; run `lbctl vip add bare ADDR:PORT/PROTO`",
        "pool bare has no active back-end; run `lbctl backend add bare ADDR:PORT`",
        "10.0.1.11: no route leads to it",
    ]


def test_a_missing_nic_is_shown_as_detached(client, controller):
    """It is wanted, so it is in the list."""
    del controller.dataplane.nics["eth0"]

    assert client.get("/v1/nics").json()[0]["mode"] == "detached"
    assert client.get("/v1/status").json()["warnings"][0].startswith("NIC eth0 is not attached")


def test_the_document_describes_every_call(client):
    """OpenAPI is on, the pages that load scripts from elsewhere are off."""
    document = client.get("/openapi.json").json()

    assert len(document["paths"]) >= 20
    for path, calls in document["paths"].items():
        assert path.startswith("/v1/")
        for call in calls.values():
            content = call["responses"]["200"]["content"]
            assert content
            assert all(form["schema"] for form in content.values())
            assert call["responses"]["409"]
    assert client.get("/docs").status_code == client.get("/redoc").status_code == 404


def test_answers_are_plain_json(served):
    """Numbers as numbers, addresses as strings."""
    text = served.get("/v1/pools/web").text

    assert json.loads(text)["backends"][0]["weight"] == 1
    assert '"203.0.113.10:80/tcp"' in text
