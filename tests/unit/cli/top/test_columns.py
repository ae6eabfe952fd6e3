"""
Which columns find room, and in which order rows stand.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbctl.cli.top.columns import GAP, Column, fit, ordered
from lbctl.cli.top.pages import BACKENDS

NAME = Column("NAME", "name", least=10, most=20, right=False, largest_first=False)
LOAD = Column("LOAD", "load", least=4, rank=1, optional=True)
SIZE = Column("SIZE", "size", least=6, rank=2)
TREND = Column("TREND", "trend", least=5, most=30, right=False, rank=3, stretch=True)
ALL = (NAME, LOAD, SIZE, TREND)


def row(name="web", load=1, size=2):
    """A row."""
    return {"name": name, "load": load, "size": size, "trend": ()}


def widths(rows, width, columns=ALL):
    """The columns that were chosen, by title."""
    return {column.title: size for column, size in fit(columns, rows, width)}


def test_what_is_left_over_goes_to_those_that_can_use_it():
    """
    A short name takes no more than it needs; the trend takes what it gets.
    """
    assert {"NAME": 4, "LOAD": 4, "SIZE": 6, "TREND": 23} == widths([row()], 40)
    assert {"NAME": 17, "LOAD": 4, "SIZE": 6, "TREND": 10} == widths([row("w" * 17)], 40)


def test_the_least_important_goes_first():
    """
    Then the next; what has rank 0 stays, however narrow it is.
    """
    assert ["NAME", "LOAD", "SIZE"] == list(widths([row("w" * 10)], 25))
    assert ["NAME", "LOAD"] == list(widths([row("w" * 10)], 17))
    assert ["NAME"] == list(widths([row("w" * 10)], 3))


def test_an_optional_column_has_something_to_say():
    """
    In one row at least; a zero is something.
    """
    assert "LOAD" not in widths([row(load=None)], 40)
    assert "LOAD" in widths([row(load=None), row(load=0)], 40)


def test_figures_keep_their_room():
    """
    They change all the time, and columns must not dance.
    """
    assert widths([row(size=1)], 40) == widths([row(size=99999)], 40)


def test_ordered():
    """
    Largest first, or the other way; what has no value comes last; equals by their names.
    """
    rows = [row("b", 1), row("d", None), row("a", 1), row("c", 7)]

    assert "cabd" == "".join(r["name"] for r in ordered(rows, LOAD, reverse=False))
    assert "abcd" == "".join(r["name"] for r in ordered(rows, LOAD, reverse=True))
    assert "abcd" == "".join(r["name"] for r in ordered(rows, NAME, reverse=False))
    assert "dcba" == "".join(r["name"] for r in ordered(rows, NAME, reverse=True))


@given(st.integers(78, 300), st.text("0123456789.", min_size=1, max_size=47))
def test_the_widest_page_fits(width, name):
    """
    In 80 columns and more nothing is wider than the terminal, whatever the address.
    """
    full = {column.key: 1 for column in BACKENDS}
    rows = [{**full, "name": name, "state": "draining", "health": "unknown", "trend": ()}]

    assert sum(size + GAP for _, size in fit(BACKENDS, rows, width)) - GAP <= width
