"""
Which neighbor the kernel is asked to look for, and when.
"""

from __future__ import annotations

import itertools
from ipaddress import ip_address

import pytest

from lbctl.control.routing.neighbors import (
    LAST_RETRY,
    PATIENCE,
    PERIOD,
    RATE,
    NeighborKeeper,
    Request,
    Verb,
)
from lbctl.control.routing.records import Nud

KEY, OTHER = (2, ip_address("10.0.1.11")), (2, ip_address("2001:db8::11"))


class Clock:
    """Runs a keeper against neighbors that answer or not, event by event."""

    def __init__(self, *keys, state=Nud.STALE):
        self.keeper = NeighborKeeper()
        self.now = 100.0
        self.asked: list[tuple[float, Request]] = []
        self.answers = True
        self.keeper.watch(set(keys), self.now)
        for key in keys:
            self.keeper.seen(key, state, self.now)

    def answer(self, request):
        """Do what the kernel would, and tell of it as it would."""
        key = request.neighbor
        if request.verb is Verb.PROBE:
            self.keeper.seen(key, Nud.PROBE, self.now)
        elif request.verb is Verb.SEARCH:
            self.keeper.seen(key, Nud.FAILED, self.now)
        if self.answers:
            self.keeper.seen(key, Nud.REACHABLE, self.now + 0.001)

    def run(self, seconds):
        """Let time pass; returns what was asked."""
        self.asked.clear()
        end = self.now + seconds
        while (due := self.keeper.deadline()) is not None and due <= end:
            self.now = max(self.now, due)
            for request in self.keeper.due(self.now):
                self.asked.append((self.now, request))
                self.answer(request)
        self.now = end
        return [request for _, request in self.asked]


def test_a_neighbor_is_asked_about_once_a_period():
    """
    The kernel would not do it: it sees none of the packets.
    """
    clock = Clock(KEY)

    requests = clock.run(10)

    assert {Request(Verb.PROBE, KEY)} == set(requests)
    assert 10 / PERIOD == pytest.approx(len(requests), abs=1)


def test_one_that_does_not_answer_is_searched_for():
    """
    Its MAC may have changed, so that a question to the old one is lost.
    """
    clock = Clock(KEY, state=Nud.REACHABLE)
    clock.run(3)
    clock.answers = False

    requests = clock.run(PERIOD + PATIENCE + 0.1)

    assert [Request(Verb.PROBE, KEY), Request(Verb.SEARCH, KEY)] == requests
    assert PATIENCE == pytest.approx(clock.asked[1][0] - clock.asked[0][0], abs=0.07)


def test_one_that_cannot_be_found_is_looked_for_ever_more_rarely():
    """
    But never given up.
    """
    clock = Clock(KEY, state=Nud.FAILED)
    clock.answers = False

    clock.run(60)

    times = [when for when, _ in clock.asked]
    gaps = [late - early for early, late in itertools.pairwise(times)]
    assert {Verb.USE} == {request.verb for _, request in clock.asked}
    assert sorted(gaps) == gaps
    assert LAST_RETRY == pytest.approx(gaps[-1], abs=0.1)


def test_one_that_comes_back_is_asked_often_again():
    """
    Whoever found it: the kernel tells of it.
    """
    clock = Clock(KEY, state=Nud.FAILED)
    clock.answers = False
    clock.run(60)
    clock.answers = True
    clock.keeper.seen(KEY, Nud.STALE, clock.now)
    clock.keeper.seen(KEY, Nud.REACHABLE, clock.now)

    assert {Request(Verb.PROBE, KEY)} == set(clock.run(2))


def test_one_that_the_kernel_forgets_is_looked_for_at_once():
    """
    The kernel throws neighbors away when it has too many.
    """
    clock = Clock(KEY, state=Nud.REACHABLE)
    clock.run(PERIOD / 2)

    clock.keeper.seen(KEY, Nud.NONE, clock.now)

    assert Request(Verb.USE, KEY) == clock.run(0.1)[0]


def test_a_refusal_of_the_kernel_is_no_reason_to_insist():
    """
    Its table is full, say: the request fails, and the daemon says so by NONE.
    """
    clock = Clock(KEY, state=Nud.FAILED)
    clock.answers = False
    clock.answer = lambda request: clock.keeper.seen(request.neighbor, Nud.NONE, clock.now)

    assert len(clock.run(60)) < 15


@pytest.mark.parametrize("state", [Nud.PERMANENT, Nud.NOARP])
def test_one_that_the_administrator_has_set_is_left_alone(state):
    """
    A request would overwrite it.
    """
    assert [] == Clock(KEY, state=state).run(60)


def test_many_neighbors_share_the_rate_and_none_is_left_out():
    """
    Never more than RATE requests in any second.
    """
    keys = [(2, ip_address(f"10.0.{n // 250}.{n % 250}")) for n in range(500)]
    clock = Clock(*keys)

    clock.run(40)

    times = [when for when, _ in clock.asked]
    for index, when in enumerate(times[:-RATE]):
        assert times[index + RATE] - when >= 0.99
    assert set(keys) == {request.neighbor for _, request in clock.asked}


def test_the_dead_do_not_starve_the_living():
    """
    Hundreds of dead back-ends are looked for, and the live one is still asked in time.
    """
    dead = [(2, ip_address(f"10.0.{n // 250}.{n % 250}")) for n in range(250, 650)]
    clock = Clock(*dead, state=Nud.FAILED)
    clock.answers = False
    clock.keeper.watch({*dead, KEY}, clock.now)
    clock.keeper.seen(KEY, Nud.STALE, clock.now)

    clock.run(60)

    asked = [when for when, request in clock.asked if request.neighbor == KEY]
    assert max(late - early for early, late in itertools.pairwise(asked)) < 30


def test_a_neighbor_that_is_no_longer_named_is_no_longer_watched():
    """
    Two families at one moment do not trouble the order.
    """
    clock = Clock(KEY, OTHER)
    assert {KEY, OTHER} == {request.neighbor for request in clock.run(2)}

    clock.keeper.watch({OTHER}, clock.now)
    assert {OTHER} == {request.neighbor for request in clock.run(3)}
    clock.keeper.watch(set(), clock.now)

    assert clock.keeper.deadline() is None
