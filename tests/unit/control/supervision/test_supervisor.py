"""The supervisor makes standings of what checks, agents and the data path have found."""

from __future__ import annotations

import pytest

from lbctl.control.journal import SavedHealth
from lbctl.control.standing import NOTHING_FOUND, Standing
from lbctl.control.supervision import supervisor as supervisor_module
from lbctl.errors import UsageError
from lbctl.model import Agent, State
from tests.unit.control.fakes import ONE, TWO, configured, web

TCP = {"check": "tcp"}
THREE = configured(pools=[web(1, 1, 1)]).pools[0].backends[2].address
PLAIN = configured(pools=[web(1, 1)])
CHECKED = configured(pools=[web(1, 1, health=TCP)])
ACTIVE, DRAINING, DOWN = State.ACTIVE, State.DRAINING, State.DOWN


def load(scheduler: str = "least-load", count: int = 2, **balance):
    """A pool whose shares move at once."""
    quick = {"smoothing": 0, "dead_band": 0, "step": 1, **balance}
    return configured(pools=[web(*[1] * count, scheduler=scheduler, balance=quick)])


# -- the start, and changes ----------------------------------------------------------------


def test_without_anything_found_all_is_as_the_administrator_wants(rig):
    """And no share is anybody's but the weights'."""
    rig.supervisor.start(PLAIN)

    assert rig.look(PLAIN) == NOTHING_FOUND
    assert (rig.health.followed, rig.resources.followed) == ([PLAIN], [((), True)])


def test_a_resource_manager_elsewhere_asks_alone(rig):
    """Here its readings are taken only."""
    agent = {"address": "10.0.1.11:9777", "kind": "orca"}
    remote = configured(agents=[agent], settings={"resource_manager": "remote"})

    rig.supervisor.follow(remote)

    assert rig.resources.followed == [(remote.agents, False)]


def test_health_survives_a_restart(rig):
    """Only that of back-ends that there are still."""
    saved = SavedHealth(up=False, reason="no route", since=5.0)
    rig.journal.save([(("web", ONE), saved), (("gone", TWO), saved)])

    rig.supervisor.start(CHECKED)

    assert rig.look(CHECKED).troubles == {("web", ONE): Standing(DOWN, "no route")}
    assert set(rig.journal.health()) == {("web", ONE)}


def test_nobody_is_taken_out_after_a_start_for_not_having_been_looked_at(rig):
    """The first look decides, whatever it finds; from then on no trust is left."""
    for address in (ONE, TWO):
        rig.find(address, up=False, checked=False)
    rig.supervisor.start(CHECKED)
    assert rig.states(CHECKED) == [ACTIVE, ACTIVE]

    rig.find(ONE, up=False)
    rig.find(TWO, up=True)
    assert rig.states(CHECKED) == [DOWN, ACTIVE]
    rig.find(TWO, up=False, checked=False)
    assert rig.states(CHECKED) == [DOWN, DOWN]


def test_a_new_back_end_gets_nothing_before_it_was_looked_at(rig):
    """It is waited for, but not longer than its check takes."""
    rig.supervisor.start(CHECKED)
    rig.supervisor._loop = object()
    more = configured(pools=[web(1, 1, 1, health={**TCP, "timeout": 0.5})])
    rig.find(THREE, up=False, checked=False)

    rig.supervisor.admit(CHECKED, more)

    assert rig.health.waits == [({("web", THREE)}, 1.5)]
    assert rig.states(more) == [ACTIVE, ACTIVE, DOWN]


def test_a_change_never_waits_for_long(rig):
    """A check may have a timeout of an hour."""
    rig.supervisor._loop = object()
    slow = {**TCP, "interval": 3600, "timeout": 3600}

    rig.supervisor.admit(configured(), configured(pools=[web(1, health=slow)]))

    assert rig.health.waits == [({("web", ONE)}, supervisor_module.PATIENCE)]


def test_before_the_loop_runs_nobody_is_waited_for(rig):
    """Nobody would look."""
    rig.supervisor.admit(configured(), CHECKED)

    assert rig.health.waits == []


