"""
The headers: who sends a frame to whom, in a line.

Reads what the switching processors read, and no more; a frame that ends too early is told as far as
it goes.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, NamedTuple

from lbctl.model import SocketAddress

if TYPE_CHECKING:
    from lbctl.model import IPAddress

_IPV4, _IPV6 = 0x0800, 0x86DD
_ETHERTYPES = {0x0806: "arp", 0x8100: "vlan", 0x88A8: "vlan", 0x88CC: "lldp"}
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6"}
_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG")
_ICMP = {0: "echo reply", 3: "unreachable", 5: "redirect", 8: "echo request", 11: "time exceeded"}
_ICMP6 = {
    1: "unreachable",
    2: "too big",
    3: "time exceeded",
    128: "echo request",
    129: "echo reply",
    133: "router solicitation",
    134: "router advertisement",
    135: "neighbor solicitation",
    136: "neighbor advertisement",
}
_ETHERNET, _FRAGMENT = 14, 0x1FFF


class Headers(NamedTuple):
    """Protocol, sender and receiver; *more*: flags of TCP, or the kind of an ICMP message."""

    protocol: str
    source: str
    destination: str
    more: str = ""


def read(frame: bytes) -> Headers:
    """Read the headers of an Ethernet frame."""
    kind = int.from_bytes(frame[12:14], "big")
    if kind == _IPV4 and len(frame) >= _ETHERNET + 20:
        return _ipv4(frame[_ETHERNET:])
    if kind == _IPV6 and len(frame) >= _ETHERNET + 40:
        return _ipv6(frame[_ETHERNET:])
    name = _ETHERTYPES.get(kind, f"ethertype {kind:#06x}")
    return Headers(name, frame[6:12].hex(":"), frame[:6].hex(":"))


def _ipv4(packet: bytes) -> Headers:
    source, destination = IPv4Address(packet[12:16]), IPv4Address(packet[16:20])
    rest = packet[(packet[0] & 15) * 4 :]
    if int.from_bytes(packet[6:8], "big") & _FRAGMENT:
        rest = b""  # not the first fragment: there are no ports in it
    return _transport(packet[9], source, destination, rest)


def _ipv6(packet: bytes) -> Headers:
    source, destination = IPv6Address(packet[8:24]), IPv6Address(packet[24:40])
    return _transport(packet[6], source, destination, packet[40:])


def _transport(number: int, source: IPAddress, destination: IPAddress, rest: bytes) -> Headers:
    name = _PROTOCOLS.get(number, f"protocol {number}")
    if name in ("tcp", "udp") and len(rest) >= 4:
        ports = struct.unpack_from(">HH", rest)
        sender, receiver = SocketAddress(source, ports[0]), SocketAddress(destination, ports[1])
        flags = rest[13] if name == "tcp" and len(rest) > 13 else 0
        told = ",".join(flag for bit, flag in enumerate(_FLAGS) if flags >> bit & 1)
        return Headers(name, str(sender), str(receiver), told)
    kinds = {"icmp": _ICMP, "icmp6": _ICMP6}.get(name, {})
    told = kinds.get(rest[0], f"type {rest[0]}") if kinds and rest else ""
    return Headers(name, str(source), str(destination), told)
