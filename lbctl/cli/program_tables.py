"""
The program tables: what people see of pseudo interfaces and network applications.

Pure, like `tables`; what has nothing to say is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbctl.cli.tables import Column, Fields, Table, speaking
from lbctl.control.program_state import LOST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lbctl.cli.tables import Block, Row

NO_PSEUDO = "no pseudo interfaces; add one with `lbctl pseudo add NAME --address ADDRESS`"
NO_APPS = "no network applications; add one with `lbctl app add NAME --vip ADDR:PORT/PROTO`"


def lost(row: Row) -> int:
    """Packets that an application lost, of all its ports."""
    return sum(port[name] for port in row["ports"] for name in LOST)


def _counter(name: str) -> Column:
    """A counter of a port that is 0 unless something is amiss."""
    return Column(
        name.upper().replace("_", "-"), lambda row: row[name] or None, right=True, optional=True
    )


PSEUDO = (
    Column("NAME", "name"),
    Column("ADDRESSES", "addresses"),
    Column("MTU", "mtu", right=True),
    Column("STATE", "state"),
    Column("PACKETS-IN", "packets_in", right=True),
    Column("PACKETS-OUT", "packets_out", right=True),
)
APPS = (
    Column("NAME", "name"),
    Column("VIPS", "vips"),
    Column("USER", "user"),
    Column("STATE", "state"),
    Column("PID", "pid", right=True, optional=True),
    Column("PACKETS", "packets", right=True),
    Column("LOST", lost, right=True),
)
PORTS = (
    Column("NIC", "nic"),
    Column("QUEUE", "queue", right=True),
    Column("ZERO-COPY", lambda row: "yes" if row["zero_copy"] else "no"),
    Column("RECEIVED", "received", right=True),
    Column("TRANSMITTED", "transmitted", right=True),
    *map(_counter, ("rx_ring_full", "fill_empty", "rx_dropped", "refused", "tx_empty")),
    *map(_counter, ("invalid", "rx_invalid", "tx_invalid")),
)
VERDICTS = (Column("VERDICT", "verdict"), Column("PACKETS", "packets", right=True))


def pseudo_interfaces(data: list[Row]) -> list[Block]:
    """All pseudo interfaces."""
    return [Table(PSEUDO, data, NO_PSEUDO)]


def pseudo_interface(data: Row) -> list[Block]:
    """One pseudo interface, and what became of the packets that programs sent by it."""
    names = ("name", "addresses", "state", "mtu", "inner_end", "packets_in", "packets_out", "next")
    return [Fields([(_title(name), data[name]) for name in names]), *_verdicts(data["verdicts"])]


def all_pseudo(data: list[Row]) -> list[Block]:
    """Every pseudo interface, one after the other."""
    if not data:
        return pseudo_interfaces(data)
    return [block for row in data for block in pseudo_interface(row)]


def apps(data: list[Row]) -> list[Block]:
    """All network applications."""
    return [Table(speaking(APPS, data), data, NO_APPS)]


def app(data: Row) -> list[Block]:
    """One network application: how it stands, its ports, and what became of its packets."""
    pairs: Sequence[tuple[str, object]] = [
        ("name", data["name"]),
        ("vips", data["vips"]),
        ("nics", data["nics"] or "all"),
        ("queues", data["queues"] or "all"),
        *((_title(name), data[name]) for name in ("user", "on_exit", "frames", "frame_size")),
        ("hung-after", f"{data['hung_after']:g}" if data["hung_after"] else "never"),
        *((_title(name), data[name]) for name in ("state", "pid", "run_by", "since")),
        *((_title(name), data[name]) for name in ("exits", "hung_count", "packets")),
        ("lost", lost(data)),
        *([("next", data["next"])] if data["next"] else []),
    ]
    ports = data["ports"]
    table = [Table(speaking(PORTS, ports), ports, "")] if ports else []
    return [Fields(pairs), *table, *_verdicts(data["verdicts"])]


def _verdicts(verdicts: Row) -> list[Block]:
    rows = [{"verdict": name, "packets": packets} for name, packets in verdicts.items()]
    return [Table(VERDICTS, rows, "")] if rows else []


def _title(name: str) -> str:
    return name.replace("_", "-")
