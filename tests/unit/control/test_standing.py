"""How back-ends stand, and whether two moments differ in what packets see."""

from __future__ import annotations

import pytest

from lbctl.control.standing import EXACT, NOTHING_FOUND, Shares, Standing, Standings, differ
from lbctl.model import Backend, State
from tests.unit.control.fakes import ONE, TWO, standings


def shared(one: float, two: float, **fields) -> Standings:
    """Shares of the pool web."""
    given = {ONE: one, TWO: two}
    return Standings({}, {"web": Shares(**{"wanted": given, "given": given, **fields})})


def test_trouble_counts_only_where_a_back_end_is_wanted():
    """What the administrator wants goes first."""
    found = standings(ONE)

    assert found.of("web", Backend(address=ONE)) == (State.DOWN, "no answer")
    assert found.of("web", Backend(address=TWO)) == Standing(State.ACTIVE)
    assert found.of("other", Backend(address=ONE)) == Standing(State.ACTIVE)
    drained = Backend(address=ONE, state=State.DRAINING)
    assert found.of("web", drained) == Standing(State.DRAINING)


SAME = {
    "nothing": (NOTHING_FOUND, NOTHING_FOUND),
    "another reason": (
        Standings({("web", ONE): Standing(State.DOWN, "refused")}, {}),
        standings(ONE),
    ),
    "rounding": (shared(0.5, 0.5), shared(0.5 + EXACT / 2, 0.5 - EXACT / 2)),
    "what is wanted but not given": (shared(0.5, 0.5), shared(0.5, 0.5, wanted={ONE: 1, TWO: 0})),
    "a problem": (shared(0.5, 0.5), shared(0.5, 0.5, problem="the plugin failed")),
}
DIFFERENT = {
    "one died": (NOTHING_FOUND, standings(ONE)),
    "another died": (standings(ONE), standings(TWO)),
    "draining, then down": (standings(ONE, state=State.DRAINING), standings(ONE)),
    "in another pool": (standings(ONE), standings(ONE, pool="other")),
    "a share": (shared(0.5, 0.5), shared(0.6, 0.4)),
    "a share of another back-end": (
        shared(0.5, 0.5),
        Standings({}, {"web": Shares({}, {ONE: 0.5})}),
    ),
    "no shares any more": (shared(0.5, 0.5), NOTHING_FOUND),
}


@pytest.mark.parametrize("moments", SAME.values(), ids=SAME)
def test_what_packets_do_not_see_is_no_difference(moments):
    """Nothing has to be published for it."""
    assert [differ(*moments), differ(*moments[::-1])] == [False, False]


@pytest.mark.parametrize("moments", DIFFERENT.values(), ids=DIFFERENT)
def test_what_packets_see_is_a_difference(moments):
    """Whichever came first."""
    assert [differ(*moments), differ(*moments[::-1])] == [True, True]
