"""
The kernel's messages about links, routes and neighbors: unpack them to records.

Pure.  Unpacked here and not by a library, because a switch may mirror a million routes: this takes
a ninth of the time of pyroute2, and none of its 20 MiB.  What a switch has no use for (other
tables than main and local, cached routes) is left out here already.
"""

from __future__ import annotations

import socket
import struct
from enum import IntEnum, IntFlag
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lbctl.model import IPAddress

IPNetwork = IPv4Network | IPv6Network
Attributes = dict[int, bytes]

LINK = struct.Struct("=BxHiII")
ROUTE = struct.Struct("=8BI")
NEIGHBOR = struct.Struct("=BxxxiHBB")
NEXT_HOP = struct.Struct("=HBBi")
ATTRIBUTE = struct.Struct("=HH")
NUMBER = struct.Struct("=I")

FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
IFF_UP, IFF_LOOPBACK, IFF_LOWER_UP = 1, 8, 1 << 16
NTF_USE, RTM_F_CLONED = 1, 0x200
RTNH_F_DEAD, RTNH_F_LINKDOWN = 1, 16
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_EXT_MASK = 1, 3, 4, 29
NO_STATISTICS = 1 << 3  # of IFLA_EXT_MASK: they are half of a link's message
NDA_DST, NDA_LLADDR = 1, 2
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_METRICS, RTA_MULTIPATH = 1, 4, 5, 6, 8, 9
RTA_TABLE, RTA_VIA, RTA_ENCAP, RTAX_MTU = 15, 18, 22, 2
TABLE_MAIN, TABLE_LOCAL = 254, 255
RTN_UNICAST, RTN_LOCAL, RTN_BLOCKED = 1, 2, (6, 7, 8, 9)  # blackhole to throw


class Kind(IntEnum):
    """What a message is about: the number of its `new` form; `del` and `get` follow it."""

    LINK = 16
    ADDRESS = 20
    ROUTE = 24
    NEIGHBOR = 28
    NEXT_HOP = 104


class Nud(IntFlag):
    """State of a neighbor, in the kernel's words."""

    NONE = 0
    INCOMPLETE = 0x01
    REACHABLE = 0x02
    STALE = 0x04
    DELAY = 0x08
    PROBE = 0x10
    FAILED = 0x20
    NOARP = 0x40
    PERMANENT = 0x80


USABLE = Nud.REACHABLE | Nud.STALE | Nud.DELAY | Nud.PROBE | Nud.NOARP | Nud.PERMANENT
FIXED = Nud.NOARP | Nud.PERMANENT


class Link(NamedTuple):
    """A NIC; `up` means administratively up and with a carrier."""

    ifindex: int
    name: str
    mac: bytes
    mtu: int
    up: bool


class Hop(NamedTuple):
    """One way out of a route; no gateway: the destination is on that link itself."""

    ifindex: int
    gateway: IPAddress | None
    carrier: bool = True
    dead: bool = False  # the kernel passes it over
    encapsulated: bool = False


class Route(NamedTuple):
    """A route of the main or local table; without hops it forbids (blackhole and its kin)."""

    prefix: IPNetwork
    hops: tuple[Hop, ...]
    metric: int = 0
    mtu: int = 0
    local: bool = False


class Neighbor(NamedTuple):
    """A host on a link; `mac` is empty unless the kernel would send to it."""

    ifindex: int
    address: IPAddress
    mac: bytes
    state: Nud


Record = Link | Route | Neighbor


def _attributes(data: bytes, start: int, end: int) -> Attributes:
    found: Attributes = {}
    while start + 4 <= end:
        length, kind = ATTRIBUTE.unpack_from(data, start)
        if length < ATTRIBUTE.size:
            break
        found[kind & 0x3FFF] = data[start + 4 : start + length]
        start += (length + 3) & ~3
    return found


def _number(attributes: Attributes, kind: int) -> int:
    value = attributes.get(kind)
    return NUMBER.unpack_from(value)[0] if value else 0


def _parse_link(data: bytes, start: int, end: int) -> Link | None:
    family, _, index, flags, _ = LINK.unpack_from(data, start)
    if family != socket.AF_UNSPEC:  # a bridge tells of its ports, not of links
        return None
    attributes = _attributes(data, start + LINK.size, end)
    up = flags & IFF_UP and flags & IFF_LOWER_UP
    mac = b"" if flags & IFF_LOOPBACK else attributes.get(IFLA_ADDRESS, b"")
    name = attributes.get(IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="replace")
    return Link(index, name, mac, _number(attributes, IFLA_MTU), bool(up))


