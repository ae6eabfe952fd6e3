"""
The pages: which rows each has, in which columns, and what is to be said of the selected one.

Pure: readings in, rows out; `screen` draws them.  Every row has a `name` that no other has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lbctl.cli.program_tables import lost
from lbctl.cli.top import notes
from lbctl.cli.top.columns import Column, ordered
from lbctl.cli.top.marks import NOTHING, percent, short
from lbctl.cli.top.view import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lbctl.cli.tables import Row
    from lbctl.cli.top.readings import Look, Readings
    from lbctl.cli.top.view import View


class Sheet(NamedTuple):
    """What one page shows: rows in order, the place of the selected one, and sentences below."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    selected: int
    sorted_by: Column
    reverse: bool
    notes: Sequence[str]
    empty: str

    @property
    def names(self) -> list[str]:
        """The rows, by name."""
        return [row["name"] for row in self.rows]


class Kind(NamedTuple):
    """What is the same for a page at all times; *first*: by which it is sorted to begin with."""

    title: str
    columns: Sequence[Column]
    first: str
    rows: Callable[[Readings, Look, View], list[Row]]
    notes: Callable[[Look, Row | None], list[str]]
    empty: str


def _word(value: str | None) -> str:
    return {None: NOTHING, "": NOTHING, "maintenance": "maint"}.get(value, value or "")


def _active(up: tuple[int, int]) -> str:
    return f"{up[0]}/{up[1]}"


def _names(title: str, key: str, least: int, most: int = 0) -> Column:
    return Column(title, key, _word, least, most, right=False, largest_first=False)


def _trend(least: int) -> Column:
    return Column("TREND", "trend", least=least, most=60, right=False, rank=9, stretch=True)


NICS = (
    _names("NIC", "name", 15),
    _names("MODE", "mode", 8),
    Column("PKT/S", "packets", short),
    Column("BIT/S", "bits", short),
    Column("DROP/S", "drops", short, least=6),
    _trend(8),
)
POOLS = (
    _names("POOL", "name", 16, 40),
    Column("VIPS", "vips", short, least=4),
    Column("UP", "up", _active, least=7, most=9, largest_first=False),
    Column("CONN", "connections", short),
    Column("NEW/S", "new", short),
    Column("PKT/S", "packets", short),
    Column("DROP/S", "drops", short, least=6),
    _trend(8),
)
BACKENDS = (
    _names("BACKEND", "name", 21, 47),
    _names("STATE", "state", 8),
    Column("WGT", "weight", short, least=3, most=5, rank=5),
    Column("WANT", "wanted", percent, least=4, rank=3, optional=True),
    Column("GIVEN", "share", percent),
    Column("MEAS", "measured", percent, least=4, rank=2),
    Column("CONN", "connections", short),
    Column("NEW/S", "new", short),
    Column("PKT/S", "packets", short),
    Column("LOAD", "load", percent, least=4, rank=4, optional=True),
    Column("HEALTH", "health", _word, least=7, right=False, optional=True, largest_first=False),
    _trend(6),
)
DROPS = (
    _names("REASON", "reason", 20, 30),
    _names("NIC", "nic", 15),
    Column("PKT/S", "packets", short),
    Column("PACKETS", "total", short, least=7),
    _trend(8),
)
APPS = (
    _names("APP", "name", 16, 40),
    _names("STATE", "state", 8),
    Column("PKT/S", "packets", short),
    Column("LOST/S", "lost", short, least=6),
    Column("LOST", "total", short),
    Column("DROP/S", "drops", short, least=6),
    _trend(8),
)


def sheet(readings: Readings, view: View) -> Sheet:
    """What *view* shows of what was read; there is at least one look."""
    kind, look = KINDS[view.page], readings.look
    sortable = [column for column in kind.columns if not column.stretch]
    first = next(n for n, column in enumerate(sortable) if column.key == kind.first)
    by = sortable[(first + view.order.column) % len(sortable)]
    rows = ordered(kind.rows(readings, look, view), by, reverse=view.order.reverse)
    selected = view.chosen([row["name"] for row in rows])
    said = kind.notes(look, rows[selected] if rows else None)
    title = kind.title.format(view.pool)
    return Sheet(title, kind.columns, rows, selected, by, view.order.reverse, said, kind.empty)


