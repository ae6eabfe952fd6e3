"""What is worth an event."""

from __future__ import annotations

from itertools import pairwise

from lbctl.control.standing import NOTHING_FOUND, Shares, Standings
from lbctl.control.supervision.announcements import Announcer, of_change
from lbctl.model import State
from tests.unit.control.fakes import ONE, TWO, configured, standings, web


def shared(*given: float, problem: str | None = None) -> Standings:
    """Shares of the back-ends 10.0.1.11, .12, ... of the pool web."""
    addresses = [b.address for b in configured(pools=[web(*[1] * len(given))]).pools[0].backends]
    shares = dict(zip(addresses, given, strict=True))
    return Standings({}, {"web": Shares(shares, shares, problem)})


def told(*moments: Standings, pools=()) -> list[list[tuple]]:
    """All events from each moment to the next; of a pool of two, unless another is given."""
    announcer, configuration = Announcer(), configured(pools=list(pools) or [web(1, 1)])
    return [announcer.news(configuration, before, now) for before, now in pairwise(moments)]


def test_a_change_of_state_is_told_with_its_reason():
    """Once, and back again."""
    inhibited = standings(ONE, state=State.DRAINING)

    assert told(NOTHING_FOUND, standings(ONE), standings(ONE), inhibited, NOTHING_FOUND) == [
        [("health", "web 10.0.1.11:8080", "active -> down: no answer")],
        [],
        [("health", "web 10.0.1.11:8080", "down -> draining: no answer")],
        [("health", "web 10.0.1.11:8080", "draining -> active")],
    ]


def test_who_is_not_wanted_is_not_told_of():
    """The administrator took it out."""
    drained = web(1, 1)
    drained["backends"][0]["state"] = "draining"

    assert told(NOTHING_FOUND, standings(ONE), pools=[drained]) == [[]]


def test_who_serves_is_told_when_it_changes():
    """Itself, a backup, all in panic, nobody."""
    spare = {"name": "spare", "backends": [{"address": "10.0.2.1:8080"}]}
    plain, backed, brave = web(1), web(1, backup="spare"), web(1, panic=0.5)

    def of_the_pool(*pools) -> list[str]:
        found = told(NOTHING_FOUND, standings(ONE), standings(ONE), NOTHING_FOUND, pools=pools)
        return [text for news in found for kind, _, text in news if kind == "pool"]

    itself = "its own back-ends serve"
    assert of_the_pool(plain) == ["nobody serves: no back-end is well enough", itself]
    assert of_the_pool(backed, spare) == ["backup spare serves", itself]
    assert of_the_pool(brave) == [
        "panic: too few back-ends are well, so that all are asked",
        itself,
    ]


def test_a_pool_without_a_wanted_back_end_is_not_told_of():
    """It is as its administrator wants it."""
    assert told(NOTHING_FOUND, NOTHING_FOUND, pools=[web(0), web(name="empty", vips=[])]) == [[]]


def test_shares_are_told_when_they_moved_far_enough():
    """Small moves add up."""
    moments = [shared(0.5, 0.5), shared(0.5, 0.5), shared(0.53, 0.47), shared(0.56, 0.44)]

    assert told(*moments) == [
        [],
        [],
        [("load", "web", "shares: 10.0.1.11:8080 50% -> 56%, 10.0.1.12:8080 50% -> 44%")],
    ]


def test_the_largest_moves_of_many_are_told():
    """And how many more there are; those that cannot be seen are none."""
    before = [1 / 16] * 16
    after = [1 / 16 - 0.02] * 12 + [1 / 16] * 3 + [1 / 16 + 0.24]

    _, ((_, _, text),) = told(NOTHING_FOUND, shared(*before), shared(*after))

    assert text.startswith("shares: 10.0.1.11:8080 6% -> 4%, 10.0.1.12:8080 6% -> 4%, ")
    assert text.endswith("10.0.1.26:8080 6% -> 30% and 3 more")
    assert "10.0.1.24:8080" not in text


def test_a_scheduler_that_fails_is_told_once():
    """And that it works again."""
    failing = shared(0.5, 0.5, problem="scheduler 'x': it failed")

    assert told(NOTHING_FOUND, failing, failing, shared(0.5, 0.5)) == [
        [("load", "web", "scheduler 'x': it failed")],
        [],
        [("load", "web", "the scheduler works again")],
    ]


def test_a_pool_that_is_gone_is_forgotten():
    """Another of that name begins anew."""
    announcer, configuration = Announcer(), configured(pools=[web(1)])
    (_, first) = announcer.news(configuration, NOTHING_FOUND, standings(ONE))
    announcer.news(configured(), NOTHING_FOUND, NOTHING_FOUND)
    again = announcer.news(configuration, standings(ONE), standings(ONE))

    assert again == [first]


def test_the_first_changes_of_many_are_told():
    """An event is a line; the generations have all of it."""
    few = of_change(7, "apply, by alice", ["+ pool web"])
    many = of_change(8, "apply, by alice", [f"+ pool p{n}" for n in range(12)])

    assert few == ("configuration", "generation 7", "apply, by alice: + pool web")
    assert many.text == (
        "apply, by alice: + pool p0; + pool p1; + pool p2; + pool p3; + pool p4; "
        "+ pool p5; + pool p6; + pool p7; + pool p8; + pool p9; and 2 more"
    )


def test_a_back_end_that_goes_is_told_with_the_shares():
    """What it had went to the others."""
    moments = [shared(0.5, 0.5), shared(0.5, 0.5), Standings({}, {"web": Shares({}, {ONE: 1.0})})]

    assert told(*moments)[1] == [
        ("load", "web", f"shares: {ONE} 50% -> 100%, {TWO} 50% -> 0%"),
    ]