def _parse_hop(ifindex: int, flags: int, attributes: Attributes) -> Hop:
    raw = attributes.get(RTA_GATEWAY) or attributes.get(RTA_VIA, b"")[2:]  # via: family first
    gateway = ip_address(raw) if raw and any(raw) else None
    dead, carrier = bool(flags & RTNH_F_DEAD), not flags & RTNH_F_LINKDOWN
    return Hop(ifindex, gateway, carrier, dead, RTA_ENCAP in attributes)


def _multipath(data: bytes) -> Iterator[Hop]:
    start = 0
    while start + NEXT_HOP.size <= len(data):
        length, flags, _, ifindex = NEXT_HOP.unpack_from(data, start)
        if length < NEXT_HOP.size:
            break
        inner = _attributes(data, start + NEXT_HOP.size, start + length)
        yield _parse_hop(ifindex, flags, inner)
        start += (length + 3) & ~3


def _parse_route(data: bytes, start: int, end: int) -> Route | None:
    family, bits, source_bits, tos, table, _, _, kind, flags = ROUTE.unpack_from(data, start)
    if family not in (socket.AF_INET, socket.AF_INET6) or flags & RTM_F_CLONED:
        return None
    attributes = _attributes(data, start + ROUTE.size, end)
    table = _number(attributes, RTA_TABLE) or table
    local = table == TABLE_LOCAL and kind == RTN_LOCAL
    ours = table == TABLE_MAIN and (kind == RTN_UNICAST or kind in RTN_BLOCKED)
    if source_bits or tos or not (local or ours):
        return None
    hops: tuple[Hop, ...] = ()
    if kind == RTN_UNICAST and RTA_MULTIPATH in attributes:
        hops = tuple(_multipath(attributes[RTA_MULTIPATH]))
    elif kind == RTN_UNICAST:
        hops = (_parse_hop(_number(attributes, RTA_OIF), flags, attributes),)
    metrics = attributes.get(RTA_METRICS, b"")
    mtu = _number(_attributes(metrics, 0, len(metrics)), RTAX_MTU)
    prefix = _prefix(family, attributes.get(RTA_DST, b""), bits)
    return Route(prefix, hops, _number(attributes, RTA_PRIORITY), mtu, local)


def _prefix(family: int, raw: bytes, bits: int) -> IPNetwork:
    if family == socket.AF_INET:
        return IPv4Network((raw or bytes(4), bits))
    return IPv6Network((raw or bytes(16), bits))


def _parse_neighbor(data: bytes, start: int, end: int) -> Neighbor | None:
    family, index, state, _, _ = NEIGHBOR.unpack_from(data, start)
    attributes = _attributes(data, start + NEIGHBOR.size, end)
    raw = attributes.get(NDA_DST, b"")
    if family not in (socket.AF_INET, socket.AF_INET6) or not raw:
        return None
    mac = attributes.get(NDA_LLADDR, b"") if state & USABLE else b""
    return Neighbor(index, ip_address(raw), mac, Nud(state))


PARSERS: dict[int, Callable[[bytes, int, int], Record | None]] = {
    Kind.LINK: _parse_link,
    Kind.ROUTE: _parse_route,
    Kind.NEIGHBOR: _parse_neighbor,
}


def parse(kind: int, data: bytes, start: int, end: int) -> Record | None:
    """One message's body as a record; None if it is of no interest to a switch."""
    parser = PARSERS.get(kind)
    return parser(data, start, end) if parser else None


def dump_request(kind: Kind) -> bytes:
    """Body of the request for everything of a kind."""
    if kind == Kind.LINK:
        mask = ATTRIBUTE.pack(ATTRIBUTE.size + NUMBER.size, IFLA_EXT_MASK)
        return bytes(LINK.size) + mask + NUMBER.pack(NO_STATISTICS)
    return bytes(ROUTE.size)  # both families; the sizes of the other headers are the same


def neighbor_request(ifindex: int, address: IPAddress, state: Nud, flags: int = 0) -> bytes:
    """Body of a request that sets a neighbor's state, or (NTF_USE) behaves as if it were used."""
    raw = address.packed
    header = NEIGHBOR.pack(FAMILY[address.version], ifindex, state, flags, RTN_UNICAST)
    return header + ATTRIBUTE.pack(ATTRIBUTE.size + len(raw), NDA_DST) + raw