def test_a_pool_that_gets_a_check_goes_on_serving(rig):
    """Its back-ends were held to be well until now; the first look decides."""
    rig.supervisor._loop = object()
    rig.supervisor.follow(CHECKED)
    for address in (ONE, TWO):
        rig.find(address, up=False, checked=False)

    rig.supervisor.admit(PLAIN, CHECKED)

    assert (rig.health.waits, rig.states(CHECKED)) == ([], [ACTIVE, ACTIVE])


def test_a_back_end_that_leaves_maintenance_is_looked_at_first(rig):
    """It was not checked there."""
    rig.supervisor._loop = object()
    before = web(1, health=TCP)
    before["backends"][0]["state"] = "maintenance"

    rig.supervisor.admit(configured(pools=[before]), CHECKED)

    assert rig.health.waits[0][0] == {("web", ONE), ("web", TWO)}


# -- what keeps connections away -----------------------------------------------------------


def test_checks_take_out_and_bring_back(rig):
    """With the reason."""
    rig.supervisor.start(CHECKED)
    rig.find(ONE, up=False)
    assert rig.look(CHECKED).troubles == {("web", ONE): Standing(DOWN, "no answer")}

    rig.find(ONE, up=True)
    assert rig.look(CHECKED) == NOTHING_FOUND


def test_an_agent_drains_its_server_until_its_word_is_too_old(rig):
    """Then nobody says so any more."""
    rig.supervisor.start(PLAIN)
    rig.say(ONE, wish="drain")
    assert rig.states(PLAIN) == [DRAINING, ACTIVE]
    rig.look(PLAIN, after=15)
    assert rig.states(PLAIN) == [DRAINING, ACTIVE]

    rig.look(PLAIN, after=5)
    assert rig.states(PLAIN) == [ACTIVE, ACTIVE]


def test_the_data_path_keeps_connections_from_who_fails(rig):
    """For a while, then it is tried again; both are events."""
    passive = {"failures": 5, "ratio": 0.5, "window": 2, "inhibit": 10}
    watched = configured(pools=[web(1, 1, passive=passive)])
    rig.supervisor.start(watched)
    rig.count(ONE, 100, 0, 0, 100)
    rig.count(TWO, 100, 50, 50, 0)
    assert rig.states(watched) == [ACTIVE, ACTIVE]  # what was before counts for nothing

    rig.count(ONE, 110, 3, 3, 100)
    rig.count(TWO, 110, 50, 54, 0)
    assert rig.states(watched) == [DRAINING, ACTIVE]
    assert rig.supervisor.inhibition(("web", ONE)).reason == "6 of 10 connections came to nothing"

    rig.look(watched, after=9)
    assert rig.states(watched) == [ACTIVE, ACTIVE]
    assert rig.events("passive") == [
        "inhibited for 10 s: 6 of 10 connections came to nothing",
        "released",
    ]


def test_without_passive_nobody_is_inhibited(rig):
    """The administrator did not ask for it."""
    rig.supervisor.start(PLAIN)
    for total in (0, 100):
        rig.count(ONE, total, total, total, 0)
        assert rig.states(PLAIN) == [ACTIVE, ACTIVE]

    assert rig.supervisor.inhibition(("web", ONE)) is None


# -- shares --------------------------------------------------------------------------------


def test_the_load_moves_shares(rig):
    """Where it is high there goes less; static schedulers have none."""
    loaded = load()
    rig.supervisor.start(loaded)
    rig.look(loaded)
    rig.say(ONE, cpu=0.9)
    rig.say(TWO, cpu=0.1)

    shares = rig.look(loaded).shares["web"]

    assert shares.wanted[ONE] < 0.5 < shares.wanted[TWO]
    assert sum(shares.given.values()) == pytest.approx(1)
    assert rig.look(PLAIN).shares == {}


def test_connections_move_shares(rig):
    """They are counted by the data path."""
    counted = load("wlc")
    rig.supervisor.start(counted)
    rig.counts.opened = {("web", ONE): 90, ("web", TWO): 10}
    rig.look(counted)

    shares = rig.look(counted).shares["web"]

    assert shares.wanted[ONE] < 0.5 < shares.wanted[TWO]


