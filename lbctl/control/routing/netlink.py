"""
The kernel's routing tables by netlink: ask for them, hear of changes, have neighbors probed.

Changes nothing: the only requests besides reading make the kernel look for a neighbor.  The
sockets belong to the network namespace of the thread that makes them.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from socket import SOL_SOCKET
from typing import TYPE_CHECKING, Any

from pyroute2 import IPRoute, IPRSocket
from pyroute2.netlink import NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP_INTR, NLM_F_REQUEST, rtnl
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl.ndmsg import NTF_USE

from lbctl.control.routing.messages import Message, record_of
from lbctl.control.routing.records import Event, Kind, Link, Neighbor, Nud, Record, Route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lbctl.model import IPAddress

SO_RCVBUFFORCE = 33
NEXT_HOPS = 1 << 31  # RTNLGRP_NEXTHOP, as a bit
GROUPS = (
    rtnl.RTMGRP_LINK
    | rtnl.RTMGRP_NEIGH
    | rtnl.RTMGRP_IPV4_IFADDR
    | rtnl.RTMGRP_IPV6_IFADDR
    | rtnl.RTMGRP_IPV4_ROUTE
    | rtnl.RTMGRP_IPV6_ROUTE
    | NEXT_HOPS
)
RECEIVE_BUFFER = 8 << 20  # bytes of events that may wait before the kernel drops some (ENOBUFS)
PATIENCE = 60.0  # seconds; a million routes take a while to read
DUMP_TRIES = 4  # a dump during which something changed may lack a record
NO_STATISTICS = 1 << 3  # of a link's extended mask: they are half of its message
KINDS = frozenset(Kind)


class Listener:
    """Hears of every change of links, routes and neighbors."""

    def __init__(self) -> None:
        self._kernel = IPRSocket()
        with suppress(PermissionError):  # then there are fewer, and more resyncs
            self._kernel.setsockopt(SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
        self._kernel.bind(groups=GROUPS)
        self._kernel.socket.settimeout(0)

    def fileno(self) -> int:
        """The descriptor, for poll()."""
        return int(self._kernel.fileno())

    def close(self) -> None:
        """Give the socket back."""
        self._kernel.close()

    def events(self) -> Iterator[Event]:
        """All that wait.  Raises OSError(ENOBUFS) when the kernel had to drop some."""
        while True:
            try:
                messages = self._kernel.get()
            except BlockingIOError:
                return
            for message in messages:
                kind = message["header"]["type"]
                if kind & ~3 in KINDS:
                    yield Event(Kind(kind & ~3), bool(kind & 1), record_of(message))


class Requester:
    """
    Asks the kernel, one request at a time.

    An IPRoute works in one thread only, and makes sockets in the namespace of whichever uses it:
    so it gets a thread of its own, which is of the namespace of the one that made it.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "netlink")
        self._kernel = self._thread.submit(IPRoute).result()

    def close(self) -> None:
        """Give the socket back, even if it is broken; a second time does no harm."""
        with suppress(OSError, RuntimeError):
            self._thread.submit(self._kernel.close).result()
        self._thread.shutdown()

    def _ask(self, call: Callable[..., list[Any]], *given: object, **named: object) -> list[Any]:
        try:
            return self._thread.submit(call, *given, **named).result(PATIENCE)
        except NetlinkError as error:
            raise OSError(error.code, os.strerror(error.code)) from error

    def links(self) -> list[Link]:
        """All NICs."""
        found = self._ask(self._dump, "link", ext_mask=NO_STATISTICS)
        return [item for item in found if isinstance(item, Link)]

    def routes(self) -> list[Route]:
        """The main and the local table."""
        return [item for item in self._ask(self._dump, "route") if isinstance(item, Route)]

    def neighbors(self) -> list[Neighbor]:
        """All neighbors of both families."""
        return [item for item in self._ask(self._dump, "neigh") if isinstance(item, Neighbor)]

    def _dump(self, what: str, **options: int) -> list[Record]:
        for _ in range(DUMP_TRIES):
            found, whole = self._dump_once(what, options)
            if whole:
                break
        return found

    def _dump_once(self, what: str, options: dict[str, int]) -> tuple[list[Record], bool]:
        """The records, and whether nothing changed meanwhile."""
        found: list[Record] = []
        torn = False

        def take(message: Message) -> bool:
            """Make a record at once: a million messages would not fit into memory."""
            nonlocal torn
            torn |= bool(message["header"]["flags"] & NLM_F_DUMP_INTR)
            if record := record_of(message):
                found.append(record)
            return False

        getattr(self._kernel, what)("dump", dump_filter=take, **options)
        return found, not torn

    def use(self, ifindex: int, address: IPAddress) -> None:
        """Have the kernel find the neighbor, as if it had a packet for it."""
        self._neighbor(ifindex, address, Nud.NONE, NTF_USE, NLM_F_CREATE)

    def probe(self, ifindex: int, address: IPAddress) -> None:
        """Have the kernel ask the neighbor at its MAC whether it is still there."""
        self._neighbor(ifindex, address, Nud.PROBE)

    def search(self, ifindex: int, address: IPAddress) -> None:
        """Have the kernel ask everybody on the link for the neighbor: its MAC is in doubt."""
        self._neighbor(ifindex, address, Nud.FAILED)
        self.use(ifindex, address)

    def _neighbor(
        self, ifindex: int, address: IPAddress, state: Nud, flags: int = 0, create: int = 0
    ) -> None:
        # Not "change" or "set": to replace an entry would tell the kernel that it is no router.
        command = (rtnl.RTM_NEWNEIGH, NLM_F_REQUEST | NLM_F_ACK | create)
        fields = {"ifindex": ifindex, "dst": str(address), "state": int(state), "flags": flags}
        self._ask(self._kernel.neigh, command, **fields)
