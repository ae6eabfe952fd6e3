"""
The places: work out which queues of which NICs an application receives from.

Asks the kernel how many queues a NIC has; through sockets, for /sys may show another namespace.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from lbctl.control.preflight import devices
from lbctl.errors import Conflict, NotFound
from lbctl.netif.sockets import Place
from lbctl.netif.wire import MAX_PORTS
from lbctl.shared import abi

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lbctl.model import App
    from lbctl.switching.nics import AttachedNic

DEFAULT_MTU = 1500


class Hardware(Protocol):
    """What the broker asks about NICs."""

    def queues(self, nic: str) -> int:
        """How many receive queues a NIC has."""

    def mtu(self, nic: str) -> int:
        """Bytes of the largest IP packet that a NIC takes."""


class KernelHardware:
    """The NICs of the calling thread's network namespace."""

    def queues(self, nic: str) -> int:
        """How many receive queues are in use; 1 where the driver does not tell."""
        if found := devices.queues(nic):
            return max(found.receive, 1)
        return _attribute(nic, "IFLA_NUM_RX_QUEUES", 1)

    def mtu(self, nic: str) -> int:
        """Bytes of the largest IP packet that a NIC takes."""
        return _attribute(nic, "IFLA_MTU", DEFAULT_MTU)


def _attribute(nic: str, name: str, otherwise: int) -> int:
    with IPRoute() as kernel, suppress(NetlinkError, ValueError):
        (link,) = kernel.link("get", ifname=nic)
        return int(link.get_attr(name) or otherwise)
    return otherwise


def places(
    app: App, attached: Sequence[AttachedNic], queues: Callable[[str], int]
) -> tuple[Place, ...]:
    """
    Which NICs and queues are the application's: those that it names, or all that there are.

    *queues* tells how many a NIC has.  Raises Conflict or NotFound where one is not to be had.
    """
    nics = {nic.name: nic for nic in attached if not nic.is_pseudo}
    if not nics:
        raise Conflict(f"app {app.name!r}: no NIC is attached; run `lbctl attach IFACE...` first")
    if missing := next((name for name in app.nics if name not in nics), None):
        raise Conflict(
            f"app {app.name!r}: NIC {missing!r} is not attached; run `lbctl attach {missing}` first"
        )
    found = [
        Place(name, nics[name].ifindex, queue)
        for name in app.nics or nics
        for queue in _queues(app, name, queues(name))
    ]
    if len(found) > MAX_PORTS:
        raise Conflict(
            f"app {app.name!r}: {len(found)} queues are more than {MAX_PORTS}; choose some with "
            f"`lbctl app set {app.name} --nic NIC --queue N`"
        )
    return tuple(found)


def _queues(app: App, nic: str, count: int) -> Sequence[int]:
    """The queues of one NIC, which has *count*; no packet finds its way out of more than some."""
    there = range(min(count, abi.APP_QUEUES))
    if missing := [queue for queue in app.queues if queue not in there]:
        raise NotFound(
            f"app {app.name!r}: NIC {nic!r} has no queue {missing[0]}, its last is {there[-1]}; "
            f"see `ethtool -l {nic}` and `lbctl app set {app.name} --queue N`"
        )
    return app.queues or there
