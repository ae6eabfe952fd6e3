"""
The kernel's routing, at one moment: which way it would send a packet, and whose MAC it has.

Pure: no sockets, no tables, no clock.  The routing daemon fetches it by netlink; `translation`
works out what the switch should know of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_network
from typing import TYPE_CHECKING, NamedTuple

from lbctl.control.routing.records import IPNetwork, Link, Neighbor, Route
from lbctl.model import IPAddress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lbctl.control.routing.records import Hop

MAC_SIZE = 6
NO_MAC = bytes(MAC_SIZE)
NeighborKey = tuple[int, IPAddress]  # ifindex, address
LINK_LOCAL = ip_network("fe80::/10")  # the same prefix on every link: no route tells them apart


class Way(NamedTuple):
    """How the kernel would send to an address: the route, and the hop of it that is taken."""

    route: Route
    hop: Hop | None  # None: the route forbids
    alive: bool


@dataclass(frozen=True)
class Routing:
    """Links and routes."""

    links: Mapping[int, Link]
    routes: Sequence[Route]

    @classmethod
    def of(cls, links: Iterable[Link], routes: Sequence[Route]) -> Routing:
        """Put together what two dumps brought."""
        return cls({link.ifindex: link for link in links}, routes)

    def _alive(self, hop: Hop) -> bool:
        link = self.links.get(hop.ifindex)
        return hop.carrier and link is not None and link.up

    def _way(self, route: Route) -> Way | None:
        """
        The first live hop, else the first that the kernel would use, else none.

        One that leads out by a pseudo interface leads into the switch, which must not follow it.
        """
        if not route.hops:
            return Way(route, None, alive=True)
        hops = [h for h in route.hops if not h.dead and h.ifindex not in self._pseudo]
        alive = next(filter(self._alive, hops), None)
        return Way(route, alive or hops[0], alive is not None) if hops else None

    @cached_property
    def ways(self) -> dict[IPNetwork, Way]:
        """The way of each prefix: the first live hop of the live route with the lowest metric."""
        best: dict[IPNetwork, Way] = {}
        for route in self.routes:
            if route.local or _is_link_local(route.prefix):
                continue
            way, other = self._way(route), best.get(route.prefix)
            if way and (other is None or _rank(way) < _rank(other)):
                best[route.prefix] = way
        return best

    @cached_property
    def _by_length(self) -> dict[int, list[tuple[int, dict[int, Way]]]]:
        """Ways by family, then prefix length (the longest first), then the prefix's bits."""
        tables: dict[int, dict[int, dict[int, Way]]] = {4: {}, 6: {}}
        for prefix, way in self.ways.items():
            bits = prefix.max_prefixlen - prefix.prefixlen
            table = tables[prefix.version].setdefault(bits, {})
            table[int(prefix.network_address) >> bits] = way
        return {version: sorted(table.items()) for version, table in tables.items()}

    @cached_property
    def _pseudo(self) -> frozenset[int]:
        return frozenset(index for index, link in self.links.items() if link.inner)

    @cached_property
    def _homes(self) -> dict[IPAddress, int]:
        """The NIC of each own address; if several have it, a pseudo interface before others."""
        found: dict[IPAddress, int] = {}
        for route in self.routes:
            if route.local and route.hops and route.prefix.num_addresses == 1:
                address, index = route.prefix.network_address, route.hops[0].ifindex
                if address not in found or index in self._pseudo:
                    found[address] = index
        return found

    def home(self, address: IPAddress) -> Link | None:
        """The NIC that has this address of the switch itself."""
        return self.links.get(self._homes.get(address, 0))

    @cached_property
    def _on_link(self) -> list[tuple[IPNetwork, int]]:
        """Prefixes whose hosts are on a link itself, the longest first."""
        found = [
            (route.prefix, hop.ifindex)
            for route in self.routes
            if not route.local and not _is_link_local(route.prefix)
            for hop in route.hops
            if hop.gateway is None and not hop.encapsulated
        ]
        return sorted(found, key=lambda item: -item[0].prefixlen)

    def beside(self, address: IPAddress, nics: Collection[int]) -> Link | None:
        """
        The NIC of *nics* that is on the same network as another one, which has that address.

        One that is up before others, then by the longest prefix.
        """
        links = [
            link
            for prefix, index in self._on_link
            if index in nics and address in prefix and prefix.prefixlen
            if (link := self.links.get(index)) and is_station(link.mac)
        ]
        return next((link for link in links if link.up), links[0] if links else None)

    @cached_property
    def own(self) -> list[IPNetwork]:
        """The prefixes whose packets the kernel keeps: mostly its addresses."""
        return [route.prefix for route in self.routes if route.local]

    def way_to(self, address: IPAddress) -> Way | None:
        """Longest-prefix match."""
        number = int(address)
        for bits, table in self._by_length[address.version]:
            if way := table.get(number >> bits):
                return way
        return None

    def is_own(self, address: IPAddress) -> bool:
        """Whether the kernel would keep a packet for that address."""
        return any(address in prefix for prefix in self.own)


def _rank(way: Way) -> tuple[bool, int]:
    return not way.alive, way.route.metric


def _is_link_local(prefix: IPNetwork) -> bool:
    return prefix.version == LINK_LOCAL.version and prefix.network_address in LINK_LOCAL


@dataclass(frozen=True)
class Snapshot:
    """Links, routes and neighbors."""

    routing: Routing
    neighbors: Mapping[NeighborKey, Neighbor]

    @classmethod
    def of(cls, routing: Routing, neighbors: Iterable[Neighbor]) -> Snapshot:
        """Put together what the dumps brought."""
        return cls(routing, {(item.ifindex, item.address): item for item in neighbors})

    def mac(self, key: NeighborKey) -> bytes:
        """The neighbor's MAC; empty when it is not known."""
        neighbor = self.neighbors.get(key)
        return neighbor.mac if neighbor and is_station(neighbor.mac) else b""


def is_station(mac: bytes) -> bool:
    """Whether that can be the MAC of one host."""
    return len(mac) == MAC_SIZE and mac != NO_MAC and not mac[0] & 1
