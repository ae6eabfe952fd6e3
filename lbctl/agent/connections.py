"""
The connections: count the established TCP connections of given local ports.

Asks the kernel by sock_diag(7), which needs no privilege.  For 9000 connections that takes 20 ms
where /proc/net/tcp takes 50 and psutil, which looks for the owner of each, 400.
"""

from __future__ import annotations

import socket
import struct
import time
from collections import Counter
from typing import TYPE_CHECKING

from lbctl.agent.readings import SourceError
from lbctl.agent.wire import LoadReport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
REQUEST_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
NLMSG_ERROR, NLMSG_DONE = 2, 3
ESTABLISHED = 1 << 1  # as a set of states
HEADER = struct.Struct("=IHHII")  # nlmsghdr
QUERY = struct.Struct("=BBBxI48x")  # inet_diag_req_v2 that asks for all sockets
LOCAL_PORT = 16 + 4  # where inet_diag_msg has it, in network order
COST = 20  # looking may take a twentieth of the time


def established() -> Counter[int]:
    """Count the established connections of this network namespace by local port."""
    counts: Counter[int] = Counter()
    for family in (socket.AF_INET, socket.AF_INET6):
        counts.update(_local_ports(family))
    return counts


def _local_ports(family: int) -> Iterator[int]:
    query = QUERY.pack(family, socket.IPPROTO_TCP, 0, ESTABLISHED)
    length = HEADER.size + len(query)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as diag:
        diag.settimeout(1)  # the kernel answers at once or something is badly wrong
        diag.send(HEADER.pack(length, SOCK_DIAG_BY_FAMILY, REQUEST_DUMP, 1, 0) + query)
        while True:
            answer, offset = diag.recv(65536), 0
            while offset < len(answer):
                length, kind = struct.unpack_from("=IH", answer, offset)
                if kind == NLMSG_DONE:
                    return
                if kind == NLMSG_ERROR:
                    number = -struct.unpack_from("=i", answer, offset + HEADER.size)[0]
                    raise OSError(number, "the kernel refuses to list connections")
                yield int.from_bytes(answer[offset + LOCAL_PORT :][:2])
                offset += (length + 3) & ~3


class ConnectionsProbe:
    """Established connections of some ports; their sum stands for the clients."""

    def __init__(
        self,
        ports: tuple[int, ...],
        interval: float,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.name = "connections"
        self.interval = interval
        self._least = interval
        self._ports = ports
        self._clock = clock

    async def sample(self) -> LoadReport:
        """Count; a server of very many connections is looked at less often.  Raises SourceError."""
        begin = self._clock()
        try:
            counts = established()
        except OSError as err:
            raise SourceError(f"connections: {err.strerror or err}") from None
        self.interval = max(self._least, COST * (self._clock() - begin))
        told = {port: counts[port] for port in self._ports}
        return LoadReport(connections=told, clients=sum(told.values()))
