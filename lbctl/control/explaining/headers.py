"""
The headers: read a frame as the switching processor does, and say what is odd about it.

Reads only.  The order in which faults are found is that of bpf_src/stages/parse.h.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

import numpy as np

from lbctl.model import IPAddress

ETHERNET, IPV4, IPV6 = 14, 0x0800, 0x86DD
ICMP, TCP, UDP, FRAGMENT, ICMPV6 = 1, 6, 17, 44, 58
NAMES = {ICMP: "ICMP", TCP: "TCP", UDP: "UDP", ICMPV6: "ICMPv6"}
KINDS = {0x0806: "ARP", 0x8100: "a VLAN tag", 0x88A8: "a VLAN tag", 0x88CC: "LLDP"}
EXTENSIONS = (0, 43, 51, 60, 135)
FLAGS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32}
SYN_ONLY = FLAGS["SYN"], FLAGS["SYN"] | FLAGS["ACK"] | FLAGS["RST"] | FLAGS["FIN"]  # and mask
MESSAGES = {
    ICMP: {
        0: "echo reply",
        3: "unreachable",
        8: "echo request",
        11: "time exceeded",
        12: "parameter problem",
    },
    ICMPV6: {
        1: "unreachable",
        2: "packet too big",
        3: "time exceeded",
        4: "parameter problem",
        128: "echo request",
        129: "echo reply",
        135: "neighbor solicitation",
        136: "neighbor advertisement",
    },
}
FRAGMENTATION_NEEDED = (3, 4)


@dataclass(slots=True)
class Packet:
    """
    The headers of a frame; what it has not is None or empty.

    *problem*: why it is no packet for a VIP.  *checksums*: by layer, whether each is right, if the
    packet is whole.  *message*: type and code of ICMP; *quoted*: the packet it is about.
    """

    size: int = 0
    kind: int = 0
    destination_mac: str = ""
    source_mac: str = ""
    source: IPAddress | None = None
    destination: IPAddress | None = None
    protocol: int = -1
    ttl: int = 0
    length: int = 0
    source_port: int | None = None
    destination_port: int | None = None
    flags: int = 0
    sequence: int = 0
    acknowledgement: int = 0
    message: tuple[int, int] | None = None
    mtu: int = 0
    quoted: Packet | None = None
    problem: str = ""
    checksums: dict[str, bool] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """Where it is from: address, and port if it has one."""
        return place(self.source, self.source_port)

    @property
    def target(self) -> str:
        """Where it is to."""
        return place(self.destination, self.destination_port)

    @property
    def is_error(self) -> bool:
        """Whether it is an ICMP error, as the switch sees it."""
        if self.message is None:
            return False
        return self.message[0] < 128 if self.protocol == ICMPV6 else self.message[0] in (3, 11, 12)

    @property
    def what(self) -> str:
        """What kind of packet: `TCP SYN`, `UDP`, `ICMP echo request`."""
        if self.source is None:
            return KINDS.get(self.kind, f"EtherType {self.kind:#06x}")
        name = NAMES.get(self.protocol, f"protocol {self.protocol}")
        if self.protocol == TCP and self.destination_port is not None:
            return f"{name} {flags_text(self.flags)}"
        if self.message is None:
            return name
        if self.protocol == ICMP and self.message == FRAGMENTATION_NEEDED:
            return f"{name} fragmentation needed (MTU {self.mtu})"
        told = MESSAGES[self.protocol].get(self.message[0], f"type {self.message[0]}")
        return f"{name} {told}" + (f" (MTU {self.mtu})" if self.mtu else "")

    def __str__(self) -> str:
        if self.source is None:
            return f"{self.what}, {self.size} bytes"
        return f"{self.what} {self.origin} > {self.target}, {self.length} bytes"


def place(address: IPAddress | None, port: int | None) -> str:
    """Write an address, and its port if there is one."""
    if port is None:
        return str(address)
    return f"[{address}]:{port}" if address and address.version == 6 else f"{address}:{port}"


def flags_text(flags: int) -> str:
    """TCP flags by name: `SYN,ACK`."""
    return ",".join(name for name, bit in FLAGS.items() if flags & bit) or "without flags"


def decode(frame: bytes) -> Packet:
    """Read a frame, however broken it is."""
    packet = Packet(size=len(frame))
    if len(frame) < ETHERNET:
        return packet
    packet.destination_mac, packet.source_mac = frame[:6].hex(":"), frame[6:12].hex(":")
    packet.kind = int.from_bytes(frame[12:14])
    if packet.kind == IPV4 and len(frame) >= ETHERNET + 20:
        _ipv4(packet, frame[ETHERNET:])
    elif packet.kind == IPV6 and len(frame) >= ETHERNET + 40:
        _ipv6(packet, frame[ETHERNET:])
    return packet


def right(*parts: bytes) -> bool:
    """Whether a checksum over *parts* is right (RFC 1071): with it the sum is minus zero."""
    return checksum(*parts) == 0


def checksum(*parts: bytes) -> int:
    """The Internet checksum of all *parts* (RFC 1071); each is filled up to an even length."""
    total = 0
    for part in parts:
        words = np.frombuffer(part + b"\0" * (len(part) % 2), ">u2")
        total += int(words.sum(dtype=np.uint64))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _ipv4(packet: Packet, data: bytes) -> None:
    first, _, packet.length, _, fragment, packet.ttl, packet.protocol = struct.unpack_from(
        ">BBHHHBB", data
    )
    packet.source, packet.destination = IPv4Address(data[12:16]), IPv4Address(data[16:20])
    if 0x45 < first < 0x50:
        packet.problem = f"it has {first % 16 * 4 - 20} bytes of IP options"
    elif first != 0x45:
        packet.problem = f"malformed: its first byte is {first:#04x}, of IPv4 that is 0x45"
    elif fragment & 0x3FFF:
        packet.problem = f"it is a fragment, from byte {(fragment & 0x1FFF) * 8} on"
    if not 20 <= packet.length <= len(data):
        packet.problem = _too_long(packet.length, len(data))
    if not packet.problem:
        packet.checksums["IP"] = right(data[:20])
        _transport(packet, data[12:20], data[20 : packet.length])


def _ipv6(packet: Packet, data: bytes) -> None:
    payload, packet.protocol, packet.ttl = struct.unpack_from(">HBB", data, 4)
    packet.length = payload + 40
    packet.source, packet.destination = IPv6Address(data[8:24]), IPv6Address(data[24:40])
    if data[0] >> 4 != 6:
        packet.problem = f"malformed: its version is {data[0] >> 4}, of IPv6 that is 6"
    elif packet.length > len(data):
        packet.problem = _too_long(packet.length, len(data))
    elif packet.protocol == FRAGMENT:
        packet.problem = "it is a fragment"
    elif packet.protocol in EXTENSIONS:
        packet.problem = f"it has an extension header (number {packet.protocol})"
    else:
        _transport(packet, data[8:40], data[40 : packet.length])


def _too_long(said: int, there: int) -> str:
    return (
        f"malformed: its IP header says {said} bytes, and there are {there}; "
        f"a capture must not cut packets off"
    )


def _transport(packet: Packet, addresses: bytes, segment: bytes) -> None:
    room, protocol = len(segment), packet.protocol
    if protocol == TCP:
        words = segment[12] >> 4 if room >= 20 else 0
        if words < 5 or words * 4 > room:
            packet.problem = f"malformed: its TCP header of {words * 4} bytes is not whole"
            return
        packet.flags = segment[13]
        packet.sequence, packet.acknowledgement = struct.unpack_from(">II", segment, 4)
    elif protocol == UDP:
        length = int.from_bytes(segment[4:6])
        if room < 8 or not 8 <= length <= room:
            packet.problem = f"malformed: its UDP header says {length} bytes, and there are {room}"
            return
        segment = segment[:length]
    elif protocol in MESSAGES and room >= 8:
        _icmp(packet, segment)
    if protocol in (TCP, UDP):
        packet.source_port, packet.destination_port = struct.unpack_from(">HH", segment)
    if protocol in NAMES and not (protocol == UDP and segment[6:8] == b"\0\0"):
        pseudo = addresses + struct.pack(">II", len(segment), protocol)
        parts = (segment,) if protocol == ICMP else (pseudo, segment)
        packet.checksums[NAMES[protocol]] = right(*parts)


def _icmp(packet: Packet, message: bytes) -> None:
    """Type, code, and of an error the start of the packet that it is about."""
    packet.message = message[0], message[1]
    if not packet.is_error:
        return
    too_big = FRAGMENTATION_NEEDED if packet.protocol == ICMP else (2, message[1])
    if packet.message == too_big:
        packet.mtu = int.from_bytes(message[4:8])
    packet.quoted = _quoted(message[8:], 4 if packet.protocol == ICMP else 6)


def _quoted(data: bytes, version: int) -> Packet | None:
    """The headers that an ICMP error quotes; as much as the switch wants of them, or None."""
    start = 20 if version == 4 else 40
    if len(data) < start + 8 or (version == 4 and data[0] != 0x45):
        return None
    packet = Packet(size=len(data), kind=IPV4 if version == 4 else IPV6)
    if version == 4:
        packet.protocol, packet.ttl = data[9], data[8]
        packet.source, packet.destination = IPv4Address(data[12:16]), IPv4Address(data[16:20])
    else:
        packet.protocol, packet.ttl = data[6], data[7]
        packet.source, packet.destination = IPv6Address(data[8:24]), IPv6Address(data[24:40])
    packet.source_port, packet.destination_port = struct.unpack_from(">HH", data, start)
    return packet
