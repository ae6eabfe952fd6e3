"""
The tables: what people see of each answer; which columns, in which order, with which words.

Pure: takes the daemon's data, gives blocks; `render` writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    Row = dict[str, Any]

NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Column:
    """
    One column: its title and what of a row stands in it; numbers stand to the right.

    An optional one is for tables where it has something to say: see `speaking`.  Prose may take
    several lines before anything else has to.
    """

    title: str
    source: str | Callable[[Row], object]
    right: bool = False
    optional: bool = False
    prose: bool = False

    def cell(self, row: Row) -> str:
        """The text in *row*."""
        value = row[self.source] if isinstance(self.source, str) else self.source(row)
        return text(value)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one kind; *empty* is what to say when there is none."""

    columns: Sequence[Column]
    rows: Sequence[Row]
    empty: str

    def cells(self) -> list[list[str]]:
        """Every row as texts."""
        return [[column.cell(row) for column in self.columns] for row in self.rows]


@dataclass(frozen=True, slots=True)
class Fields:
    """One thing: a name and a value to a line."""

    pairs: Sequence[tuple[str, object]]


@dataclass(frozen=True, slots=True)
class Lines:
    """Sentences."""

    lines: Sequence[str]


Block = Table | Fields | Lines


def text(value: object) -> str:
    """Write a cell: never empty, and nothing that a terminal would obey."""
    if isinstance(value, list | tuple):
        value = ",".join(str(item) for item in value)
    shown = NOTHING if value is None or value == "" else str(value)
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown)


def speaking(columns: Sequence[Column], rows: Sequence[Row]) -> list[Column]:
    """Leave out the optional columns that have nothing in any row."""
    return [
        column
        for column in columns
        if not column.optional or any(column.cell(row) != NOTHING for row in rows)
    ]


def _idle(row: Row) -> str:
    return f"{row['idle_seconds']:.1f}"


VIPS = (
    Column("VIP", "vip"),
    Column("POOL", "pool"),
    Column("APP", "app", optional=True),
    Column("CONNECTIONS", "connections", right=True),
)
NICS = (
    Column("NIC", "name"),
    Column("MODE", "mode"),
    Column("PROGRAM", "program_tag"),
    Column("PACKETS", "packets", right=True),
    Column("DROPS", "drops", right=True),
)
PSEUDO_AT_A_GLANCE = (
    Column("PSEUDO", "name"),
    Column("ADDRESSES", "addresses"),
    Column("STATE", "state"),
)
APPS_AT_A_GLANCE = (
    Column("APP", "name"),
    Column("VIPS", "vips"),
    Column("STATE", "state"),
    Column("PACKETS", "packets", right=True),
)
ROUTES = (
    Column("PREFIX", "prefix"),
    Column("NEXT-HOP", "next_hop"),
    Column("NIC", "nic"),
    Column("MAC", "mac"),
    Column("STATE", "state"),
)
NEIGHBORS = (
    Column("ADDRESS", "address"),
    Column("NIC", "nic"),
    Column("MAC", "mac"),
    Column("STATE", "state"),
    Column("USED-BY", "used_by"),
)
CONNECTIONS = (
    Column("PROTOCOL", "protocol"),
    Column("CLIENT", "client"),
    Column("VIP", "vip"),
    Column("BACKEND", "backend"),
    Column("STATE", "state"),
    Column("IDLE", _idle, right=True),
    Column("POOL", "pool"),
)
GENERATIONS = (
    Column("GENERATION", "generation", right=True),
    Column("ACTIVE", lambda row: "*" if row["active"] else ""),
    Column("TIME", "time"),
    Column("WHO", "who"),
    Column("WHAT", "what", prose=True),
)
ADD_POOL = "no pools; add one with `lbctl pool add`"


def status(data: Row) -> list[Block]:
    """The switch at a glance."""
    used, size = data["connections"]["used"], data["connections"]["size"]
    states = (f"{count} {state}" for state, count in data["backends"].items())
    pairs = (
        ("name", data["name"]),
        ("version", data["version"]),
        ("generation", f"{data['generation']} (buffer {data['active_buffer']})"),
        ("pools", data["pools"]),
        ("back-ends", ", ".join(states)),
        ("connections", f"{used} of {size}"),
    )
    warnings = [f"warning: {line}" for line in data["warnings"]]
    nics = Table(NICS, data["nics"], "no NIC is attached")
    programs = (
        Table(PSEUDO_AT_A_GLANCE, data["pseudo"], ""),
        Table(APPS_AT_A_GLANCE, data["apps"], ""),
    )
    return [
        Fields(pairs),
        nics,
        *(table for table in programs if table.rows),
        *([Lines(warnings)] if warnings else []),
    ]


def vips(data: list[Row]) -> list[Block]:
    """The VIPs of all pools and network applications."""
    return [Table(speaking(VIPS, data), data, ADD_POOL)]


def routes(data: list[Row]) -> list[Block]:
    """The routing table."""
    return [Table(ROUTES, data, "no routes; see `ip route` and `lbctl status`")]


def neighbors(data: list[Row]) -> list[Block]:
    """The neighbors."""
    return [Table(NEIGHBORS, data, "no neighbors are needed")]


def connections(data: list[Row]) -> list[Block]:
    """The connection table."""
    return [Table(CONNECTIONS, data, "no connections")]


def count(data: Row) -> list[Block]:
    """A number."""
    return [Lines([str(data["count"])])]


def changes(data: Row) -> list[Block]:
    """What a configuration changes or would change."""
    return [Lines(data["changes"] or ["no changes"])]


def applied(data: Row) -> list[Block]:
    """What a configuration has changed."""
    done = f"generation {data['generation']} is active"
    return [Lines([*data["changes"], done] if data["changes"] else [f"no changes; {done}"])]


def generations(data: list[Row]) -> list[Block]:
    """The history."""
    return [Table(GENERATIONS, data, "no generations")]


def texts(block: Table) -> Iterable[list[str]]:
    """The title and the rows of a table as texts."""
    return ([column.title for column in block.columns], *block.cells())
