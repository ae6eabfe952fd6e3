"""The routing daemon's surroundings: a table without BPF, and a switch without programs."""

from __future__ import annotations

import socket
from functools import partial
from ipaddress import ip_network
from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING

from lbctl.control.routing_daemon import RoutingDaemon
from lbctl.errors import LbctlError
from lbctl.shared.abi import NextHopState
from lbctl.shared.routing import NextHop
from lbctl.testbed import namespaces

if TYPE_CHECKING:
    from tests.support.wire import Wire


class FakeRoutingTable:
    """Has the methods of lbctl.shared.routing.RoutingTable; remembers, and fails when told to."""

    def __init__(self, room: int = 10_000) -> None:
        self.room = room
        self.bumps = 0
        self.log: list[tuple[object, ...]] = []
        self._free = count(1)
        self._hops: dict[int, NextHop] = {}
        self._destinations: dict[object, int] = {}
        self._gateways: dict[object, int] = {}
        self._routes: dict[object, int] = {}
        self._error: BaseException | None = None
        self._histories: dict[int, list[NextHop]] = {}

    def _allocate(self) -> int:
        if len(self._hops) >= self.room:
            raise LbctlError("next hops: all are in use")
        index = next(self._free)
        self._hops[index] = NextHop()
        return index

    def destination(self, address):
        """Allocate, once."""
        if address not in self._destinations:
            self._destinations[address] = self._allocate()
        return self._destinations[address]

    def destinations(self):
        """A copy."""
        return dict(self._destinations)

    def release(self, address):
        """Forget a destination."""
        self._hops.pop(self._destinations.pop(address))

    def gateway(self, key):
        """Allocate, once."""
        if key not in self._gateways:
            self._gateways[key] = self._allocate()
        return self._gateways[key]

    def gateways(self):
        """A copy."""
        return dict(self._gateways)

    def release_gateway(self, key):
        """Forget a gateway; nothing may lead to it any more."""
        index = self._gateways.pop(key)
        assert index not in self._routes.values()
        self._hops.pop(index)
        self.log.append(("release", key))

    def forget_gateways(self):
        """As after a restart: the keys are gone, the records and routes are not."""
        self._gateways.clear()

    def next_hop(self, index):
        """Read a record."""
        return self._hops[index]

    def set_next_hop(self, index, hop):
        """Write a record."""
        self._hops[index] = hop
        self._histories.setdefault(index, []).append(hop)
        self.log.append(("set", index, hop))

    def history(self, address):
        """All records that a destination will have had from now on; the list grows."""
        index = self._destinations[address]
        self._histories[index] = [self._hops[index]]
        return self._histories[index]

    def put_route(self, prefix, index):
        """Write a route, or fail if the test said so."""
        if self._error:
            error, self._error = self._error, None
            raise error
        self._routes[prefix] = index
        self.log.append(("put", prefix, index))

    def fail_next(self, error):
        """Let the next put_route fail."""
        self._error = error

    def delete_route(self, prefix):
        """Remove a route."""
        del self._routes[prefix]
        self.log.append(("delete", prefix))

    def routes(self):
        """A copy."""
        return dict(self._routes)

    def bump(self):
        """Count."""
        self.bumps += 1
        self.log.append(("bump",))


class RoutingSwitch:
    """
    A switch with two inside NICs, and the routing daemon that runs in it.

        switch [int0 10.0.1.1  2001:db8:2::1]  ---- [eth0 10.0.1.11  2001:db8:2::11]  server
               [int1 10.0.2.1  2001:db8:3::1]  ---- [eth0 10.0.2.12  2001:db8:3::12]  router
               [mgmt 10.0.9.1]                 ---- [eth0 10.0.9.13]                  admin
    """

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.table = FakeRoutingTable()
        self.links: list[str] = []
        self.nics: list[SimpleNamespace] = []
        wire.cable("switch", "int0", "server", "eth0")
        wire.cable("switch", "int1", "router", "eth0")
        wire.cable("switch", "mgmt", "admin", "eth0")
        wire.ip("switch", "addr add 10.0.1.1/24 dev int0", "addr add 2001:db8:2::1/64 dev int0")
        wire.ip("switch", "addr add 10.0.2.1/24 dev int1", "addr add 2001:db8:3::1/64 dev int1")
        wire.ip("switch", "addr add 10.0.9.1/24 dev mgmt")
        wire.ip("server", "addr add 10.0.1.11/24 dev eth0", "addr add 2001:db8:2::11/64 dev eth0")
        wire.ip("router", "addr add 10.0.2.12/24 dev eth0", "addr add 2001:db8:3::12/64 dev eth0")
        wire.ip("admin", "addr add 10.0.9.13/24 dev eth0")
        self.attach("int0", "int1")
        self.daemon = RoutingDaemon(self.table, lambda: list(self.nics), self.links.append)

    def attach(self, *names: str) -> None:
        """Say that these NICs have a program."""
        namespace = self.wire.namespace("switch")
        index = {
            name: namespaces.call(namespace, partial(socket.if_nametoindex, name)) for name in names
        }
        self.nics = [
            SimpleNamespace(name=name, ifindex=index[name], slot=slot)
            for slot, name in enumerate(names, 1)
        ]

    def start(self) -> None:
        """Let the daemon run in the switch's namespace until the test ends."""
        namespaces.call(self.wire.namespace("switch"), self.daemon.start)
        self.wire.defer(self.daemon.stop)

    def hop(self, address):
        """The next hop of a destination."""
        return self.table.next_hop(self.table.destinations()[address])

    def mac(self, address):
        """The MAC that packets to a destination get; empty when they get none."""
        hop = self.hop(address)
        return hop.destination_mac if hop.state is NextHopState.RESOLVED else b""

    def route(self, prefix):
        """The next hop of a prefix, or None."""
        index = self.table.routes().get(ip_network(prefix))
        return None if index is None else self.table.next_hop(index)
