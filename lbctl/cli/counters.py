"""The counters as tables: what became of packets, in all and, while one watches, per second."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from lbctl.cli.tables import Column, Lines, Table, speaking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lbctl.cli.tables import Block, Row

DROP = "DROP_"
# No drops, but not what the sender wanted either: by VIP and back-end they are shown as well.
ODD_ENDS = {"RESET", "RESET_DOWN", "TOO_BIG_REPLY", "TO_BACKEND_UNTRACKED"}

PACKETS = Column("PACKETS", "packets", right=True)
AMOUNTS = (PACKETS, Column("BYTES", "bytes", right=True))
REASON = Column("REASON", "reason")
VERDICTS = (Column("NIC", "nic"), Column("VERDICT", "verdict"), *AMOUNTS)
POOL, VIP = Column("POOL", "pool"), Column("VIP", "vip")
WHOSE = (POOL, Column("APP", "app", optional=True), VIP)
SERVER = (POOL, VIP, Column("BACKEND", "address"))
SERVICES = (*WHOSE, Column("VERDICT", "reason"), PACKETS)
CONNECTIONS = (
    *SERVER,
    Column("NEW", "connections", right=True),
    Column("ANSWERS", "answers", right=True),
    Column("RETRIES", "retries", right=True),
    Column("RESETS", "resets", right=True),
)
BACKENDS = (
    *SERVER,
    Column("PACKETS-IN", "packets_in", right=True),
    Column("BYTES-IN", "bytes_in", right=True),
    Column("PACKETS-OUT", "packets_out", right=True),
    Column("BYTES-OUT", "bytes_out", right=True),
)
DROPS = {
    "nic": (REASON, Column("NIC", "nic"), *AMOUNTS),
    "pool": (REASON, *WHOSE, PACKETS),
    "backend": (REASON, POOL, VIP, Column("BACKEND", "backend"), PACKETS),
}


class Reading(NamedTuple):
    """An answer, and the one before it, if there was one, so many seconds ago."""

    data: object
    before: object = None
    seconds: float = 0.0


def stats(reading: Reading) -> list[Block]:
    """All counters; VIPs only where packets are counted that did not go to a back-end."""
    verdicts = _rated(VERDICTS, "packets", _verdicts, reading)
    opened = _rated(CONNECTIONS, "connections", _servers, reading, "new")
    servers = _rated(BACKENDS, "packets_in", _servers, reading)
    services = Table(*_rated(SERVICES, "packets", _services, reading), "")
    return [
        Table(*verdicts, "no packets yet"),
        *([services] if services.rows else []),
        Table(*opened, "no packets of back-ends yet"),
        *([Table(*servers, "")] if servers[1] else []),
    ]


def drops(reading: Reading, by: str) -> list[Block]:
    """What was discarded, by NIC, pool or back-end; then cause and cure of each reason."""
    table = Table(*_rated(DROPS[by], "packets", list, reading), "no packet was discarded")
    reasons = list(dict.fromkeys(row["reason"] for row in table.rows))
    return [table, *([Lines(_explained(reasons))] if reasons else [])]


def unusual(stats: Row, by: str) -> list[Row]:
    """
    Pick the packets that were discarded, or had another odd end, out of all counters.

    By pool as {"reason", "packets", "pool", "app", "vip"}, where pool or app is None; by back-end
    with "backend" for "app"; most first.
    """
    found = list(_of_servers(stats) if by == "backend" else _of_services(stats))
    chosen = [row for row in found if row["reason"].startswith(DROP) or row["reason"] in ODD_ENDS]
    return sorted(chosen, key=lambda row: -row["packets"])


@cache
def note(reason: str) -> str:
    """Cause and cure in a line; "" for a verdict that only a newer lbctld knows."""
    from lbctl.shared.abi import VERDICT_NOTES, Verdict  # noqa: PLC0415 - numpy is slow to import

    return VERDICT_NOTES[Verdict[reason]] if reason in Verdict.__members__ else ""


def _explained(reasons: Sequence[str]) -> list[str]:
    see = f"To see such packets: `lbctl capture --verdict {reasons[0]}`"
    ask = "what becomes of one: `lbctl explain`"
    return [*(f"{reason}: {note(reason)}" for reason in reasons), f"{see}; {ask}"]


def _of_services(stats: Row) -> Iterator[Row]:
    for row in stats["services"]:
        whose = {name: row[name] for name in ("pool", "app", "vip")}
        for reason, packets in row["verdicts"].items():
            yield {"reason": reason, "packets": packets, **whose}


def _of_servers(stats: Row) -> Iterator[Row]:
    for row in stats["backends"]:
        whose = {"pool": row["pool"], "vip": row["vip"], "backend": row["address"]}
        for reason, packets in row["verdicts"].items():
            yield {"reason": reason, "packets": packets, **whose}


def _verdicts(data: Row) -> list[Row]:
    return [
        {"nic": nic["name"], "verdict": verdict, **tally}
        for nic in data["nics"]
        for verdict, tally in nic["verdicts"].items()
    ]


def _services(data: Row) -> list[Row]:
    return list(_of_services(data))


def _servers(data: Row) -> list[Row]:
    rows: list[Row] = data["backends"]
    return rows


def _rated(
    columns: Sequence[Column],
    counter: str,
    rows: Callable[..., list[Row]],
    reading: Reading,
    title: str = "",
) -> tuple[Sequence[Column], list[Row]]:
    """Add a column with the growth of *counter* per second, if there is a reading before."""
    now = rows(reading.data)
    columns = speaking(columns, now)
    if reading.before is None:
        return columns, now
    names = [column.source for column in columns if not column.right]

    def key(row: Row) -> tuple[object, ...]:
        return tuple(row[name] for name in names if isinstance(name, str))

    then = {key(row): row[counter] for row in rows(reading.before)}

    def rate(row: Row) -> str:
        return f"{max(0, row[counter] - then.get(key(row), 0)) / reading.seconds:.0f}"

    title = f"{title or counter}/s".replace("_", "-").upper()
    return (*columns, Column(title, rate, right=True)), now
