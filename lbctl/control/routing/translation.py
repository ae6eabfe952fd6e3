"""
The routing table, as the switching processors should have it: what follows from the kernel's.

Pure: no sockets, no tables, no clock.  `wanted` is what the switch should know, `changes` is how
to get there from what it knows.

A prefix leads to the hop of its gateway.  A connected prefix leads to a hop that is unresolved,
and each of its neighbors with a known MAC on a NIC of ours has a host route of its own.  So does
each address of the switch itself, to a hop that stays unresolved: what is for the switch is the
kernel's, even if a default route covers it.

A destination may be the switch itself all the same.  An address of a pseudo interface is behind the
switch's end of that; one of a NIC without a program is on the network of an attached NIC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import TYPE_CHECKING, NamedTuple

from lbctl.control.routing.records import IPNetwork
from lbctl.control.routing.snapshot import NO_MAC, NeighborKey, is_station
from lbctl.model import IPAddress
from lbctl.shared.abi import NextHopState
from lbctl.shared.routing import NextHop

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from lbctl.control.routing.records import Hop
    from lbctl.control.routing.snapshot import Routing, Snapshot, Way

HopKey = tuple[int, str, int]  # ifindex, address of the neighbor ("" for none), MTU of the route
FORBIDDEN: HopKey = (0, "forbidden", 0)
OWN: HopKey = (0, "own", 0)
NO_ROUTE_HOP = NextHop(state=NextHopState.NO_ROUTE)
OWN_HOP = NextHop(state=NextHopState.UNRESOLVED)
NOT_ATTACHED_HOP = NextHop(state=NextHopState.NOT_ATTACHED)


class SetHop(NamedTuple):
    """Fill the next-hop record of a gateway or neighbor."""

    key: HopKey
    hop: NextHop


class SetDestination(NamedTuple):
    """Fill the next-hop record of a back-end."""

    address: IPAddress
    hop: NextHop


class PutRoute(NamedTuple):
    """Let a prefix lead to a hop."""

    prefix: IPNetwork
    key: HopKey


class DeleteRoute(NamedTuple):
    """Let a prefix lead nowhere."""

    prefix: IPNetwork


class ReleaseHop(NamedTuple):
    """Give back the next-hop record of a gateway or neighbor that no prefix leads to any more."""

    key: HopKey


Change = SetHop | SetDestination | PutRoute | DeleteRoute | ReleaseHop


@dataclass(frozen=True)
class Table:
    """What the routing table of the switch holds, or should."""

    hops: dict[HopKey, NextHop] = field(default_factory=dict)
    routes: dict[IPNetwork, HopKey] = field(default_factory=dict)
    destinations: dict[IPAddress, NextHop] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """A table, and the neighbors whose MACs must be known for it to be of use."""

    table: Table
    named: frozenset[NeighborKey]


class _Translation:
    """One run of `wanted`: from the kernel's ways to the switch's hops."""

    def __init__(self, kernel: Snapshot, slots: Mapping[int, int]) -> None:
        self.kernel = kernel
        self.slots = slots
        self.table = Table()
        self.named: set[NeighborKey] = set()

    def next_hop(self, way: Way, hop: Hop, neighbor: IPAddress | None) -> NextHop:
        """The hop with its MACs and state; `neighbor` is whose MAC the frame gets."""
        link = self.kernel.routing.links.get(hop.ifindex)
        slot = self.slots.get(hop.ifindex)
        if not link or slot is None or hop.encapsulated or not is_station(link.mac):
            return NOT_ATTACHED_HOP
        mtu = min(way.route.mtu or link.mtu, link.mtu)
        mac = self.kernel.mac((hop.ifindex, neighbor)) if neighbor and way.alive else b""
        state = NextHopState.RESOLVED if mac else NextHopState.UNRESOLVED
        return NextHop(slot, mac or NO_MAC, link.mac, mtu, state)

    def name(self, way: Way, hop: Hop, neighbor: IPAddress) -> None:
        """Remember a neighbor that is to be kept resolved."""
        if way.alive and hop.ifindex in self.slots:
            self.named.add((hop.ifindex, neighbor))

    def key(self, way: Way, hop: Hop, neighbor: IPAddress | None) -> HopKey:
        """The key of the hop, whose record is made if need be."""
        key = (hop.ifindex, str(neighbor or ""), way.route.mtu)
        if key not in self.table.hops:
            self.table.hops[key] = self.next_hop(way, hop, neighbor)
        return key

    def route(self, prefix: IPNetwork, way: Way) -> None:
        """A route of the kernel."""
        if way.hop is None:
            self.table.hops[FORBIDDEN] = NO_ROUTE_HOP
            self.table.routes[prefix] = FORBIDDEN
            return
        if way.hop.gateway:
            self.name(way, way.hop, way.hop.gateway)
        self.table.routes[prefix] = self.key(way, way.hop, way.hop.gateway)

    def own(self, prefix: IPNetwork) -> None:
        """A prefix whose packets the kernel keeps, whatever other routes say."""
        address = prefix.network_address
        if not address.is_loopback and not address.is_link_local:
            self.table.hops[OWN] = OWN_HOP
            self.table.routes[prefix] = OWN

    def host(self, key: NeighborKey) -> None:
        """A route to a neighbor that is on-link, on a NIC of ours, and whose MAC is known."""
        ifindex, address = key
        host = ip_network(address)
        if ifindex not in self.slots or not self.kernel.mac(key) or self._is_own(host):
            return
        way = self.kernel.routing.way_to(address)
        if way and way.alive and way.hop and not way.hop.gateway and way.hop.ifindex == ifindex:
            self.table.routes[host] = self.key(way, way.hop, address)

    def _is_own(self, prefix: IPNetwork) -> bool:
        return self.table.routes.get(prefix) == OWN

    def destination(self, address: IPAddress) -> None:
        """The way to a back-end, or into a pseudo interface."""
        if self.kernel.routing.is_own(address):
            self.table.destinations[address] = own_hop(self.kernel.routing, self.slots, address)
            return
        way = self.kernel.routing.way_to(address)
        if way is None or way.hop is None:
            self.table.destinations[address] = NO_ROUTE_HOP
            return
        neighbor = way.hop.gateway or address
        self.name(way, way.hop, neighbor)
        self.table.destinations[address] = self.next_hop(way, way.hop, neighbor)


def own_hop(routing: Routing, slots: Mapping[int, int], address: IPAddress) -> NextHop:
    """How a packet gets from the switching processors to an address of the switch itself."""
    home = routing.home(address)
    if home is None or home.ifindex in slots or not is_station(home.mac):
        return NO_ROUTE_HOP
    exit_ = routing.links.get(home.inner) if home.inner else routing.beside(address, slots)
    if exit_ is None:
        return NO_ROUTE_HOP
    if exit_.ifindex not in slots:
        return NOT_ATTACHED_HOP
    state = NextHopState.RESOLVED if home.up and exit_.up else NextHopState.UNRESOLVED
    return NextHop(slots[exit_.ifindex], home.mac, exit_.mac, min(home.mtu, exit_.mtu), state)


def wanted(kernel: Snapshot, slots: Mapping[int, int], destinations: Iterable[IPAddress]) -> Wanted:
    """
    What the switch should know.

    `slots` has the NICs with a program: ifindex to slot.  `destinations` are the back-ends.
    """
    translation = _Translation(kernel, slots)
    for prefix, way in kernel.routing.ways.items():
        translation.route(prefix, way)
    for prefix in kernel.routing.own:
        translation.own(prefix)
    for key in kernel.neighbors:
        translation.host(key)
    for address in destinations:
        translation.destination(address)
    return Wanted(translation.table, frozenset(translation.named))


def changes(kernel: Table, switch: Table) -> Iterator[Change]:
    """
    How the switch gets to know what the kernel knows.

    Hops first, then the routes that lead to them, then what goes: at no moment has a prefix that
    stays routable no route, or one to a hop without a record.
    """
    for key, hop in kernel.hops.items():
        if switch.hops.get(key) != hop:
            yield SetHop(key, hop)
    for address, hop in kernel.destinations.items():
        if switch.destinations.get(address) != hop:
            yield SetDestination(address, hop)
    for prefix, key in kernel.routes.items():
        if switch.routes.get(prefix) != key:
            yield PutRoute(prefix, key)
    for prefix in switch.routes.keys() - kernel.routes.keys():
        yield DeleteRoute(prefix)
    for key in switch.hops.keys() - kernel.hops.keys():
        yield ReleaseHop(key)
