"""
The connection table: list, count and forget what the switching processors keep there.

Nothing here locks: a packet may change an entry while it is read, and an entry may then be shown a
moment too early or too late, never half.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lbctl.model import ANY_PORT, Protocol, SocketAddress, Vip
from lbctl.shared import abi, addresses
from lbctl.shared.abi import ConnectionKey, ConnectionState

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping

    from lbctl.model import IPAddress
    from lbctl.shared.arrays import Array
    from lbctl.shared.clock import Clock
    from lbctl.shared.records import BackendRecord
    from lbctl.shared.tables import Tables


# Entries that are looked at together: what is made of them stays in the caches, and is small enough
# that malloc need not map memory for it again and again (see lbctl.control.host.LARGE).
_PART = 15 << 10


class Connection(NamedTuple):
    """One connection, for people."""

    protocol: Protocol
    client: SocketAddress
    vip: Vip
    backend: SocketAddress
    state: str
    idle_seconds: float


class Filter(NamedTuple):
    """Which connections are meant; None matches all."""

    vips: Container[Vip] | None = None
    backend: SocketAddress | None = None
    client: tuple[IPAddress, int | None] | None = None  # port None: any


EVERYTHING = Filter()


class ConnectionTable:
    """All entries as one flat array; the details lie beside them at the same index."""

    def __init__(self, tables: Tables, clock: Clock) -> None:
        self._tables, self._clock = tables, clock
        # both are set by who knows
        self.records: Callable[[], Mapping[int, BackendRecord]] = dict
        self.run_forget: Callable[[bytes], int] = len

    @property
    def _entries(self) -> Array:
        return self._tables["connections"]["way"].reshape(-1)

    @property
    def size(self) -> int:
        """Places in the table."""
        return len(self._tables["connections"]) * abi.WAYS

    def used(self) -> int:
        """Live connections."""
        return int(np.count_nonzero(self._live(self._entries)))

    def count(self, only: Filter = EVERYTHING) -> int:
        """Live connections that match."""
        return self.used() if only == EVERYTHING else len(self._matching(only))

    def count_by_backend(self, *, expired: bool = False) -> Array:
        """
        Open connections by index of the back-end's record, int64[capacity].

        Closed ones wait for late packets only: whoever drains a back-end need not wait for them.
        *expired*: count all entries that are not free, whatever their state and age.
        """
        if not expired:
            return self.census()[1]
        entries = self._entries
        return self._by_backend(entries, entries["key"] >= ConnectionKey.FIRST)

    def census(self) -> tuple[int, Array]:
        """`used` and `count_by_backend` in one look at the table, a part at a time."""
        entries, used = self._entries, 0
        counts = np.zeros(self._tables.capacity.backends, np.int64)
        for begin in range(0, len(entries), _PART):
            part = entries[begin : begin + _PART]
            taken = self._live(part)
            used += int(np.count_nonzero(taken))
            taken &= part["state"] & ConnectionState.MASK != ConnectionState.CLOSED
            counts += self._by_backend(part, taken)
        return used, counts

    def list(self, only: Filter = EVERYTHING, limit: int | None = None) -> list[Connection]:
        """Live connections that match, the newest first, at most *limit* of them."""
        found = self._matching(only)
        oldest_first = np.argsort(self._tables["details"]["created"][found], kind="stable")
        return list(self._describe(found[oldest_first[::-1]][:limit]))

    def flush(self, only: Filter = EVERYTHING) -> int:
        """Forget the connections that match; returns how many that were."""
        return self._forget(self._matching(only), if_expired=False)

    def sweep(self) -> int:
        """
        Free the entries whose time is over; returns how many.

        Packets take them for free anyway, but ages are counted modulo 18 hours: do it now and then.
        """
        entries = self._entries
        over = (entries["key"] >= ConnectionKey.FIRST) & ~self._live(entries)
        return self._forget(np.flatnonzero(over), if_expired=True)

    def forget_routes(self) -> None:
        """Make every connection look its client's next hop up again."""
        self._entries["route_version"][:] = 0

    def _forget(self, indices: Array, *, if_expired: bool) -> int:
        """Free entries by compare-and-swap, which only a BPF program can do."""
        forgotten = np.zeros(len(indices), abi.FORGOTTEN)
        forgotten["key"] = self._entries["key"][indices]
        forgotten["index"], forgotten["if_expired"] = indices, if_expired
        batches = range(0, len(indices), abi.FORGET_MAX)
        return sum(self.run_forget(forgotten[i : i + abi.FORGET_MAX].tobytes()) for i in batches)

    def _by_backend(self, entries: Array, taken: Array) -> Array:
        return np.bincount(entries["backend"][taken], minlength=self._tables.capacity.backends)

    def _ages(self, entries: Array) -> Array:
        """Ticks since the last packet, uint16."""
        ages: Array = np.uint16(self._clock.now()) - entries["last_used"]
        return np.where(ages < abi.AGE_FUTURE, ages, np.uint16(0))

    def _live(self, entries: Array) -> Array:
        """Which entries hold a connection whose time is not over, bool[size]."""
        timeout = self._tables["control"]["timeout"][0]
        limits = timeout[entries["state"] & ConnectionState.MASK]
        live: Array = entries["key"] >= ConnectionKey.FIRST
        live &= self._ages(entries) <= limits
        return live

    def _matching(self, only: Filter) -> Array:
        """Indices of the live entries that match."""
        entries = self._entries
        found = np.flatnonzero(self._live(entries))
        if only.vips is not None or only.backend is not None:
            wanted = [
                index
                for index, record in self.records().items()
                if (only.vips is None or record.vip in only.vips)
                and (only.backend is None or _serves(record, only.backend))
            ]
            found = found[np.isin(entries["backend"][found], wanted)]
        if only.client is not None:
            address, port = only.client
            details = self._tables["details"]
            found = found[(details["client"][found] == addresses.words(address)).all(axis=1)]
            if port:
                found = found[details["client_port"][found] == port]
        if only.backend is not None and only.backend.port != ANY_PORT:
            kept = self._tables["details"]["service_port"][found] == only.backend.port
            any_port = [i for i, r in self.records().items() if r.address.port == ANY_PORT]
            found = found[kept | ~np.isin(entries["backend"][found], any_port)]
        return found

    def _describe(self, indices: Array) -> Iterator[Connection]:
        records, seconds = self.records(), self._clock.tick_seconds
        entries, details = self._entries[indices], self._tables["details"][indices]
        for entry, detail, age in zip(entries, details, self._ages(entries), strict=True):
            record = records.get(int(entry["backend"]))
            if record is None:
                continue
            state = ConnectionState(int(entry["state"]) & ConnectionState.MASK)
            port = int(detail["service_port"])
            yield Connection(
                record.vip.protocol,
                SocketAddress(addresses.from_words(detail["client"]), int(detail["client_port"])),
                record.vip._replace(port=record.vip.port or port),
                record.address._replace(port=record.address.port or port),
                state.name.lower(),
                round(int(age) * seconds, 1),
            )


def _serves(record: BackendRecord, backend: SocketAddress) -> bool:
    """Is that the record of this server?  Port 0 stands for all ports, on either side."""
    address = record.address
    same = ANY_PORT in (address.port, backend.port) or address.port == backend.port
    return same and address.address == backend.address
