"""The counters as tables: what became of packets, in all and, while one watches, per second."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lbctl.cli.tables import Column, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lbctl.cli.tables import Block, Row

PACKETS = (Column("PACKETS", "packets", right=True), Column("BYTES", "bytes", right=True))
VERDICTS = (Column("NIC", "nic"), Column("VERDICT", "verdict"), *PACKETS)
DROPS = (Column("REASON", "reason"), Column("NIC", "nic"), *PACKETS)
BACKENDS = (
    Column("POOL", "pool"),
    Column("VIP", "vip"),
    Column("BACKEND", "address"),
    Column("PACKETS-IN", "packets_in", right=True),
    Column("BYTES-IN", "bytes_in", right=True),
    Column("PACKETS-OUT", "packets_out", right=True),
    Column("BYTES-OUT", "bytes_out", right=True),
)


class Reading(NamedTuple):
    """An answer, and the one before it, if there was one, so many seconds ago."""

    data: object
    before: object = None
    seconds: float = 0.0


def stats(reading: Reading) -> list[Block]:
    """All counters."""
    verdicts = _rated(VERDICTS, "packets", _verdicts, reading)
    servers = _rated(BACKENDS, "packets_in", _servers, reading)
    return [Table(*verdicts, "no packets yet"), Table(*servers, "no packets of back-ends yet")]


def drops(reading: Reading) -> list[Block]:
    """What was discarded."""
    return [Table(*_rated(DROPS, "packets", list, reading), "no packet was discarded")]


def _verdicts(data: Row) -> list[Row]:
    return [
        {"nic": nic["name"], "verdict": verdict, **tally}
        for nic in data["nics"]
        for verdict, tally in nic["verdicts"].items()
    ]


def _servers(data: Row) -> list[Row]:
    rows: list[Row] = data["backends"]
    return rows


def _rated(
    columns: Sequence[Column],
    counter: str,
    rows: Callable[..., list[Row]],
    reading: Reading,
) -> tuple[Sequence[Column], list[Row]]:
    """Add a column with the growth of *counter* per second, if there is a reading before."""
    now = rows(reading.data)
    if reading.before is None:
        return columns, now
    names = [column.source for column in columns if not column.right]

    def key(row: Row) -> tuple[object, ...]:
        return tuple(row[name] for name in names if isinstance(name, str))

    then = {key(row): row[counter] for row in rows(reading.before)}

    def rate(row: Row) -> str:
        return f"{max(0, row[counter] - then.get(key(row), 0)) / reading.seconds:.0f}"

    return (*columns, Column(f"{counter}/s".replace("_", "-").upper(), rate, right=True)), now
