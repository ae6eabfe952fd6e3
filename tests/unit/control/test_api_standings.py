"""The API of pools: how their back-ends stand, who serves for them, and what can be set."""

from __future__ import annotations

import pytest

from lbctl.control.standing import Shares
from lbctl.control.watch import Observation
from tests.unit.control import fakes
from tests.unit.control.fakes import ONE, TWO, connection, standings

SPARE = {"name": "spare", "backends": [{"address": "10.0.2.1:8080"}]}


def test_null_takes_away_what_a_pool_has(served, controller):
    """Of health, passive and backup; what is left out stays, and null is no value for the rest."""
    served.post("/v1/pools", json=SPARE)
    watched = {"health": {"check": "tcp"}, "passive": {}}
    served.patch("/v1/pools/web", json={**watched, "backup": "spare", "quorum": 1, "panic": 0.2})

    bare = served.patch("/v1/pools/web", json={"health": None, "passive": None, "quorum": None})
    assert [bare.json()[name] for name in ("health", "passive", "backup", "quorum")] == [
        None,
        None,
        "spare",
        1,
    ]
    assert served.patch("/v1/pools/web", json={"backup": None}).json()["backup"] is None
    assert controller.configuration.pool("web").panic == 0.2


def test_a_check_and_rules_are_set_as_a_whole(served):
    """With the defaults of what is not named."""
    served.post("/v1/pools", json=SPARE)
    check = {"check": "http", "path": "/up", "interval": 5}
    rule = {"clients": "198.51.100.0/24", "pool": "spare"}

    pool = served.patch("/v1/pools/web", json={"health": check, "rules": [rule]}).json()

    health = pool["health"]
    assert [health[name] for name in ("check", "path", "interval", "timeout")] == [
        "http",
        "/up",
        5,
        1,
    ]
    assert pool["rules"] == [{**rule, "port": None}]
    assert served.delete("/v1/pools/spare").status_code == 409


def test_maintenance_is_a_verb_of_its_own(served):
    """In the history, too."""
    path = "/v1/pools/web/backends/10.0.1.11:8080"

    assert served.patch(path, json={"state": "maintenance"}).json()["state"] == "maintenance"
    served.patch(path, json={"state": "down"})

    assert [g["what"] for g in served.get("/v1/generations").json()][:2] == [
        "backend set web 10.0.1.11:8080",
        "backend maintenance web 10.0.1.11:8080",
    ]


def test_a_pool_shows_how_its_back_ends_stand(served, controller):
    """The state with its reason, shares as wanted, given and measured, and what agents said."""
    controller.watch = watch = fakes.Watch()
    shares = Shares({ONE: 0.8, TWO: 0.2}, {ONE: 0.6, TWO: 0.4}, "scheduler 'x': it failed")
    served.patch("/v1/pools/web", json={"scheduler": "least-load"})
    watch.found = standings()._replace(shares={"web": shares})
    watch.seen = {ONE: Observation(0.59, 12.345, 0.4, 1.234)}
    controller.on_news()

    pool = served.get("/v1/pools/web").json()
    first, second = pool["backends"]

    assert pool["problem"] == "scheduler 'x': it failed"
    assert (first["wanted"], first["share"]) == (0.8, pytest.approx(0.6, abs=0.01))
    assert (first["measured"], first["new_connections_per_second"]) == (0.59, 12.35)
    assert (first["load"], first["report_age_seconds"]) == (0.4, 1.2)
    assert (second["measured"], second["load"]) == (None, None)

    watch.found = standings(ONE)
    controller.on_news()
    first, second = served.get("/v1/backends").json()
    assert (first["state"], first["reason"], first["share"]) == ("down", "no answer", 0)
    assert second["share"] == 1
    assert served.get("/v1/status").json()["backends"]["down"] == 1


def test_a_pool_shows_who_serves_for_it(served, controller):
    """Its own shares are nothing then; connections by its VIP are the backup's."""
    controller.watch = watch = fakes.Watch()
    served.post("/v1/pools", json=SPARE)
    served.patch("/v1/pools/web", json={"backup": "spare"})
    watch.found = standings(ONE, TWO)
    controller.on_news()
    last = controller.configuration.pools[1].backends[0].address
    controller.dataplane.connections.rows = [connection(1, ONE), connection(2, last)]
    row = controller.dataplane.traffic[2]
    row["packets_in"] = 7

    main, spare = served.get("/v1/pools").json()

    assert (main["served_by"], main["panicking"]) == ("spare", False)
    assert [b["share"] for b in main["backends"]] == [0, 0]
    assert [(b["share"], b["connections"]) for b in spare["backends"]] == [(1, 1)]
    assert served.get("/v1/vips").json()[0]["connections"] == 2
    assert [(t["pool"], t["packets_in"]) for t in served.get("/v1/stats").json()["backends"]] == [
        ("web", 0),
        ("web", 0),
        ("spare", 7),
    ]


def test_warnings_tell_who_does_not_serve(served, controller):
    """Each with what to type."""
    controller.watch = watch = fakes.Watch()
    served.post("/v1/pools", json=SPARE)

    def warnings(found, **fields) -> list[str]:
        served.patch("/v1/pools/web", json={"backup": None, "panic": 0, **fields})
        watch.found = found
        controller.on_news()
        mine = served.get("/v1/status").json()["warnings"]
        return [line for line in mine if line.startswith("pool web")]

    both, see = standings(ONE, TWO), "see `lbctl backend list web`"
    assert warnings(standings(ONE)) == []
    assert warnings(both) == [f"pool web: too few back-ends are well, so that nobody serves; {see}"]
    assert warnings(both, backup="spare") == [f"pool web is served by its backup spare; {see}"]
    assert warnings(both, panic=0.5) == [
        f"pool web panics: too few back-ends are well, so that all are asked; {see}"
    ]
    failing = Shares({ONE: 0.5, TWO: 0.5}, {ONE: 0.5, TWO: 0.5}, "scheduler 'x': it failed")
    assert warnings(standings()._replace(shares={"web": failing})) == [
        "pool web: scheduler 'x': it failed"
    ]


def test_a_pool_that_others_use_needs_no_vip(served, controller):
    """As a backup, or by a rule."""
    served.post("/v1/pools", json=SPARE)
    lacking = "pool spare has no VIP; run `lbctl vip add spare ADDR:PORT/PROTO`"
    assert lacking in served.get("/v1/status").json()["warnings"]

    for use in (
        {"backup": "spare"},
        {"backup": None, "rules": [{"clients": "198.51.100.0/24", "pool": "spare"}]},
    ):
        served.patch("/v1/pools/web", json=use)
        assert served.get("/v1/status").json()["warnings"] == []
    assert controller.configuration.pool("web").backup is None
