"""
The records: what the kernel must hold so that programs on the switch send through the switch.

Pure.  Equal records are equal state: what is there less what is wanted is what has to go.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from zlib import crc32

from lbctl.control.routing.records import IPNetwork
from lbctl.model import IPAddress

OURS = 1 << 31  # of the number of a table: no other program's are so high
NAME_BITS, INDEX_BITS = 15, 16
ANYWHERE = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}
# Nobody has these: all that is sent to them goes to the MAC that a Guide says.  RFC 7600 keeps the
# first for such a use, the other one is of no link.
NOBODY = {4: ip_address("192.0.0.8"), 6: ip_address("fe80::6c62")}


@dataclass(frozen=True, slots=True)
class Claim:
    """The NIC *ifindex* answers for that IPv6 address of a pseudo interface."""

    ifindex: int
    address: IPAddress


@dataclass(frozen=True, slots=True)
class Guide:
    """What goes to NOBODY by the NIC *ifindex* gets that MAC."""

    ifindex: int
    version: int
    mac: bytes


@dataclass(frozen=True, slots=True)
class Way:
    """
    A route of the table: the prefix leads to NOBODY by the NIC *ifindex*.

    0 stands for none: the kernel sends there as if there were no such table.
    """

    table: int
    prefix: IPNetwork
    ifindex: int


@dataclass(frozen=True, slots=True)
class Rule:
    """What is sent from there is routed by that table; *protocol*, *port*: 0 stands for any."""

    source: IPAddress
    table: int
    protocol: int = 0
    port: int = 0


Record = Claim | Guide | Way | Rule
ORDER = (Claim, Guide, Way, Rule)  # each is of use once those before it are there


def tables_of(instance: str) -> range:
    """The numbers of the tables of an instance."""
    first = OURS | (crc32(instance.encode()) & (1 << NAME_BITS) - 1) << INDEX_BITS
    return range(first, first + (1 << INDEX_BITS))


def table_of(instance: str, ifindex: int) -> int:
    """The table by which an instance sends to the NIC *ifindex*."""
    return tables_of(instance)[ifindex]
