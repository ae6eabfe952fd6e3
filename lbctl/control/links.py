"""
The links: what this network namespace has of NICs and addresses.

Asks the kernel by sockets and never reads /sys: a daemon that entered a network namespace by
setns still sees the NICs of its old one there.
"""

from __future__ import annotations

import errno
import socket
import struct
from contextlib import closing
from fcntl import ioctl
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from lbctl.model import IPAddress

SIOCGIFFLAGS = 0x8913
IFF_UP, IFF_RUNNING = 0x1, 0x40
REQUEST = struct.Struct("16sH22x")  # struct ifreq: name and flags

HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
ROUTE = struct.Struct("=8BI")  # struct rtmsg; its eighth byte is the kind of route
ATTRIBUTE = struct.Struct("=HH")
RTM_NEWROUTE, RTM_GETROUTE, NLM_F_REQUEST, RTA_DST, RTN_LOCAL = 24, 26, 1, 1, 2
ADDRESS_GROUPS = 1 << 4 | 1 << 8  # of both families


class Links(Protocol):
    """What the controller asks about NICs and addresses."""

    def index(self, name: str) -> int | None:
        """The ifindex of a NIC, or None when there is none of that name."""

    def is_up(self, name: str) -> bool:
        """Whether a NIC is up and has a carrier."""

    def is_own(self, address: IPAddress) -> bool:
        """Whether the kernel keeps packets for that address."""


class KernelLinks:
    """The NICs and addresses of the calling thread's network namespace."""

    def index(self, name: str) -> int | None:
        """The ifindex of a NIC, or None when there is none of that name."""
        try:
            return socket.if_nametoindex(name)
        except (OSError, ValueError):
            return None

    def is_up(self, name: str) -> bool:
        """Whether a NIC is up and has a carrier."""
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as anything:
            try:
                answer = ioctl(anything, SIOCGIFFLAGS, REQUEST.pack(name.encode(), 0))
            except OSError:
                return False
        wanted = IFF_UP | IFF_RUNNING
        return int(REQUEST.unpack(answer)[1]) & wanted == wanted

    def is_own(self, address: IPAddress) -> bool:
        """Whether the kernel keeps packets for that address: ask for its route to it."""
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        raw = address.packed
        body = ROUTE.pack(family, len(raw) * 8, 0, 0, 0, 0, 0, 0, 0)
        body += ATTRIBUTE.pack(ATTRIBUTE.size + len(raw), RTA_DST) + raw
        size = HEADER.size + len(body)
        with closing(_netlink()) as kernel:
            kernel.send(HEADER.pack(size, RTM_GETROUTE, NLM_F_REQUEST, 1, 0) + body)
            answer = kernel.recv(1 << 16)
        kind = HEADER.unpack_from(answer)[1]
        return bool(kind == RTM_NEWROUTE and ROUTE.unpack_from(answer, HEADER.size)[7] == RTN_LOCAL)


class AddressWatch:
    """Hears whenever this network namespace gets or loses an address."""

    def __init__(self) -> None:
        self._kernel = _netlink(ADDRESS_GROUPS)
        self._kernel.setblocking(False)  # noqa: FBT003 - positional only

    def fileno(self) -> int:
        """The descriptor that becomes readable."""
        return self._kernel.fileno()

    def clear(self) -> None:
        """Take what was heard; which address it is does not matter."""
        while True:
            try:
                self._kernel.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError as err:
                if err.errno != errno.ENOBUFS:  # more than it could keep: it was heard, too
                    raise

    def close(self) -> None:
        """Hear no more."""
        self._kernel.close()


def _netlink(groups: int = 0) -> socket.socket:
    kernel = socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
    )
    kernel.bind((0, groups))
    return kernel
