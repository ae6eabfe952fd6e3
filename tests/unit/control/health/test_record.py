"""Rise and fall: what outcomes make of a back-end's health."""

from __future__ import annotations

from itertools import takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.control.health import record
from lbctl.control.health.record import Health
from lbctl.control.health.target import Outcome
from lbctl.model import TcpCheck

GOOD = Outcome(ok=True, reason="connected in 3 ms", seconds=0.003)
BAD = Outcome(ok=False, reason="connection refused", seconds=0.001)
UNTOLD = Outcome(ok=False, reason="too many open files", seconds=0, conclusive=False)
CHECK = TcpCheck(rise=2, fall=3)


def fold(outcomes, check=CHECK, health=None):
    """The health after each of them, a second apart."""
    health = health or record.unknown(0)
    found = []
    for now, outcome in enumerate(outcomes, 1):
        health = record.after(health, outcome, check, now)
        found.append(health)
    return found


def expected_ups(oks, rise, fall):
    """The plain model: the first decides, then a run at the end that is long enough."""
    ups = []
    for end in range(1, len(oks) + 1):
        last = oks[end - 1]
        run = len(list(takewhile(lambda ok, last=last: ok is last, reversed(oks[:end]))))
        decides = end == 1 or run >= (rise if last else fall)
        ups.append(last if decides else ups[-1])
    return ups


def test_nobody_knows_a_back_end_that_was_never_checked():
    """
    It is not up, and the reason says why.
    """
    assert Health(up=False, reason="not checked yet", since=7, checked=False) == record.unknown(7)


@pytest.mark.parametrize("outcome", [GOOD, BAD])
def test_the_first_outcome_decides(outcome):
    """
    Whatever rise and fall say.
    """
    (health,) = fold([outcome])

    assert (outcome.ok, outcome.reason, 1, True) == (
        health.up,
        health.reason,
        health.since,
        health.checked,
    )


@given(st.lists(st.booleans()), st.integers(1, 5), st.integers(1, 5))
def test_it_takes_a_run_to_change_it(oks, rise, fall):
    """
    As the plain model has it; one of the two counts is 0.
    """
    found = fold([GOOD if ok else BAD for ok in oks], TcpCheck(rise=rise, fall=fall))

    assert expected_ups(oks, rise, fall) == [health.up for health in found]
    assert all((health.successes == 0) is not (health.failures == 0) for health in found)


@given(st.lists(st.booleans(), min_size=1))
def test_since_is_the_time_of_the_last_change(oks):
    """
    Or of the first look.
    """
    found = fold([GOOD if ok else BAD for ok in oks])
    ups = [health.up for health in found]
    changes = [
        now for now in range(1, len(ups) + 1) if now == 1 or ups[now - 1] is not ups[now - 2]
    ]

    assert changes[-1] == found[-1].since


@given(st.lists(st.sampled_from([GOOD, BAD, UNTOLD])))
def test_what_is_not_conclusive_counts_for_nothing(outcomes):
    """
    Only the reason shows it.
    """
    told = fold([outcome for outcome in outcomes if outcome.conclusive])
    found = fold(outcomes)
    last, same = found[-1:], told[-1:]

    assert [outcome.reason for outcome in outcomes[-1:]] == [health.reason for health in last]
    assert [health._replace(reason="", since=0) for health in same or [record.unknown(0)]] == [
        health._replace(reason="", since=0) for health in last or [record.unknown(0)]
    ]


def test_the_time_of_the_last_success_is_kept():
    """
    A failure says nothing of it.
    """
    assert [0.003, 0.003] == [health.response_seconds for health in fold([GOOD, BAD])]
    assert [None, 0.003] == [health.response_seconds for health in fold([BAD, GOOD])]


def test_another_check_counts_anew():
    """
    What is true stays true until the new check has said otherwise often enough.
    """
    health = record.restarted(fold([GOOD, BAD, BAD])[-1])

    assert [True, True, False] == [each.up for each in fold([BAD, BAD, BAD], health=health)]


def test_only_a_server_that_is_up_and_failed_is_in_doubt():
    """
    One that is down has nothing to lose.
    """
    found = fold([GOOD, BAD, BAD, BAD, GOOD, GOOD])

    expected = [False, True, True, False, False, False]
    assert expected == [record.is_in_doubt(health) for health in found]
