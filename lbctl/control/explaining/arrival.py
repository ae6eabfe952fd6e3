"""
The arrival: by which NIC a packet would come in, and which MACs it would bear.

Asks the kernel for its route to the sender, and for the MAC of whoever would hand the packet over.
Changes nothing, and sends nothing.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl import rt_type

from lbctl.control.nic_names import is_called
from lbctl.errors import LbctlError, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lbctl.model import IPAddress
    from lbctl.switching.nics import AttachedNic

STRANGER = bytes.fromhex("020000000001")  # locally administered: of a sender whose MAC is unknown


class Way(NamedTuple):
    """By which link the kernel sends to a host, and to whom there."""

    ifindex: int
    neighbor: str


class Kernel(Protocol):
    """What the kernel is asked."""

    def way_to(self, address: IPAddress) -> Way | None:
        """The way to a host; None: there is none, or it is this host itself."""

    def mac_of(self, way: Way) -> bytes | None:
        """The MAC of the neighbor on that way; None: not known."""


class NetworkKernel:
    """The kernel, in the network namespace of the calling thread."""

    def way_to(self, address: IPAddress) -> Way | None:
        """The way to a host; None: there is none, or it is this host itself."""
        with IPRoute() as kernel, suppress(NetlinkError):
            (route,) = kernel.route("get", dst=str(address))
            ifindex = route.get_attr("RTA_OIF")
            if route["type"] == rt_type["unicast"] and ifindex is not None:
                return Way(ifindex, route.get_attr("RTA_GATEWAY") or str(address))
        return None

    def mac_of(self, way: Way) -> bytes | None:
        """The MAC of the neighbor on that way; None: not known."""
        family = socket.AF_INET6 if ":" in way.neighbor else socket.AF_INET
        with IPRoute() as kernel, suppress(NetlinkError):
            for row in kernel.get_neighbours(family, ifindex=way.ifindex, dst=way.neighbor):
                if mac := row.get_attr("NDA_LLADDR"):
                    return bytes.fromhex(mac.replace(":", ""))
        return None


class Arrival(NamedTuple):
    """The NIC, and the MAC that the frame is from; *sender*: whose that is, if it is known."""

    nic: AttachedNic
    source_mac: bytes
    sender: str


class Arrivals:
    """How packets come in, found out once for each sender."""

    def __init__(
        self,
        nics: Sequence[AttachedNic],
        kernel: Kernel | None = None,
        programs: Mapping[IPAddress, str] | None = None,
    ) -> None:
        """*programs*: pseudo interfaces, by the address that programs have there."""
        self._nics, self._kernel = nics, kernel or NetworkKernel()
        self._programs = programs or {}
        self._ways: dict[IPAddress, Way | None] = {}

    def of(self, source: IPAddress, name: str | None = None) -> Arrival:
        """
        The NIC *name*, or that to which the kernel's route to *source* leads, or the first.

        The name of a pseudo interface means the switch's end of it, where its programs' packets
        come in: so do those from its addresses.

        Raises NotFound for a NIC that is not attached, LbctlError when none is.
        """
        nic, way = self.nic(name, source), self._way_to(source)
        if way is None or way.ifindex != nic.ifindex:
            return Arrival(nic, STRANGER, "")
        mac = self._kernel.mac_of(way)
        return Arrival(nic, mac or STRANGER, way.neighbor if mac else "")

    def nic(
        self, name: str | None = None, source: IPAddress | None = None, mac: str = ""
    ) -> AttachedNic:
        """The NIC *name*; or the one with that MAC; or as in `of`."""
        if not self._nics:
            raise LbctlError(
                "no NIC is attached, so no packet comes in; run `lbctl attach IFACE...`"
            )
        if name is not None:
            for nic in self._nics:
                if is_called(nic, name):
                    return nic
            raise NotFound(f"NIC {name!r} is not attached; see `lbctl status`")
        way = self._way_to(source) if source else None
        home = self._programs.get(source) if source else None
        fitting = (
            nic
            for nic in self._nics
            if nic.mac.hex(":") == mac or (home and is_called(nic, home) and not mac)
        )
        leading = (nic for nic in self._nics if way and nic.ifindex == way.ifindex)
        return next(fitting, None) or next(leading, None) or self._nics[0]

    def _way_to(self, address: IPAddress) -> Way | None:
        if address not in self._ways:
            self._ways[address] = self._kernel.way_to(address)
        return self._ways[address]
