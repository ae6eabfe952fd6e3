"""
The report tables: what people see of health, load agents and events.

Pure, like `tables`; what has nothing to say is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbctl.cli.tables import NOTHING, Column, Fields, Lines, Table, speaking, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbctl.cli.tables import Block, Row

UP = {True: "up", False: "down", None: "unknown"}
KIND = len("configuration")  # the longest kind of event: what follows stands in line


def _milliseconds(seconds: float | None) -> str | None:
    return None if seconds is None else f"{1000 * seconds:.1f}ms"


def _seconds(seconds: float | None) -> str | None:
    return None if seconds is None else f"{seconds:.1f}"


def _percent(part: float | None) -> str | None:
    return None if part is None else f"{part:.0%}"


def _said(key: str, write: Callable[[float | None], object] = lambda value: value) -> Column:
    """A figure of an agent's report."""

    def source(row: Row) -> object:
        return write(row["report"][key]) if row["report"] else None

    return Column(key.upper(), source, right=True, optional=True)


HEALTH = (
    Column("POOL", "pool"),
    Column("ADDRESS", "address"),
    Column("CHECK", "check"),
    Column("UP", lambda row: UP[row["up"]]),
    Column("SINCE", "since"),
    Column("OK", "successes", right=True),
    Column("FAIL", "failures", right=True),
    Column("RESPONSE", lambda row: _milliseconds(row["response_seconds"]), right=True),
    Column("INHIBITED", "inhibited_until", optional=True),
    Column("REASON", "reason", optional=True, prose=True),
)
AGENTS = (
    Column("ADDRESS", "address"),
    Column("KIND", "kind"),
    Column("STATE", "state"),
    Column("AGE", lambda row: _seconds(row["age_seconds"]), right=True),
    _said("cpu", _percent),
    _said("memory", _percent),
    _said("utilization", _percent),
    _said("clients"),
    _said("weight", _percent),
    _said("wish"),
    Column("PROBLEM", "problem", optional=True, prose=True),
)
EVENTS = (
    Column("TIME", "time"),
    Column("KIND", "kind"),
    Column("SUBJECT", "subject"),
    Column("TEXT", "text", prose=True),
)
FIGURES = {
    "cpu": _percent,
    "memory": _percent,
    "utilization": _percent,
    "execution_seconds": _milliseconds,
    "weight": _percent,
}


def health(data: list[Row]) -> list[Block]:
    """What checks found."""
    empty = "nothing is checked; begin with `lbctl pool set POOL --check tcp`"
    return [Table(speaking(HEALTH, data), data, empty)]


def looked(data: Row) -> list[Block]:
    """What one check found."""
    well = "well" if data["ok"] else "not well"
    reason = f": {data['reason']}" if data["reason"] else ""
    return [Lines([f"{well}{reason}"])]


def agents(data: list[Row]) -> list[Block]:
    """All load agents."""
    return [Table(speaking(AGENTS, data), data, "no load agents; add one with `lbctl agent add`")]


def agent(data: Row) -> list[Block]:
    """One load agent with all it said."""
    pairs = [
        *((name, data[name]) for name in ("address", "kind", "state", "backends")),
        ("age", _seconds(data["age_seconds"])),
        *((name, data[name]) for name in ("answers", "failures", "refused", "problem")),
        *((data["report"] and _figures(data["report"])) or ()),
    ]
    return [Fields([(_title(name), value) for name, value in pairs])]


def _figures(report: Row) -> list[tuple[str, object]]:
    """What a report tells; what it does not tell is left out."""
    return [
        (name, FIGURES[name](value) if name in FIGURES else value)
        for name, value in report.items()
        if text(value) != NOTHING
    ]


def _title(name: str) -> str:
    titles = {"backends": "back-ends", "execution_seconds": "execution-time"}
    return titles.get(name, name.replace("_", "-"))


def events(data: list[Row]) -> list[Block]:
    """What has happened."""
    return [Table(EVENTS, data, "nothing has happened yet")]


def event(data: Row) -> str:
    """One event in a line."""
    when, kind, subject, what = (column.cell(data) for column in EVENTS)
    return f"{when}  {kind:{KIND}}  {subject}  {what}"
