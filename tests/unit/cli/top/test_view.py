"""
What keys do.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.cli.top.view import KEYS, STEPS, Order, Page, View, press

NAMES = ["dns", "mail", "web"]


def after(*keys, view=None, names=NAMES):
    """The view after some keys."""
    view = view or View()
    for key in keys:
        view = press(view, key, names)
    return view


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["down"], 1),
        (["j", "j"], 2),
        (["j", "j", "j", "j", "k"], 1),
        (["up"], 0),
        (["page down"], 2),
        (["end"], 2),
        (["G", "g"], 0),
    ],
)
def test_selecting(keys, expected):
    """
    Down to the last row and up to the first, and no further.
    """
    assert expected == after(*keys).chosen(NAMES)


def test_the_selected_row_may_move():
    """
    It is selected by its name: another order does not select another row.
    """
    view = after("down")

    assert 2 == view.chosen(["web", "dns", "mail"])
    assert 0 == view.chosen(["web", "dns"])


def test_there_and_back():
    """
    Into a pool, to the drops, back to the pool, back to the overview with the pool selected.
    """
    inside = after("down", "enter")
    drops = after("d", view=inside)
    back = after("escape", view=drops)
    out = after("backspace", view=back)

    assert (Page.POOL, "mail") == (inside.page, inside.pool)
    assert (Page.DROPS, Page.POOL) == (drops.page, back.page)
    assert (Page.OVERVIEW, "", 1) == (out.page, out.pool, out.chosen(NAMES))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["d"], Page.DROPS),
        (["d", "d"], Page.OVERVIEW),
        (["d", "escape"], Page.OVERVIEW),
        (["escape"], Page.OVERVIEW),
        (["d", "enter"], Page.DROPS),
        (["a"], Page.APPS),
        (["a", "a"], Page.OVERVIEW),
        (["a", "escape"], Page.OVERVIEW),
        (["a", "d"], Page.DROPS),
        (["enter", "a", "escape"], Page.POOL),
    ],
)
def test_aside_and_back(keys, expected):
    """
    To drops or applications, and to where one was; there is nothing to go into there.
    """
    assert expected == after(*keys).page


def test_each_page_has_its_order():
    """
    Column and direction, kept while one is elsewhere.
    """
    view = after("s", "s", "S", "d", "s", "escape")

    assert Order(2, reverse=True) == view.order
    assert Order(1) == view.orders[Page.DROPS]


def test_another_column_begins_the_usual_way():
    """
    Largest first, or A to Z.
    """
    assert Order(1) == after("S", "s").order


def test_help_goes_with_any_key():
    """
    Which does nothing else, but for q.
    """
    assert after("?").help
    assert View() == after("?", "j")
    assert after("?", "q").done


def test_pause_and_end():
    """
    Pressing p twice is as before.
    """
    assert after("p").paused
    assert not after("p", "p").paused
    assert after("q").done


def test_nothing_to_select():
    """
    No rows: no pool to go into.
    """
    assert View() == after("down", "enter", "up", names=[])


@given(st.lists(st.sampled_from([*KEYS, *STEPS, "x", "é", ""])), st.lists(st.text(), unique=True))
def test_no_keys_lead_astray(keys, names):
    """
    Whatever is pressed, a pool is open exactly where one was gone into, and a row is selected.
    """
    view = after(*keys, names=names)

    assert 0 <= view.chosen(names) <= max(0, len(names) - 1)
    assert view.page is not Page.POOL or view.pool in names
    assert view.page is not Page.OVERVIEW or not view.pool
