"""The counters: what became of packets, summed over CPUs, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lbctl.shared import abi
from lbctl.shared.abi import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lbctl.shared.arrays import Array
    from lbctl.shared.tables import Tables


class Count(NamedTuple):
    """Packets and bytes (with the Ethernet header) of one NIC that had one verdict."""

    nic: int
    verdict: Verdict
    packets: int
    bytes: int


class Counters:
    """The sums of all CPUs' counters."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def by_nic(self) -> Iterator[Count]:
        """Every verdict that some packet had, by slot of the NIC."""
        table = self._tables["verdicts"].reshape(-1, abi.NICS_MAX, abi.VERDICTS)
        packets, sizes = table["packets"].sum(axis=0), table["bytes"].sum(axis=0)
        for nic, verdict in np.argwhere(packets):
            yield Count(
                int(nic), Verdict(verdict), int(packets[nic, verdict]), int(sizes[nic, verdict])
            )

    def by_backend(self) -> Array:
        """Sums by index of the back-end's record: a structured array of abi.BACKEND_COUNTER."""
        table = self._tables["traffic"].reshape(-1, self._tables.capacity.backends)
        total = np.zeros(self._tables.capacity.backends, abi.BACKEND_COUNTER)
        for name in abi.BACKEND_COUNTER.names or ():
            total[name] = table[name].sum(axis=0)
        return total

    def reasons(self) -> tuple[Array, Array]:
        """
        Packets by index of the service, and by index of the back-end's record, and by verdict.

        uint64[services, VERDICTS] and uint64[backends, VERDICTS]; what usually becomes of packets
        is in `by_backend` instead, and zero here.
        """
        capacity = self._tables.capacity
        rows = self._tables["reasons"].reshape(-1, capacity.services + capacity.backends)
        total = rows["packets"].sum(axis=0)
        return total[: capacity.services], total[capacity.services :]

    def of_service(self, index: int) -> Array:
        """Packets of one service by verdict, as in `reasons`: uint64[VERDICTS]; at little cost."""
        capacity = self._tables.capacity
        rows = self._tables["reasons"].reshape(-1, capacity.services + capacity.backends)
        total: Array = rows["packets"][:, index].sum(axis=0)
        return total

    def clear_nic(self, slot: int) -> None:
        """Begin at zero: another NIC has got this slot."""
        table = self._tables["verdicts"].reshape(-1, abi.NICS_MAX, abi.VERDICTS)
        table[:, slot] = 0