def test_who_is_in_trouble_has_no_share(rig):
    """Health owns that, load only how much."""
    loaded = load()
    rig.supervisor.start(loaded)
    rig.find(ONE, up=False)
    rig.say(ONE, cpu=0.0)

    assert rig.look(loaded).shares["web"].given == {ONE: 0, TWO: 1}


def test_who_recovers_starts_slowly(rig):
    """And who was there at the beginning does not."""
    slow = configured(pools=[web(1, 1, health=TCP, balance={"slow_start": 10})])
    rig.find(ONE, up=True)
    rig.find(TWO, up=True)
    rig.supervisor.start(slow)
    assert rig.look(slow).shares["web"].given == {ONE: 0.5, TWO: 0.5}

    rig.find(ONE, up=False)
    rig.look(slow)
    rig.find(ONE, up=True)
    first = rig.look(slow).shares["web"].given[ONE]
    half = rig.look(slow, after=5).shares["web"].given[ONE]
    end = rig.look(slow, after=6).shares["web"].given[ONE]

    assert 0 < first < 0.15 < half < 0.45 < end == pytest.approx(0.5)


def test_who_is_added_starts_slowly_too(rig):
    """It is as cold as one that recovered."""
    balance = {"slow_start": 10}
    two, three = (configured(pools=[web(*[1] * n, balance=balance)]) for n in (2, 3))
    rig.supervisor.start(two)
    rig.look(two)
    rig.supervisor.follow(three)

    assert rig.look(three).shares["web"].given[THREE] < 0.1


def test_a_scheduler_that_fails_is_told(rig, monkeypatch):
    """The weights count meanwhile."""
    loaded = load()
    rig.supervisor.start(loaded)

    def failing(_name):
        def ask(_servers):
            raise UsageError("scheduler 'x': it failed")

        return ask

    monkeypatch.setattr("lbctl.control.schedulers.dynamic", failing)

    shares = rig.look(loaded).shares["web"]
    assert shares.problem == "scheduler 'x': it failed"
    assert shares.given == {ONE: 0.5, TWO: 0.5}


def test_a_pool_that_comes_back_has_no_past(rig):
    """Another of that name is another."""
    slow = configured(pools=[web(1, 1, balance={"slow_start": 10})])
    other = web(1, 1, balance={"slow_start": 10})
    other["backends"] = [{"address": "10.0.9.1:80"}, {"address": "10.0.9.2:80"}]
    rig.supervisor.start(slow)
    rig.look(slow)
    rig.supervisor.follow(configured())
    rig.supervisor.follow(configured(pools=[other]))

    given = rig.look(configured(pools=[other])).shares["web"].given

    assert list(given.values()) == [0.5, 0.5]


# -- what is shown -------------------------------------------------------------------------


def test_observations_are_of_the_pools_own_connections(rig):
    """The backup's are its own, whatever VIP they came by."""
    spare = {"name": "spare", "backends": [{"address": "10.0.2.1:8080"}]}
    both = configured(pools=[web(1, 1, backup="spare"), spare])
    last = both.pools[1].backends[0].address
    rig.supervisor.start(both)
    for total in (0, 60):
        rig.count(ONE, total // 2)
        rig.count(TWO, total // 6)
        rig.counts.by_key["spare", last] = rig.counts.by_key["web", ONE]
        rig.look(both)
    rig.say(ONE, cpu=0.4, utilization=0.6)

    seen = rig.supervisor.observations(both.pools[0])
    backup = rig.supervisor.observations(both.pools[1])

    assert seen == {ONE: (0.75, 30, 0.6, 0), TWO: (0.25, 10, None, None)}
    assert backup == {last: (1, 30, None, None)}


def test_an_agent_that_tells_no_load_has_none(rig):
    """Only how old its word is."""
    rig.supervisor.start(PLAIN)
    rig.say(ONE, Agent(address="10.0.1.11:9777", kind="orca"), wish="up")
    rig.now += 3

    assert rig.supervisor.observations(PLAIN.pools[0])[ONE] == (None, 0, None, 3)
