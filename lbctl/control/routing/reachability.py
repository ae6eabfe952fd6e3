"""
Reachability: why a back-end cannot be reached, and the routing table as a person reads it.

Pure: it only looks at a snapshot of the kernel's routing.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, Any, NamedTuple

from lbctl.control.routing.records import Nud
from lbctl.control.routing.snapshot import is_station
from lbctl.control.routing.translation import own_hop
from lbctl.shared.abi import NextHopState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lbctl.control.routing.records import Hop, IPNetwork
    from lbctl.control.routing.snapshot import NeighborKey, Snapshot, Way
    from lbctl.control.routing.translation import Table
    from lbctl.model import IPAddress
    from lbctl.shared.routing import NextHop

ASKS = {4: "ARP", 6: "neighbor solicitation"}


class Obstacle(NamedTuple):
    """What is in the way to a back-end: one line, and the neighbor that may yet answer."""

    text: str
    neighbor: NeighborKey | None = None


def obstacle(kernel: Snapshot, slots: Mapping[int, int], address: IPAddress) -> Obstacle | None:
    """What keeps packets of the switch from reaching that address; None: nothing does."""
    if kernel.routing.is_own(address):
        return _obstacle_at_home(kernel, slots, address)
    way = kernel.routing.way_to(address)
    if way is None:
        via = "via GATEWAY"
        return Obstacle(f"{address}: no route leads to it; add one: `ip route add {address} {via}`")
    if way.hop is None:
        prefix = way.route.prefix
        return Obstacle(f"{address}: the route {prefix} forbids it; see `ip route list {prefix}`")
    return _obstacle_on_link(kernel, slots, address, way, way.hop)


def _obstacle_at_home(
    kernel: Snapshot, slots: Mapping[int, int], address: IPAddress
) -> Obstacle | None:
    """What keeps packets of the switch from reaching an address of the switch itself."""
    hop = own_hop(kernel.routing, slots, address)
    if hop.state is NextHopState.RESOLVED:
        return None
    home, itself = kernel.routing.home(address), f"{address} is an address of this switch itself"
    if hop.state is NextHopState.UNRESOLVED and home:
        return Obstacle(f"{itself}, on {home.name}, which is down; `ip link set {home.name} up`")
    if home is None or home.ifindex in slots or not is_station(home.mac):
        return Obstacle(f"{itself}; name another host")
    if home.inner:
        return Obstacle(f"{itself}, on {home.name}, whose other end is not attached; try again")
    return Obstacle(
        f"{itself}, on {home.name}, and no attached NIC is on that network; "
        f"attach one that is, or name another host"
    )


def _obstacle_on_link(
    kernel: Snapshot, slots: Mapping[int, int], address: IPAddress, way: Way, hop: Hop
) -> Obstacle | None:
    link = kernel.routing.links.get(hop.ifindex)
    name = link.name if link else f"interface {hop.ifindex}"
    if hop.encapsulated:
        return Obstacle(f"{address}: its route encapsulates; name a host that is routed plainly")
    if hop.ifindex not in slots:
        return Obstacle(f"{address}: its route leaves by {name}; type `lbctl attach {name}`")
    if not link or not is_station(link.mac):
        return Obstacle(f"{address}: its route leaves by {name}, which is no Ethernet NIC")
    if not way.alive:
        hint = f"`ip link set {name} up`, or look at its cable"
        return Obstacle(f"{address}: its route leaves by {name}, which is down; {hint}")
    key = (hop.ifindex, hop.gateway or address)
    if kernel.mac(key):
        return None
    who = f"its gateway {hop.gateway} does" if hop.gateway else "it does"
    asks, ping = ASKS[key[1].version], f"`ping {key[1]}`"
    return Obstacle(f"{address}: {who} not answer {asks} on {name}; is it up? try {ping}", key)


def _mac(raw: bytes) -> str | None:
    return raw.hex(":") if any(raw) else None


def _name(kernel: Snapshot, ifindex: int) -> str | None:
    link = kernel.routing.links.get(ifindex)
    return link.name if link else None


def _order(item: IPAddress | IPNetwork) -> tuple[int, int, int]:
    """Sort addresses and prefixes of both families together."""
    if isinstance(item, IPv4Network | IPv6Network):
        return item.version, int(item.network_address), item.prefixlen
    return item.version, int(item), 0


def _route_state(way: Way, hop: NextHop | None) -> str:
    if way.hop is None:
        return "forbidden"
    if hop is None or hop.state is NextHopState.NOT_ATTACHED:
        return "not-attached"
    if not way.alive:
        return "link-down"
    if way.hop.gateway is None:
        return "connected"
    return hop.state.name.lower()


def _users(
    kernel: Snapshot, slots: Mapping[int, int], destinations: Iterable[IPAddress]
) -> dict[NeighborKey, list[str]]:
    """Which back-ends and prefixes are reached through which neighbor."""
    users: dict[NeighborKey, list[str]] = {}
    for address in sorted(destinations, key=_order):
        way = None if kernel.routing.is_own(address) else kernel.routing.way_to(address)
        if way and way.hop and way.hop.ifindex in slots:
            key = (way.hop.ifindex, way.hop.gateway or address)
            users.setdefault(key, []).append(f"back-end {address}")
    for prefix, way in sorted(kernel.routing.ways.items(), key=lambda item: _order(item[0])):
        if way.hop and way.hop.gateway and way.hop.ifindex in slots:
            key = (way.hop.ifindex, way.hop.gateway)
            users.setdefault(key, []).append(f"route {prefix}")
    return users


def routes_view(kernel: Snapshot, table: Table) -> list[dict[str, Any]]:
    """The kernel's routes, each with what the switch makes of it; without those to neighbors."""
    view = []
    for prefix, way in sorted(kernel.routing.ways.items(), key=lambda item: _order(item[0])):
        hop = table.hops.get(table.routes[prefix]) if prefix in table.routes else None
        gateway = way.hop.gateway if way.hop else None
        view.append(
            {
                "prefix": str(prefix),
                "next_hop": str(gateway) if gateway else None,
                "nic": _name(kernel, way.hop.ifindex) if way.hop else None,
                "mac": _mac(hop.destination_mac) if hop else None,
                "state": _route_state(way, hop),
            }
        )
    return view


def neighbors_view(
    kernel: Snapshot, slots: Mapping[int, int], table: Table
) -> list[dict[str, Any]]:
    """Neighbors that the switch sends to, and those that its routes and back-ends need."""
    users = _users(kernel, slots, table.destinations)
    hosts = {prefix.network_address for prefix in table.routes if prefix.num_addresses == 1}
    known = {key for key in kernel.neighbors if key[0] in slots and key[1] in hosts}
    view = []
    for key in sorted(known | users.keys(), key=lambda key: (*_order(key[1]), key[0])):
        neighbor = kernel.neighbors.get(key)
        state = neighbor.state if neighbor else Nud.NONE
        view.append(
            {
                "address": str(key[1]),
                "nic": _name(kernel, key[0]),
                "mac": _mac(kernel.mac(key)),
                "state": (state.name or "none").lower(),
                "used_by": users.get(key, []),
            }
        )
    return view
