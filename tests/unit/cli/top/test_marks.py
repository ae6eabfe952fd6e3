"""
Figures in few characters.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.cli.top.marks import ASCII, UNICODE, bar, clip, marks_for, percent, short, sparkline

NUMBERS = st.floats(0, 1e20)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (None, "-"),
        (0, "0"),
        (7, "7"),
        (0.25, "0.2"),
        (9.96, "10.0"),
        (99.94, "99.9"),
        (99.96, "100"),
        (999, "999"),
        (999.6, "1.00k"),
        (1234, "1.23k"),
        (12345, "12.3k"),
        (99960, "100k"),
        (4_560_000, "4.56M"),
        (10**18, "1.00E"),
    ],
)
def test_short(number, expected):
    """
    Three digits, and a unit where one is needed.
    """
    assert expected == short(number)


@given(NUMBERS)
def test_short_is_short_and_true(number):
    """
    Five characters hold every rate that there can be, to half a per cent or to a tenth.
    """
    written = short(number)
    unit = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
    value = float(written.rstrip("kMGTPE")) * unit.get(written[-1], 1)

    assert len(written) <= 5
    assert value == pytest.approx(number, rel=0.0051, abs=0.051)


@pytest.mark.parametrize(
    ("part", "expected"),
    [(None, "-"), (0.0, "0%"), (0.004, "0.4%"), (0.333, "33%"), (1.0, "100%"), (1.25, "125%")],
)
def test_percent(part, expected):
    """
    Small parts have a digit more.
    """
    assert expected == percent(part)


@pytest.mark.parametrize(
    ("values", "width", "expected"),
    [
        ([], 4, "    "),
        ([0, 0], 4, "    "),
        ([1, 2, 3, 4, 5, 6, 7, 8], 8, "▁▂▃▄▅▆▇█"),
        ([1000, 1, 8], 2, "▁█"),
        ([0, 0.001, 1000], 5, "   ▁█"),
        ([1], 0, ""),
    ],
)
def test_sparkline(values, width, expected):
    """
    The newest to the right, as a part of the largest that is shown; little is not nothing.
    """
    assert expected == sparkline(values, width, UNICODE)


def test_without_unicode():
    """
    Every mark has another that any terminal shows.
    """
    assert " .#" == sparkline([0, 1, 100], 3, ASCII)
    assert "##........" == bar(0.2, 10, ASCII)
    assert all("".join(marks).isascii() is (marks is ASCII) for marks in (ASCII, UNICODE))


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [("utf-8", UNICODE), ("UTF8", UNICODE), ("iso8859-1", ASCII), ("ascii", ASCII), (None, ASCII)],
)
def test_marks_for_a_terminal(encoding, expected):
    """
    Its encoding decides.
    """
    assert expected == marks_for(encoding)


@pytest.mark.parametrize(
    ("part", "expected"), [(0, "-----"), (0.001, "#----"), (0.5, "##---"), (1.2, "#####")]
)
def test_bar(part, expected):
    """
    A little is seen as a little, and more than all is all.
    """
    assert expected == bar(part, 5, ASCII._replace(empty="-"))


@given(st.text(), st.integers(0, 30))
def test_clip_keeps_both_ends(text, width):
    """
    Of addresses the end tells which; what fits is left alone.
    """
    found = clip(text, width, "~")

    assert len(found) == min(len(text), width)
    if len(text) <= width:
        assert text == found
    elif width > 2:
        head, _, tail = found.partition(found[(width - 1) // 2])
        assert text.startswith(head)
        assert text.endswith(found[(width - 1) // 2 + 1 :]), (head, tail)