def nics(readings: Readings, look: Look) -> list[Row]:
    """The NICs, the busiest first."""
    found = []
    for nic in look.status["nics"]:
        subject = ("nic", nic["name"])
        octets = readings.rate(subject, "bytes")
        found.append(
            {
                "name": nic["name"],
                "mode": nic["mode"],
                "packets": readings.rate(subject),
                "bits": None if octets is None else 8 * octets,
                "drops": readings.rate(subject, "drops"),
                "trend": readings.trend(subject),
            }
        )
    return sorted(found, key=lambda row: -(row["packets"] or 0))


def _pools(readings: Readings, look: Look, _view: View) -> list[Row]:
    return [_pool(readings, pool) for pool in look.pools or ()]


def _pool(readings: Readings, pool: Row) -> Row:
    servers = pool["backends"]
    active = sum(server["state"] == "active" for server in servers)
    subject = ("pool", pool["name"])
    return {
        "name": pool["name"],
        "vips": len(pool["vips"]),
        "up": (active, len(servers)),
        "ill": not active or bool(pool["problem"]) or pool["served_by"] != pool["name"],
        "connections": sum(server["connections"] for server in servers),
        "new": readings.rate(subject, "connections"),
        "packets": readings.rate(subject),
        "drops": readings.rate(subject, "drops"),
        "trend": readings.trend(subject),
        "pool": pool,
    }


def _backends(readings: Readings, look: Look, view: View) -> list[Row]:
    pool = look.pool_of(view.pool)
    if not pool:
        return []
    checks = {row["address"]: row for row in look.health or () if row["pool"] == view.pool}
    obeyed = all(server["wanted"] == server["share"] for server in pool["backends"])
    found = []
    for server in pool["backends"]:
        subject = ("backend", view.pool, server["address"])
        check = checks.get(server["address"])
        found.append(
            {
                **server,
                "name": server["address"],
                "wanted": None if obeyed else server["wanted"],
                "asked": server["wanted"],
                "new": readings.rate(subject, "connections"),
                "packets": readings.rate(subject),
                "health": HEALTH[check["up"]] if check else None,
                "check": check,
                "pool": pool,
                "trend": readings.trend(subject),
            }
        )
    return found


def _drops(readings: Readings, look: Look, _view: View) -> list[Row]:
    found = []
    for row in look.drops or ():
        subject = ("drop", row["reason"], row["nic"])
        found.append(
            {
                "name": f"{row['reason']} {row['nic']}",
                "reason": row["reason"],
                "nic": row["nic"],
                "packets": readings.rate(subject),
                "total": row["packets"],
                "trend": readings.trend(subject),
            }
        )
    return found


def _apps(readings: Readings, look: Look, _view: View) -> list[Row]:
    found = []
    for app in look.status["apps"]:
        subject = ("app", app["name"])
        found.append(
            {
                "name": app["name"],
                "state": app["state"],
                "packets": readings.rate(subject),
                "lost": readings.rate(subject, "lost"),
                "total": lost(app),
                "drops": readings.rate(subject, "drops"),
                "trend": readings.trend(subject),
                "app": app,
            }
        )
    return found


HEALTH = {True: "up", False: "down", None: "unknown"}
KINDS = {
    Page.OVERVIEW: Kind(
        "pools", POOLS, "packets", _pools, notes.of_pool, "no pools; add one with `lbctl pool add`"
    ),
    Page.POOL: Kind(
        "back-ends of {}",
        BACKENDS,
        "name",
        _backends,
        notes.of_backend,
        "no back-ends, or the pool was removed",
    ),
    Page.DROPS: Kind("drops", DROPS, "packets", _drops, notes.of_drop, "no packet was discarded"),
    Page.APPS: Kind(
        "network applications",
        APPS,
        "packets",
        _apps,
        notes.of_app,
        "no network applications; add one with `lbctl app add`",
    ),
}
