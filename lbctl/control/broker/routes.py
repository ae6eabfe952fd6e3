"""
The routes: tell an application by which NIC and with which MACs it gets to an address.

Looks at the routing table of the switch; what is not there yet, the routing daemon has the kernel
look for.  Asking may take a second: not in the event loop.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

from lbctl.errors import NotFound
from lbctl.netif.wire import Route
from lbctl.shared.routing import NextHopState

if TYPE_CHECKING:
    from lbctl.control.broker.running import RunningApp
    from lbctl.control.routing_daemon import RoutingDaemon
    from lbctl.model import IPAddress
    from lbctl.shared.routing import NextHop, RoutingTable
    from lbctl.switching.dataplane import Dataplane

PATIENCE = 1.0  # seconds in which a neighbor must answer


def find(
    dataplane: Dataplane, routing: RoutingDaemon, address: IPAddress, running: RunningApp | None
) -> Route:
    """
    The way to *address*, and the queue by which *running* can send there, if it has one.

    Raises NotFound with the reason if there is no way.
    """
    hop = next_hop(dataplane.routing, address)
    if hop is None or hop.state is not NextHopState.RESOLVED:
        if obstacle := routing.resolve([address], PATIENCE)[address]:
            raise NotFound(obstacle)
        hop = next_hop(dataplane.routing, address)
    slots = {nic.slot: nic.name for nic in dataplane.attached()}
    if hop is None or hop.state is not NextHopState.RESOLVED or hop.nic not in slots:
        raise NotFound(f"{address}: its route has just changed; ask again")
    nic = slots[hop.nic]
    queue = running.queue_of(nic) if running else None
    macs = hop.destination_mac.hex(":"), hop.source_mac.hex(":")
    return Route(nic, *macs, hop.mtu, queue)


def next_hop(table: RoutingTable, address: IPAddress) -> NextHop | None:
    """What the longest prefix with that address leads to."""
    routes = table.routes()
    for length in range(address.max_prefixlen, -1, -1):
        index = routes.get(ip_network((address, length), strict=False))
        if index is not None:
            return table.next_hop(index)
    return None
