"""
The routing table: prefixes to next hops, and the next hops themselves.

Two kinds of next hop: of a *destination*, which stands for "how to get to this back-end" whatever
the route, and of a *gateway* or neighbour, which prefixes name.  Back-ends and connections keep
only the index: a changed MAC, NIC or route is one store.
"""

from __future__ import annotations

import sys
import threading
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lbctl.errors import LbctlError
from lbctl.shared import abi, addresses, syscall
from lbctl.shared.abi import NextHopState

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from lbctl.model import IPAddress
    from lbctl.shared.connections import ConnectionTable
    from lbctl.shared.tables import Tables

__all__ = ["Network", "NextHop", "NextHopState", "RoutingTable"]
Network = IPv4Network | IPv6Network
_NOBODY = bytes(6)
_LAST_VERSION = 255
_FAMILY_BITS = 32  # in front of the address


class NextHop(NamedTuple):
    """*nic*: a slot, not an ifindex; MACs of 6 bytes; *mtu*: bytes of the IP packet."""

    nic: int = 0
    destination_mac: bytes = _NOBODY
    source_mac: bytes = _NOBODY
    mtu: int = 0
    state: NextHopState = NextHopState.UNRESOLVED


class RoutingTable:
    """One writer only: the routing daemon of this instance, and who allocates destinations."""

    def __init__(
        self, tables: Tables, connections: ConnectionTable, destinations: Mapping[IPAddress, int]
    ) -> None:
        self._tables, self._connections = tables, connections
        self._destinations = dict(destinations)
        self._gateways: dict[Hashable, int] = {}
        self._routes = self._read_routes()
        self._unclaimed = set(self._routes.values())  # of the process before this one
        taken = {*self._destinations.values(), *self._unclaimed}
        self._free = [i for i in range(tables.capacity.next_hops - 1, 0, -1) if i not in taken]
        self._lock = threading.Lock()  # destinations are the controller's, gateways the daemon's

    def destination(self, address: IPAddress) -> int:
        """Give the next hop that stands for this host; unresolved until the daemon knows it."""
        with self._lock:
            if address not in self._destinations:
                self._destinations[address] = self._allocate()
            return self._destinations[address]

    def destinations(self) -> dict[IPAddress, int]:
        """All hosts that have a next hop of their own."""
        with self._lock:
            return dict(self._destinations)

    def reachable(self) -> dict[IPAddress, bool]:
        """Whether packets find their way to each of these hosts, as the table is now."""
        hosts = self.destinations()
        states = self._tables["next_hops"]["state"][np.array([*hosts.values()], np.intp)]
        return dict(zip(hosts, (states == NextHopState.RESOLVED).tolist(), strict=True))

    def release(self, address: IPAddress) -> None:
        """Nobody goes to that host any more."""
        with self._lock:
            self._give_back(self._destinations.pop(address, None))

    def gateway(self, key: Hashable) -> int:
        """Give the next hop of a gateway or neighbour, by whatever key names it."""
        with self._lock:
            if key not in self._gateways:
                self._gateways[key] = self._allocate()
            return self._gateways[key]

    def gateways(self) -> dict[Hashable, int]:
        """All gateways and neighbours that have a next hop."""
        return dict(self._gateways)

    def release_gateway(self, key: Hashable) -> None:
        """No prefix names it any more; call `bump` before, so that no connection does either."""
        with self._lock:
            self._give_back(self._gateways.pop(key, None))

    def next_hop(self, index: int) -> NextHop:
        """What the table holds there."""
        row = self._tables["next_hops"][index]
        return NextHop(
            int(row["nic"]),
            row["destination_mac"].tobytes(),
            row["source_mac"].tobytes(),
            int(row["mtu"]),
            NextHopState(int(row["state"])),
        )

    def set_next_hop(self, index: int, hop: NextHop) -> None:
        """Change it in two stores of 8 bytes: a packet sees no MAC that is half old, half new."""
        row = np.zeros(1, abi.NEXT_HOP)
        row["destination_mac"] = np.frombuffer(hop.destination_mac, "u1")
        row["source_mac"] = np.frombuffer(hop.source_mac, "u1")
        row["mtu"], row["nic"], row["state"] = min(hop.mtu, 0xFFFF), hop.nic, hop.state
        table = self._tables["next_hops"].view("<u8").reshape(-1, 2)
        table[index, 0], table[index, 1] = row.view("<u8")

    def put_route(self, prefix: Network, next_hop: int) -> None:
        """Add a prefix, or change its next hop."""
        try:
            value = next_hop.to_bytes(4, sys.byteorder)
            syscall.map_update(self._tables.fd["routes"], _key(prefix), value)
        except OSError as error:
            raise LbctlError(
                f"route {prefix}: {error.strerror}; {len(self._routes)} routes are in the table, "
                f"start lbctld with a larger --routes"
            ) from error
        self._routes[prefix] = next_hop

    def delete_route(self, prefix: Network) -> None:
        """Remove a prefix."""
        if self._routes.pop(prefix, None) is not None:
            syscall.map_delete(self._tables.fd["routes"], _key(prefix))

    def routes(self) -> dict[Network, int]:
        """All prefixes, and the indices of their next hops."""
        return dict(self._routes)

    def bump(self) -> None:
        """Say that routes have changed: every connection looks its client's next hop up again."""
        control = self._tables["control"][0]
        version = int(control["route_version"]) + 1
        if version > _LAST_VERSION:
            self._connections.forget_routes()
            version = 1
        control["route_version"] = version
        syscall.wait_for_packets()
        with self._lock:
            for index in self._unclaimed - set(self._routes.values()):
                self._unclaimed.remove(index)
                self._give_back(index)

    def _allocate(self) -> int:
        """A free index.  0 means "none" in the tables and is never given away."""
        if not self._free:
            room = self._tables.capacity.next_hops
            raise LbctlError(
                f"next hops: all {room} are in use; start lbctld with a larger --next-hops"
            )
        return self._free.pop()

    def _give_back(self, index: int | None) -> None:
        if index is not None:
            self.set_next_hop(index, NextHop())
            self._free.append(index)

    def _read_routes(self) -> dict[Network, int]:
        fd = self._tables.fd["routes"]
        routes = {}
        for key in syscall.map_keys(fd, abi.ROUTE_KEY.itemsize):
            value = syscall.map_lookup(fd, key, 4)
            if value is not None:
                routes[_prefix(key)] = int.from_bytes(value, sys.byteorder)
        return routes


def _key(prefix: Network) -> bytes:
    """A prefix as the trie's key: IPv4 lies behind 96 bits of mapping."""
    row = np.zeros((), abi.ROUTE_KEY)
    offset = addresses.MAPPED_BITS if prefix.version == 4 else 0
    row["prefix_length"] = _FAMILY_BITS + prefix.prefixlen + offset
    row["family"] = prefix.version
    row["address"] = addresses.words(prefix.network_address)
    return row.tobytes()


def _prefix(key: bytes) -> Network:
    row = np.frombuffer(key, abi.ROUTE_KEY)[0]
    raw, length = row["address"].tobytes(), int(row["prefix_length"]) - _FAMILY_BITS
    if row["family"] == 4:
        return IPv4Network((addresses.unpack(raw), length - addresses.MAPPED_BITS))
    return IPv6Network((raw, length))
