"""
The pool tables: what people see of pools and back-ends.

Pure, like `tables`; what has nothing to say is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbctl.cli.keyed import check_text, written
from lbctl.cli.tables import ADD_POOL, NOTHING, Column, Fields, Table, speaking, text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lbctl.cli.tables import Block, Row

NOBODY = "nobody"  # gets the new connections of a pool that is down


def _written(key: str, form: str) -> Callable[[Row], object]:
    """A number in that form; None where there is none."""
    return lambda row: None if row[key] is None else format(row[key], form)


def _part(key: str) -> Callable[[Row], object]:
    """A share, in percent."""
    return _written(key, ".1%")


def _active(row: Row) -> str:
    active = sum(backend["state"] == "active" for backend in row["backends"])
    return f"{active}/{len(row['backends'])}"


def _connections(row: Row) -> int:
    return sum(backend["connections"] for backend in row["backends"])


def _served_by(row: Row) -> str | None:
    """Who serves a pool; None where that is the pool itself, or where there is nobody to serve."""
    if row["served_by"] is None and row["backends"]:
        return NOBODY
    return None if row["served_by"] == row["name"] else row["served_by"]


POOLS = (
    Column("NAME", "name"),
    Column("VIPS", "vips"),
    Column("FORWARD", "forward"),
    Column("SCHEDULER", "scheduler"),
    Column("ACTIVE", _active, right=True),
    Column("CONNECTIONS", _connections, right=True),
    Column("SERVED-BY", _served_by, optional=True),
)
HEAD = (
    Column("ADDRESS", "address"),
    Column("STATE", "state"),
    Column("WEIGHT", "weight", right=True),
)
CONNECTIONS = Column("CONNECTIONS", "connections", right=True)
REASON = Column("REASON", "reason", optional=True, prose=True)
WANTED = Column("WANTED", _part("wanted"), right=True)
SERVERS = (
    *HEAD,
    WANTED,
    Column("GIVEN", _part("share"), right=True),
    Column("MEASURED", _part("measured"), right=True, optional=True),
    CONNECTIONS,
    Column("NEW/S", _written("new_connections_per_second", ".1f"), right=True),
    Column("LOAD", _written("load", ".0%"), right=True, optional=True),
    Column("AGE", _written("report_age_seconds", ".1f"), right=True, optional=True),
    REASON,
)
BACKENDS = (
    Column("POOL", "pool"),
    *HEAD,
    Column("SHARE", _part("share"), right=True),
    CONNECTIONS,
    REASON,
)
ALWAYS = ("name", "vips", "forward", "scheduler", "on_unknown", "table_size")


def pools(data: list[Row]) -> list[Block]:
    """All pools."""
    return [Table(speaking(POOLS, data), data, ADD_POOL)]


def pool(data: Row) -> list[Block]:
    """One pool with its back-ends."""
    pairs = [(name.replace("_", "-"), data[name]) for name in ALWAYS]
    rows = data["backends"]
    return [
        Fields([*pairs, *_policy(data), *_standing(data)]),
        Table(speaking(_servers(rows), rows), rows, "no back-ends"),
    ]


def backends(data: list[Row]) -> list[Block]:
    """The back-ends of all pools or of one."""
    empty = "no back-ends; add one with `lbctl backend add`"
    return [Table(speaking(BACKENDS, data), data, empty)]


def _servers(rows: Sequence[Row]) -> Sequence[Column]:
    """Leave WANTED out where everybody was given what was wanted."""
    if all(_part("wanted")(row) == _part("share")(row) for row in rows):
        return [column for column in SERVERS if column is not WANTED]
    return SERVERS


def _policy(data: Row) -> list[tuple[str, object]]:
    """The settings that are not as usual, in the words of `pool set`."""
    from lbctl.cli.defaults import policy  # noqa: PLC0415 - slow to import

    words: dict[str, tuple[str, Callable[[Row], str]]] = {
        "health": ("check", check_text),
        "passive": ("passive", lambda passive: written(passive) or "on"),
        "balance": ("balance", written),
    }
    found: list[tuple[str, object]] = []
    for key, value in policy(data).items():
        if key == "rules":
            found += [("rule", written(rule)) for rule in value]
        elif key in words:
            name, write = words[key]
            found.append((name, write(value)))
        else:
            found.append((key.replace("_", "-"), value))
    return found


def _standing(data: Row) -> list[tuple[str, object]]:
    """Who serves the pool and why it cannot do its work, where there is something to say."""
    pairs = [("served-by", _served_by(data)), ("problem", data["problem"])]
    if data["panicking"]:
        pairs.append(("panicking", "too few back-ends are well: all of them are used"))
    return [(name, value) for name, value in pairs if text(value) != NOTHING]
