"""
The kernel mirror: fetch the kernel's routing, remember MACs, and write what follows to the table.

One pass at a time, when the routing daemon says so: no thread, no clock of its own beyond the
neighbor keeper's.  Not safe to use from two threads at once.
"""

from __future__ import annotations

import errno
import logging
import time
from typing import TYPE_CHECKING

from lbctl.control.routing.neighbors import NeighborKeeper, Request
from lbctl.control.routing.netlink import Requester
from lbctl.control.routing.records import Kind, Neighbor, Nud
from lbctl.control.routing.snapshot import Routing, Snapshot
from lbctl.control.routing.translation import wanted
from lbctl.control.routing.writer import TableWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from collections.abc import Set as AbstractSet

    from lbctl.control.routing.snapshot import NeighborKey
    from lbctl.model import IPAddress
    from lbctl.shared.routing import RoutingTable
    from lbctl.switching.nics import AttachedNic

log = logging.getLogger(__name__)

COMPLAINTS = {
    errno.ENOBUFS: "the kernel's neighbor table is full; raise it: "
    "`sysctl -w net.ipv4.neigh.default.gc_thresh3=16384 net.ipv6.neigh.default.gc_thresh3=16384`",
    errno.EPERM: "not permitted to have neighbors probed; start lbctld as root",
}


class KernelMirror:
    """The kernel's routing as of the last pass, and what was made of it."""

    def __init__(self, table: RoutingTable, attached: Callable[[], Sequence[AttachedNic]]) -> None:
        self.writer = TableWriter(table)
        self.keeper = NeighborKeeper()
        self.kernel = Snapshot(Routing({}, ()), {})
        self.slots: dict[int, int] = {}
        self.complaints: list[str] = []
        self._attached = attached
        self._hosts: AbstractSet[IPAddress] = set()
        self._remembered: dict[NeighborKey, bytes] = {}

    def open(self) -> None:
        """Get ready to ask the kernel of this thread's network namespace."""
        self._requester = Requester()

    def close(self) -> None:
        """Give the socket back."""
        self._requester.close()

    def resync(self, kinds: Collection[Kind], *, adopt: bool = False) -> None:
        """
        Fetch what is out of date, and make the table equal to it.

        *adopt*: look at what the table really holds first.
        """
        self.slots = self._slots()
        routing = self.kernel.routing
        if not {Kind.LINK, Kind.ROUTE}.isdisjoint(kinds):
            routing = Routing.of(self._requester.links(), self._requester.routes())
        if adopt:
            self.writer.read()
            self._remember_table(routing)
        self.kernel = self._memory(Snapshot.of(routing, self._requester.neighbors()))
        goal = wanted(self.kernel, self.slots, self.writer.destinations())
        self.writer.write(goal.table)
        self._hosts = goal.table.destinations.keys()
        self._watch(goal.named)

    def is_outdated(self) -> bool:
        """Whether NICs or destinations came or went since the last pass."""
        return self.slots != self._slots() or self._hosts != self.writer.destinations().keys()

    def _slots(self) -> dict[int, int]:
        return {nic.ifindex: nic.slot for nic in self._attached()}

    def _remember_table(self, routing: Routing) -> None:
        """Learn MACs from the table: another process may have known them when it ended."""
        for address, hop in self.writer.resolved():
            way = None if routing.is_own(address) else routing.way_to(address)
            if way and way.hop and self.slots.get(way.hop.ifindex) == hop.nic:
                key = (way.hop.ifindex, way.hop.gateway or address)
                self._remembered.setdefault(key, hop.destination_mac)

    def _memory(self, kernel: Snapshot) -> Snapshot:
        """
        Keep the MAC of a neighbor that the kernel is looking for, until it gives up.

        It forgets MACs when it runs out of room, and when it is asked to look again.
        """
        neighbors = dict(kernel.neighbors)
        for key, mac in self._remembered.items():
            state = neighbors[key].state if key in neighbors else Nud.NONE
            if state in (Nud.NONE, Nud.INCOMPLETE):
                neighbors[key] = Neighbor(*key, mac, state)
        return Snapshot(kernel.routing, neighbors)

    def _watch(self, named: frozenset[NeighborKey]) -> None:
        """Keep these neighbors resolved from now on."""
        now = time.monotonic()
        self._remembered = {key: mac for key in named if (mac := self.kernel.mac(key))}
        self.keeper.watch(named, now)
        for key in named:
            neighbor = self.kernel.neighbors.get(key)
            self.keeper.seen(key, neighbor.state if neighbor else Nud.NONE, now)

    def ask(self, request: Request) -> None:
        """Have the kernel look for a neighbor; a refusal is told once, in `complaints`."""
        try:
            getattr(self._requester, request.verb.value)(*request.neighbor)
        except OSError as error:
            self.keeper.seen(request.neighbor, Nud.NONE, time.monotonic())
            text = COMPLAINTS.get(error.errno or 0)  # what vanished in between is no reason for one
            if text and text not in self.complaints:
                self.complaints.append(text)
                log.error("routing daemon: %s", text)  # noqa: TRY400 - the text says it all
