"""
The frames: build the packet that a question is about, as it would come in by a NIC.

Pure.  Every length and checksum is right.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING

from lbctl.control.explaining.headers import (
    ICMP,
    ICMPV6,
    IPV4,
    IPV6,
    TCP,
    UDP,
    Packet,
    checksum,
)
from lbctl.control.explaining.questions import ACK, SYN, IcmpError, Protocol, Question

if TYPE_CHECKING:
    from lbctl.model import IPAddress

SEQUENCE = 1000
WINDOW = 64240
MTU = 1280  # that an ICMP error names: less than any usual one, and IPv6 takes it
DONT_FRAGMENT = 0x4000  # as most systems send TCP, and UDP that is small
NUMBERS = {Protocol.TCP: TCP, Protocol.UDP: UDP}
ERRORS = {  # type and code, IPv4 and IPv6
    IcmpError.TOO_BIG: {4: (3, 4), 6: (2, 0)},
    IcmpError.UNREACHABLE: {4: (3, 1), 6: (1, 3)},
    IcmpError.TIME_EXCEEDED: {4: (11, 0), 6: (3, 0)},
}


def build(question: Question, destination_mac: bytes, source_mac: bytes) -> bytes:
    """Make a frame; TCP has the flags SYN unless the question says otherwise."""
    version = question.source.version
    protocol = ICMP if version == 4 else ICMPV6
    if question.error:
        segment = _error(question, question.error)
    elif question.protocol is Protocol.ICMP:
        segment = struct.pack(">BBHHH", 8 if version == 4 else 128, 0, 0, 1, 1)
        segment += _filling(question)
    else:
        protocol, segment = NUMBERS[question.protocol], _segment(question)
    segment = _summed(segment, question.source, question.destination, protocol)
    packet = _network(question.source, question.destination, protocol, question.ttl, segment)
    kind = IPV4 if version == 4 else IPV6
    return destination_mac + source_mac + struct.pack(">H", kind) + packet


def about(frame: bytes, packet: Packet) -> bytes:
    """
    Turn round what an ICMP error quotes: a packet forward of the connection that it is about.

    Empty if it quotes nothing that the switch would look for.
    """
    quoted = packet.quoted
    if not packet.is_error or quoted is None or quoted.protocol not in NUMBERS.values():
        return b""
    if quoted.source is None or quoted.destination is None or quoted.source != packet.destination:
        return b""
    protocol = Protocol.TCP if quoted.protocol == TCP else Protocol.UDP
    turned = Question(
        protocol,
        quoted.destination,
        quoted.destination_port or 0,
        quoted.source,
        quoted.source_port or 0,
        ACK,
    )
    return build(turned, frame[:6], frame[6:12])


def _filling(question: Question) -> bytes:
    """Bytes that make the packet as long as it is to be."""
    return bytes((question.length or question.least) - question.least)


def _segment(question: Question) -> bytes:
    """A TCP segment or UDP datagram whose checksum is still zero."""
    ports = struct.pack(">HH", question.source_port, question.destination_port)
    filling = _filling(question)
    if question.protocol is Protocol.UDP:
        return ports + struct.pack(">HH", 8 + len(filling), 0) + filling
    flags = SYN if question.flags is None else question.flags
    acknowledged = SEQUENCE if flags & ACK else 0
    rest = struct.pack(">IIBBHHH", SEQUENCE, acknowledged, 5 << 4, flags, WINDOW, 0, 0)
    return ports + rest + filling


def _error(question: Question, error: IcmpError) -> bytes:
    """An ICMP error that quotes a packet from the destination back to the source."""
    sent = replace(
        question,
        source=question.destination,
        source_port=question.destination_port,
        destination=question.source,
        destination_port=question.source_port,
        flags=ACK,
    )
    segment = _segment(sent)
    number = NUMBERS[sent.protocol]
    segment = _summed(segment, sent.source, sent.destination, number)
    quoted = _network(sent.source, sent.destination, number, 60, segment)
    version = question.source.version
    kind, code = ERRORS[error][version]
    rest = MTU if error is IcmpError.TOO_BIG else 0
    return struct.pack(">BBHI", kind, code, 0, rest) + quoted


def _summed(segment: bytes, source: IPAddress, destination: IPAddress, protocol: int) -> bytes:
    """Write the checksum where the protocol has it; UDP writes none as minus zero (RFC 768)."""
    offset = {TCP: 16, UDP: 6}.get(protocol, 2)
    addresses = source.packed + destination.packed
    pseudo = b"" if protocol == ICMP else addresses + struct.pack(">II", len(segment), protocol)
    value = checksum(pseudo, segment)
    if protocol == UDP and not value:
        value = 0xFFFF
    return segment[:offset] + struct.pack(">H", value) + segment[offset + 2 :]


def _network(
    source: IPAddress, destination: IPAddress, protocol: int, ttl: int, segment: bytes
) -> bytes:
    """Put the IP header in front."""
    addresses = source.packed + destination.packed
    if source.version == 6:
        return struct.pack(">IHBB", 6 << 28, len(segment), protocol, ttl) + addresses + segment
    start = struct.pack(">BBHHHBB", 0x45, 0, 20 + len(segment), 0, DONT_FRAGMENT, ttl, protocol)
    return start + struct.pack(">H", checksum(start, addresses)) + addresses + segment
