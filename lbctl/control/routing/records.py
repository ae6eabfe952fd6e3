"""
The records: links, routes and neighbors as the kernel has them, without what no switch needs.

Pure.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from lbctl.model import IPAddress

IPNetwork = IPv4Network | IPv6Network


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
    """
    A NIC; `up` means administratively up and with a carrier; `mac` is empty but on Ethernet.

    `inner`: if this is a pseudo interface, the ifindex of its end that is the switch's.
    """

    ifindex: int
    name: str
    mac: bytes
    mtu: int
    up: bool
    inner: int = 0


class Hop(NamedTuple):
    """One way out of a route; no gateway: the destination is on that link itself."""

    ifindex: int
    gateway: IPAddress | None
    carrier: bool = True
    dead: bool = False  # the kernel passes it over
    encapsulated: bool = False


class Route(NamedTuple):
    """
    A route of the main or local table; without hops it forbids (blackhole and its kin).

    The hop of a local one says which NIC has the address.
    """

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


class Event(NamedTuple):
    """A change that the kernel told of; no record: it is of a kind we do not look into."""

    kind: Kind
    gone: bool
    record: Record | None
