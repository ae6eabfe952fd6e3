"""
The links: what this network namespace has of NICs and addresses.

Asks the kernel by netlink and never reads /sys: a daemon that entered a network namespace by
setns still sees the NICs of its old one there.
"""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from pyroute2 import IPRoute, IPRSocket
from pyroute2.netlink import rtnl
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl.ifinfmsg import IFF_RUNNING, IFF_UP

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lbctl.model import IPAddress

READY = IFF_UP | IFF_RUNNING


class Links(Protocol):
    """What the controller asks about NICs and addresses."""

    def index(self, name: str) -> int | None:
        """The ifindex of a NIC, or None when there is none of that name."""

    def is_up(self, name: str) -> bool:
        """Whether a NIC is up and has a carrier."""

    def own(self, addresses: Iterable[IPAddress]) -> frozenset[IPAddress]:
        """Those of *addresses* whose packets the kernel keeps."""


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
        if (index := self.index(name)) is None:
            return False
        with IPRoute() as kernel, suppress(NetlinkError):  # it may be gone by now
            (link,) = kernel.link("get", index=index)
            return bool(link["flags"] & READY == READY)
        return False

    def own(self, addresses: Iterable[IPAddress]) -> frozenset[IPAddress]:
        """Those of *addresses* whose packets the kernel keeps: ask for its routes to them."""
        with IPRoute() as kernel:
            return frozenset(host for host in addresses if _is_local(kernel, host))


def _is_local(kernel: IPRoute, address: IPAddress) -> bool:
    try:
        (route,) = kernel.route("get", dst=str(address))
    except NetlinkError:  # there is none
        return False
    return bool(route["type"] == rtnl.rt_type["local"])


class AddressWatch:
    """Hears whenever this network namespace gets or loses an address."""

    def __init__(self) -> None:
        self._kernel = IPRSocket()
        self._kernel.bind(groups=rtnl.RTMGRP_IPV4_IFADDR | rtnl.RTMGRP_IPV6_IFADDR)
        self._kernel.socket.settimeout(0)

    def fileno(self) -> int:
        """The descriptor that becomes readable."""
        return int(self._kernel.fileno())

    def clear(self) -> None:
        """Take what was heard; which address it is does not matter."""
        while True:
            try:
                self._kernel.get()
            except BlockingIOError:
                return
            except OSError as err:
                if err.errno != errno.ENOBUFS:  # more than it could keep: it was heard, too
                    raise

    def close(self) -> None:
        """Hear no more."""
        self._kernel.close()
