"""The report of a measurement: a table for people, JSON for programs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


class WrongVerdict(Exception):
    """A measurement did not measure what its name says."""


@dataclass(frozen=True)
class Row:
    """One figure: its rounds, in *unit*; *target* is the most (or, if *at_least*, the least)."""

    name: str
    values: Sequence[float]
    unit: str
    target: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def median(self) -> float:
        """The figure itself."""
        return statistics.median(self.values)

    @property
    def best(self) -> float:
        """The figure when nobody else was on the machine."""
        return max(self.values) if self.at_least else min(self.values)

    @property
    def met(self) -> bool | None:
        """Is the target met?  None without one."""
        if self.target is None:
            return None
        return self.median >= self.target if self.at_least else self.median <= self.target

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "median": self.median,
            "min": min(self.values),
            "max": max(self.values),
            "rounds": len(self.values),
            "unit": self.unit,
            "target": self.target,
            "met": self.met,
            "note": self.note,
        }


@dataclass
class Report:
    """What one measurement found; *series*: what it saw in time, in JSON only, to be plotted."""

    title: str
    mode: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    series: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        rows = [row.as_dict() for row in self.rows]
        found = {"title": self.title, "mode": self.mode, "rows": rows, "notes": self.notes}
        return {**found, "series": self.series} if self.series else found

    def text(self) -> str:
        """For people."""
        head = ("", "median", "min..max", "rounds", "target", "", "")
        lines = [head, *(_cells(row) for row in self.rows)]
        return "\n".join(
            [f"## {self.title}", f"   mode: {self.mode}", *_align(lines), *_indent(self.notes)]
        )


def _cells(row: Row) -> tuple[str, ...]:
    target = ""
    if row.target is not None:
        target = f"{'>=' if row.at_least else '<='} {_number(row.target)}"
    return (
        row.name,
        f"{_number(row.median)} {row.unit}",
        f"{_number(min(row.values))}..{_number(max(row.values))}",
        str(len(row.values)),
        target,
        {None: "", True: "met", False: "MISSED"}[row.met],
        row.note,
    )


def _number(value: float) -> str:
    """Three digits or so."""
    if value and abs(value) < 10:
        return f"{value:.2f}"
    return f"{value:,.1f}" if abs(value) < 100 and value % 1 else f"{value:,.0f}"


def _align(lines: Iterable[Sequence[str]]) -> list[str]:
    lines = list(lines)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if column in (0, 5, 6) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def _indent(notes: Iterable[str]) -> list[str]:
    return [f"   {note}" for note in notes]
