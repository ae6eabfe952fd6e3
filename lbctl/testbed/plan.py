"""
The plan: which namespaces, cables and addresses a test bed has.

Two networks outside and two inside, each a bridge; the switch has a NIC in each, so that traffic
really crosses it from NIC to NIC.  Clients and servers take turns: even ones in the first network,
odd ones in the second.  IPv4 and IPv6 alike.

    client0  198.51.100.11 ─┐                                            ┌─ 10.0.1.11  server0
             2001:db8:1::11 │   ext            switch             int    │  2001:db8:a::11
                            ├─ [br0] ── ext0 ┌────────┐ int0 ── [br0] ───┤
    client2  .13  ...:13   ─┘   .1  2001:... │        │  10.0.1.1        └─ 10.0.1.13  server2
                                             │        │
    client1  198.51.100.140─┬─ [br1] ── ext1 │        │ int1 ── [br1] ───┬─ 10.0.2.12  server1
             2001:db8:2::12 │       .129     └────────┘  10.0.2.1        │  2001:db8:b::12
                            │                                            │
                            └─ ── ── ── ── ──  router (--dsr)  ── ── ── ─┘

The clients' default route is the switch, so that VIPs (203.0.113.0/24 and 2001:db8:f::/64) and the
servers themselves are reached through it; the servers' default route is the switch too, as NAT
needs it.  With --dsr a router that is not the switch joins all four networks: the servers own the
VIPs, silently, and send what comes from a VIP through that router straight to the client.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)

from lbctl.errors import UsageError

DEFAULT_PREFIX = "lbtb"
PREFIX_LENGTH = 40  # of the name; longer ones make file names and error messages unwieldy
MOST = 100  # clients, or servers
FIRST_HOST, SWITCH, ROUTER = 11, 1, -2  # position in a network; -2 is the last address but one
VIPS4 = IPv4Network("203.0.113.0/24")
VIPS6 = IPv6Network("2001:db8:f::/64")
OUTSIDE4 = (IPv4Network("198.51.100.0/25"), IPv4Network("198.51.100.128/25"))
OUTSIDE6 = (IPv6Network("2001:db8:1::/64"), IPv6Network("2001:db8:2::/64"))
INSIDE4 = (IPv4Network("10.0.1.0/24"), IPv4Network("10.0.2.0/24"))
INSIDE6 = (IPv6Network("2001:db8:a::/64"), IPv6Network("2001:db8:b::/64"))


@dataclass(frozen=True, slots=True)
class Net:
    """One of the four networks: where it is, and its prefixes."""

    side: str  # "ext" or "int", also the role of the namespace that its bridge is in
    number: int
    ipv4: IPv4Network
    ipv6: IPv6Network

    @property
    def bridge(self) -> str:
        """The bridge's name in its namespace."""
        return f"br{self.number}"

    @property
    def nic(self) -> str:
        """The NIC that the switch, and the router, have in this network."""
        return f"{self.side}{self.number}"

    def ipv4_of(self, position: int) -> IPv4Interface:
        """An address by its position, with the prefix length."""
        return IPv4Interface((self.ipv4[position], self.ipv4.prefixlen))

    def ipv6_of(self, position: int) -> IPv6Interface:
        """An address by its position, written with the same digits as the IPv4 one."""
        if position < 0:
            position %= 256
        return IPv6Interface((self.ipv6[int(str(position), 16)], self.ipv6.prefixlen))

    @property
    def gateways(self) -> tuple[IPv4Address, IPv6Address]:
        """The switch's addresses in this network."""
        return self.ipv4_of(SWITCH).ip, self.ipv6_of(SWITCH).ip


@dataclass(frozen=True, slots=True)
class Host:
    """A client or server: its role ("client0"), its namespace, its network and addresses."""

    role: str
    namespace: str
    net: Net
    ipv4: IPv4Address
    ipv6: IPv6Address


@dataclass(frozen=True)
class Plan:
    """All names and addresses of one test bed."""

    prefix: str = DEFAULT_PREFIX
    clients: int = 2
    backends: int = 3
    dsr: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        for what, count in (("clients", self.clients), ("backends", self.backends)):
            if not 1 <= count <= MOST:
                raise UsageError(f"--{what}: must be 1 to {MOST}, not {count}")
        name = self.prefix.replace("-", "").replace("_", "")
        if not (name.isascii() and name.isalnum()) or len(self.prefix) > PREFIX_LENGTH:
            raise UsageError(
                f"--prefix {self.prefix!r}: letters, digits, - and _, at most {PREFIX_LENGTH}"
            )

    def namespace(self, role: str) -> str:
        """The namespace of a role: "switch", "ext", "int", "router", "client0", "server0"."""
        return f"{self.prefix}-{role}"

    @cached_property
    def nets(self) -> tuple[Net, ...]:
        """The four networks: two outside, two inside."""
        outside = (Net("ext", i, OUTSIDE4[i], OUTSIDE6[i]) for i in (0, 1))
        inside = (Net("int", i, INSIDE4[i], INSIDE6[i]) for i in (0, 1))
        return (*outside, *inside)

    def _host(self, kind: str, index: int, net: Net) -> Host:
        role, position = f"{kind}{index}", FIRST_HOST + index
        ipv4, ipv6 = net.ipv4_of(position).ip, net.ipv6_of(position).ip
        return Host(role, self.namespace(role), net, ipv4, ipv6)

    @cached_property
    def client_hosts(self) -> tuple[Host, ...]:
        """The clients."""
        return tuple(self._host("client", i, self.nets[i % 2]) for i in range(self.clients))

    @cached_property
    def server_hosts(self) -> tuple[Host, ...]:
        """The servers."""
        return tuple(self._host("server", i, self.nets[2 + i % 2]) for i in range(self.backends))

    @property
    def hosts(self) -> tuple[Host, ...]:
        """Clients and servers."""
        return (*self.client_hosts, *self.server_hosts)

    @property
    def nics(self) -> tuple[str, ...]:
        """The switch's NICs."""
        return tuple(net.nic for net in self.nets)

    @property
    def roles(self) -> tuple[str, ...]:
        """All namespaces, in the order in which they are made."""
        router = ("router",) if self.dsr else ()
        return ("ext", "int", "switch", *router, *(host.role for host in self.hosts))
