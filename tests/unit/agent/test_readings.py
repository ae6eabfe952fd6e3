"""The readings: averages, growth of counters, and one report of several."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.agent.readings import Average, Growth, SourceError, checked, merge, read_small
from lbctl.agent.wire import LoadReport, Wish


def test_an_average_begins_with_the_first_value():
    """
    There is nothing else to go by.
    """
    assert 0.7 == Average(3).add(0.7, 0.5)


def test_an_old_value_fades_to_a_third():
    """
    After the time constant 1/e of it is left.
    """
    average = Average(3)
    average.add(1, 1)

    assert pytest.approx(0.36788, abs=1e-5) == average.add(0, 3)


@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=20))
def test_an_average_does_not_depend_on_the_rhythm(pauses):
    """
    Many looks at the same value come to the same as one after the same time.
    """
    often, once = Average(3), Average(3)
    often.add(1, 1)
    once.add(1, 1)
    last = [often.add(0, pause) for pause in pauses][-1]

    assert pytest.approx(once.add(0, sum(pauses)), abs=1e-9) == last


def test_growth_needs_two_looks():
    """
    Then it is the difference; a gap or a counter set back begins anew.
    """
    growth = Growth()
    values = [5, 8, 8, 2, 3, None, 9, 10, float("nan"), 11]

    assert [None, 3, 0, None, 1, None, None, 1, None, None] == [growth.since(v) for v in values]


def test_the_first_that_tells_is_right():
    """
    Of each figure; 0 is told.
    """
    reports = [LoadReport(cpu=0.0), LoadReport(cpu=0.9, memory=0.5), LoadReport(clients=3)]

    assert LoadReport(cpu=0.0, memory=0.5, clients=3) == merge(reports)


def test_the_gravest_wish_wins():
    """
    With its reason, whoever says it.
    """
    drain, down = LoadReport(wish=Wish.DRAIN, reason="a"), LoadReport(wish=Wish.DOWN, reason="b")

    assert down == merge([drain, LoadReport(wish=Wish.UP), down])
    assert down == merge([down, drain])
    assert LoadReport() == merge([LoadReport()])


def test_connections_are_put_together():
    """
    Port by port; the first to tell one is right.
    """
    reports = [LoadReport(connections={80: 1}), LoadReport(connections={80: 2, 443: 3})]

    assert {80: 1, 443: 3} == merge(reports).connections


def test_bad_figures_name_their_source():
    """
    As an error that a sampler knows.
    """
    with pytest.raises(SourceError, match="app: cpu"):
        checked("app", {"cpu": -1})


def test_only_small_regular_files_are_read(tmp_path):
    """
    A FIFO without a writer would make the agent wait for ever.
    """
    (tmp_path / "large").write_bytes(b"x" * 11)
    os.mkfifo(tmp_path / "fifo")

    with pytest.raises(SourceError, match="more than 10"):
        read_small(tmp_path / "large", 10)
    with pytest.raises(SourceError, match="regular"):
        read_small(tmp_path / "fifo", 10)
    assert b"x" * 11 == read_small(tmp_path / "large", 11)[0]
