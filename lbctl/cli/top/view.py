"""
The view: which page is looked at, what is selected on it, and how keys change that.

Pure: a view and a key in, a view out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Page(StrEnum):
    """What there is to look at."""

    OVERVIEW = "overview"
    POOL = "pool"
    DROPS = "drops"
    APPS = "apps"


@dataclass(frozen=True, slots=True)
class Order:
    """By which column rows are sorted (counted from 0, round and round), and whether backwards."""

    column: int = 0
    reverse: bool = False


def _first() -> dict[Page, Order]:
    return dict.fromkeys(Page, Order())


@dataclass(frozen=True, slots=True)
class View:
    """What the user sees; *selected* are the names of rows, so that they may be sorted anew."""

    page: Page = Page.OVERVIEW
    pool: str = ""  # that was gone into
    selected: Mapping[Page, str] = field(default_factory=dict)
    orders: Mapping[Page, Order] = field(default_factory=_first)
    paused: bool = False
    help: bool = False
    done: bool = False

    @property
    def order(self) -> Order:
        """How this page is sorted."""
        return self.orders[self.page]

    def chosen(self, names: Sequence[str]) -> int:
        """The place of the selected row among *names*; what is gone gives way to the first."""
        name = self.selected.get(self.page)
        return names.index(name) if name in names else 0


def press(view: View, key: str, names: Sequence[str]) -> View:
    """Do what *key* says; *names* are the rows in the order in which they are shown."""
    if key in ("q", "Q"):
        return replace(view, done=True)
    if view.help:  # any key goes back
        return replace(view, help=False)
    if key in STEPS:
        return _step(view, STEPS[key], names)
    return KEYS[key](view, names) if key in KEYS else view


def _step(view: View, step: int, names: Sequence[str]) -> View:
    if not names:
        return view
    place = min(max(0, view.chosen(names) + step), len(names) - 1)
    return replace(view, selected={**view.selected, view.page: names[place]})


def _enter(view: View, names: Sequence[str]) -> View:
    """Go into the selected pool."""
    if view.page is not Page.OVERVIEW or not names:
        return view
    pool = names[view.chosen(names)]
    selected = {**view.selected, Page.OVERVIEW: pool, Page.POOL: ""}
    return replace(view, page=Page.POOL, pool=pool, selected=selected)


def _back(view: View, _names: Sequence[str]) -> View:
    """Go to where this page was come from."""
    if view.page in (Page.DROPS, Page.APPS) and view.pool:
        return replace(view, page=Page.POOL)
    return replace(view, page=Page.OVERVIEW, pool="")


def _aside(view: View, names: Sequence[str], page: Page) -> View:
    """Go to *page*, or back from it."""
    return _back(view, names) if view.page is page else replace(view, page=page)


def _sorted(view: View, order: Order) -> View:
    return replace(view, orders={**view.orders, view.page: order})


STEPS = {
    "up": -1,
    "k": -1,
    "down": 1,
    "j": 1,
    "page up": -10,
    "page down": 10,
    "home": -(1 << 20),
    "g": -(1 << 20),
    "end": 1 << 20,
    "G": 1 << 20,
}
KEYS: dict[str, Callable[[View, Sequence[str]], View]] = {
    "enter": _enter,
    "right": _enter,
    "escape": _back,
    "backspace": _back,
    "left": _back,
    "d": lambda view, names: _aside(view, names, Page.DROPS),
    "a": lambda view, names: _aside(view, names, Page.APPS),
    "s": lambda view, _: _sorted(view, Order(view.order.column + 1)),
    "S": lambda view, _: _sorted(view, replace(view.order, reverse=not view.order.reverse)),
    "p": lambda view, _: replace(view, paused=not view.paused),
    "?": lambda view, _: replace(view, help=True),
    "h": lambda view, _: replace(view, help=True),
}
