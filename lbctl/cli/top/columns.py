"""
The columns: what stands in a table of the screen, and which of them find room in it.

Pure: rows and a width in, columns with their widths out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lbctl.cli.tables import Row

    Fitted = list[tuple["Column", int]]

GAP = 1  # characters between two columns


@dataclass(frozen=True, slots=True)
class Column:
    """
    One column: what of a row stands in it, how it is written, and how much room it wants.

    *least* characters, or it is left out: those with the highest *rank* go first, those of rank 0
    stay.  Up to *most*, if there is room and if it has so much to say, which one that stretches
    always has.  An optional one is for rows that have something to say in it.
    """

    title: str
    key: str
    write: Callable[[Any], str] = str
    least: int = 5
    most: int = 0
    right: bool = True
    rank: int = 0
    optional: bool = False
    stretch: bool = False
    largest_first: bool = True

    def room(self, rows: Iterable[Row]) -> int:
        """
        What it must have.

        Words may need less than their least; figures, which change all the time, keep it.
        """
        keeps = self.right or self.stretch
        return self.least if keeps else min(self.least, self.need(rows))

    def need(self, rows: Iterable[Row]) -> int:
        """Characters of its longest text."""
        if self.stretch:
            return self.most
        return max([len(self.title), *(len(self.write(row[self.key])) for row in rows)])


def fit(columns: Sequence[Column], rows: Sequence[Row], width: int) -> Fitted:
    """
    Choose columns for *width* characters, and give them their widths.

    What is left over goes to those that can use it, from left to right.
    """
    chosen = [
        column
        for column in columns
        if not column.optional or any(row[column.key] is not None for row in rows)
    ]
    rooms = {column: column.room(rows) for column in chosen}
    while _total(rooms.values()) > width and any(column.rank for column in rooms):
        del rooms[max(rooms, key=lambda column: column.rank)]
    spare = max(0, width - _total(rooms.values()))
    for column, room in rooms.items():
        if column.most > room:
            more = min(spare, max(0, min(column.need(rows), column.most) - room))
            rooms[column] += more
            spare -= more
    return list(rooms.items())


def _total(rooms: Iterable[int]) -> int:
    return sum(room + GAP for room in rooms) - GAP


def ordered(rows: Sequence[Row], column: Column, *, reverse: bool) -> list[Row]:
    """
    Sort *rows* by *column*, or the other way round.

    What has no value comes last; equals stand in the order of their names, both ways.
    """
    known = sorted((row for row in rows if row[column.key] is not None), key=_name)
    known.sort(key=lambda row: row[column.key], reverse=column.largest_first != reverse)
    return known + sorted((row for row in rows if row[column.key] is None), key=_name)


def _name(row: Row) -> str:
    name: str = row["name"]
    return name
