"""The observed traffic: rates and shares of new connections, from totals that only grow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.control.supervision.traffic import ENOUGH, WINDOW, ObservedTraffic, Totals
from tests.unit.control.fakes import ONE, TWO

A, B = ("web", ONE), ("web", TWO)


def observed(*moments: tuple[float, int, int]) -> ObservedTraffic:
    """(time, connections of A, connections of B) again and again."""
    traffic = ObservedTraffic()
    for now, one, two in moments:
        traffic.observe(now, {A: Totals(one), B: Totals(two)})
    return traffic


def test_nothing_is_known_at_the_first_look():
    """What was counted before is nobody's."""
    traffic = observed((0, 1000, 500))

    assert [traffic.rate(A), traffic.measured([A, B])] == [0, [None, None]]


def test_the_rate_is_of_the_last_seconds():
    """However often somebody looked; an old burst does not count."""
    traffic = observed((0, 0, 0), (1, 90, 1), (2, 92, 2), (3, 94, 3), (4, 96, 4))

    assert [traffic.rate(A), traffic.rate(B)] == [2, 1]


@given(st.lists(st.floats(0.05, 8), min_size=1, max_size=30))
def test_a_steady_rate_is_found_whatever_the_distance_of_the_looks(distances):
    """Also when there is more time between two looks than a rate is made of."""
    now, moments = 0.0, [(0.0, 0, 0)]
    for distance in distances:
        now += distance
        moments.append((now, round(1000 * now), 0))

    assert observed(*moments).rate(A) == pytest.approx(1000, rel=0.05)


def test_two_looks_at_once_are_no_division_by_zero():
    """A failure and the regular look may coincide."""
    assert observed((0, 0, 0), (0, 5, 0)).rate(A) == 0


def test_measured_shares_are_parts_of_what_was_new():
    """Of those who are asked for."""
    traffic = observed((0, 100, 0), (1, 130, 10))

    assert traffic.measured([A, B]) == [0.75, 0.25]
    assert traffic.measured([A]) == [1.0]
    assert traffic.measured([("web", None), A]) == [0, 1]


def test_too_few_connections_say_nothing():
    """Until there are enough."""
    assert observed((0, 0, 0), (1, ENOUGH - 2, 1)).measured([A, B]) == [None, None]
    assert observed((0, 0, 0), (1, ENOUGH, 0)).measured([A, B]) == [1, 0]


def test_old_traffic_is_forgotten():
    """After the window."""
    traffic = observed((0, 0, 0), (1, 100, 0), (1 + WINDOW, 100, 50), (2 + WINDOW, 100, 50))

    assert traffic.measured([A, B]) == [0, 1]


def test_counters_that_began_anew_are_understood():
    """A removed back-end that comes back starts at 0."""
    traffic = observed((0, 1000, 0), (1, 30, 10))

    assert traffic.measured([A, B]) == [0.75, 0.25]


def test_who_is_gone_is_forgotten():
    """And is new when it comes back."""
    traffic = observed((0, 0, 0), (1, 100, 100))
    traffic.observe(2, {B: Totals(100)})
    traffic.observe(3, {A: Totals(500), B: Totals(100)})

    assert [traffic.rate(A), traffic.measured([A, B])] == [0, [0, 1]]


def test_totals_add_up_field_by_field():
    """A server has a record for each VIP."""
    assert Totals(1, 2, 3, 4) + Totals(10, 20, 30, 40) == Totals(11, 22, 33, 44)
    assert Totals(4, 3, 2, 1) + (1, 2, 3, 4) == Totals(5, 5, 5, 5)  # noqa: RUF005 - no tuple
