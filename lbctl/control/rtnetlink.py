"""
The kernel's routing tables by netlink: ask for them, hear of changes, have neighbors probed.

Changes nothing: the only requests besides reading make the kernel look for a neighbor.  The
sockets belong to the network namespace of the thread that makes them.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import TYPE_CHECKING, NamedTuple, Self

from lbctl.control.rtnetlink_messages import (
    NTF_USE,
    Kind,
    Link,
    Neighbor,
    Nud,
    Record,
    Route,
    dump_request,
    neighbor_request,
    parse,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from lbctl.model import IPAddress

SOL_NETLINK, ADD_MEMBERSHIP = 270, 1
SO_RCVBUFFORCE = 33
GROUPS = (1, 3, 5, 7, 9, 11, 32)  # link, neighbor, addresses, routes (both families), next hops
RECEIVE_BUFFER = 8 << 20  # bytes of events that may wait before the kernel drops some (ENOBUFS)
READ = 1 << 18  # bytes a read; the kernel fills up to 32 KiB of a dump at once
PATIENCE = 5.0  # seconds; the kernel answers in microseconds or not at all
DUMP_TRIES = 4  # a dump during which something changed may lack a record
HEADER = struct.Struct("=IHHII")
ERROR = struct.Struct("=i")
NLMSG_ERROR, NLMSG_DONE = 2, 3
F_REQUEST, F_ACK, F_DUMP_INTERRUPTED, F_DUMP, F_CREATE = 1, 4, 0x10, 0x300, 0x400
KINDS = frozenset(Kind)


class Event(NamedTuple):
    """A change that the kernel told of; no record: it is of a kind we do not look into."""

    kind: Kind
    gone: bool
    record: Record | None


class _Netlink:
    """A netlink socket: the part that asking and listening share."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self._socket.bind((0, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def fileno(self) -> int:
        """The descriptor, for poll()."""
        return self._socket.fileno()


def _messages(data: bytes) -> Iterator[tuple[int, int, int, int, int]]:
    """Type, flags, sequence number, and where the body starts and ends, of each message."""
    start = 0
    while start + HEADER.size <= len(data):
        length, kind, flags, sequence, _ = HEADER.unpack_from(data, start)
        if length < HEADER.size:
            return
        yield kind, flags, sequence, start + HEADER.size, start + length
        start += (length + 3) & ~3


class Listener(_Netlink):
    """Hears of every change of links, routes and neighbors."""

    def __init__(self) -> None:
        super().__init__()
        self._socket.settimeout(0)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
        except PermissionError:  # then the kernel's default must do, and resyncs are more frequent
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        for group in GROUPS:
            self._join(group)

    def _join(self, group: int) -> None:
        try:
            self._socket.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, group)
        except OSError as error:
            if error.errno != errno.EINVAL:  # a kernel older than that group
                raise

    def events(self) -> Iterator[Event]:
        """All that wait.  Raises OSError(ENOBUFS) when the kernel had to drop some."""
        while True:
            try:
                data = self._socket.recv(READ)
            except BlockingIOError:
                return
            for kind, _, _, start, end in _messages(data):
                if (about := kind & ~3) in KINDS:
                    yield Event(Kind(about), bool(kind & 1), parse(about, data, start, end))


class Requester(_Netlink):
    """Asks the kernel, one request at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._socket.settimeout(PATIENCE)
        self._sequence = 0

    def _send(self, kind: int, flags: int, body: bytes) -> int:
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        size = HEADER.size + len(body)
        header = HEADER.pack(size, kind, flags | F_REQUEST, self._sequence, 0)
        self._socket.send(header + body)
        return self._sequence

    def _answers(self, sequence: int) -> Iterator[tuple[bytes, int, int, int]]:
        """Every message of an answer up to its end; an error of the kernel is raised."""
        while True:
            data = self._socket.recv(READ)
            for kind, flags, number, start, end in _messages(data):
                if number != sequence:  # what is left of a request that timed out
                    continue
                if kind in (NLMSG_DONE, NLMSG_ERROR):
                    code = -ERROR.unpack_from(data, start)[0]
                    if code:
                        raise OSError(code, os.strerror(code))
                    return
                yield data, flags, start, end

    def links(self) -> list[Link]:
        """All NICs."""
        return [item for item in self._dump(Kind.LINK) if isinstance(item, Link)]

    def routes(self) -> list[Route]:
        """The main and the local table."""
        return [item for item in self._dump(Kind.ROUTE) if isinstance(item, Route)]

    def neighbors(self) -> list[Neighbor]:
        """All neighbors of both families."""
        return [item for item in self._dump(Kind.NEIGHBOR) if isinstance(item, Neighbor)]

    def _dump(self, kind: Kind) -> list[Record]:
        for _ in range(DUMP_TRIES):
            found: list[Record] = []
            whole = True
            for data, flags, start, end in self._answers(
                self._send(kind + 2, F_DUMP, dump_request(kind))
            ):
                whole = whole and not flags & F_DUMP_INTERRUPTED
                if record := parse(kind, data, start, end):
                    found.append(record)
            if whole:
                break
        return found

    def use(self, ifindex: int, address: IPAddress) -> None:
        """Have the kernel find the neighbor, as if it had a packet for it."""
        self._neighbor(ifindex, address, Nud.NONE, NTF_USE, F_CREATE)

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
        body = neighbor_request(ifindex, address, state, flags)
        for _ in self._answers(self._send(Kind.NEIGHBOR, F_ACK | create, body)):
            pass
