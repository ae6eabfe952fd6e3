"""
The segments: the TCP SYN that tries something out, and what answers it, as frames.

Pure.  RFC 9293; every checksum is right, for no NIC adds it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NamedTuple

from lbctl.control.preflight.facts import Answer
from lbctl.model import SocketAddress

ETHERNET, IPV4, IPV6, TCP = 14, 0x0800, 0x86DD, 6
SYN, RST, ACK = 2, 4, 16
HEADER = {4: 20, 6: 40}  # bytes; what answers a SYN has no options in its IP header
DONT_FRAGMENT, WINDOW, SEQUENCE = 0x4000, 64240, 0x4C42_0000
OPTION = b"\x02\x04\x05\x14"  # a maximum segment of 1300 bytes: some firewalls want one


@dataclass(frozen=True, slots=True)
class Probe:
    """One SYN: by which NIC, between which MACs and addresses, and how far it may go."""

    nic: str
    source_mac: bytes
    destination_mac: bytes
    source: SocketAddress
    destination: SocketAddress
    hops: int

    def syn(self) -> bytes:
        """The frame that asks."""
        return self._frame(SEQUENCE, SYN, OPTION)

    def reset(self) -> bytes:
        """The frame that takes the question back, so that the server need not wait."""
        return self._frame(SEQUENCE + 1, RST)

    def _frame(self, sequence: int, flags: int, options: bytes = b"") -> bytes:
        kind = IPV4 if self.source.address.version == 4 else IPV6
        macs = self.destination_mac + self.source_mac + struct.pack("!H", kind)
        size = (20 + len(options)) // 4 << 4
        ports = struct.pack("!HH", self.source.port, self.destination.port)
        rest = struct.pack("!IIBBHHH", sequence, 0, size, flags, WINDOW, 0, 0)
        segment = ports + rest + options
        both = self.source.address.packed + self.destination.address.packed
        total = checksum(both + struct.pack("!II", len(segment), TCP) + segment)
        return macs + self._header(len(segment)) + segment[:16] + total + segment[18:]

    def _header(self, size: int) -> bytes:
        both = self.source.address.packed + self.destination.address.packed
        if self.source.address.version == 6:
            return struct.pack("!IHBB", 6 << 28, size, TCP, self.hops) + both
        first = (0x45, 0, 20 + size, 0, DONT_FRAGMENT, self.hops, TCP)
        blank = struct.pack("!BBHHHBBH", *first, 0) + both
        return blank[:10] + checksum(blank) + blank[12:]


class Heard(NamedTuple):
    """A segment that may answer: who says it, to whom, and what."""

    source: SocketAddress
    target: SocketAddress
    answer: Answer


def checksum(data: bytes) -> bytes:
    """The Internet checksum (RFC 1071)."""
    data += bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return (~total & 0xFFFF).to_bytes(2)


def read(frame: bytes) -> Heard | None:
    """What a frame answers; None: it is no SYN with ACK, and no reset."""
    version = {IPV4: 4, IPV6: 6}.get(int.from_bytes(frame[12:14]))
    if version is None:
        return None
    begin = ETHERNET + HEADER[version]
    protocol = frame[ETHERNET + 9 : ETHERNET + 10] if version == 4 else frame[20:21]
    if protocol != bytes([TCP]) or len(frame) < begin + 20:
        return None
    flags = frame[begin + 13]
    if flags & (SYN | ACK) == SYN | ACK:
        answer = Answer.ACCEPTED
    elif flags & RST:
        answer = Answer.REFUSED
    else:
        return None
    size = 4 if version == 4 else 16
    hosts = [ip_address(frame[begin - n * size : begin - n * size + size]) for n in (2, 1)]
    ports = struct.unpack_from("!HH", frame, begin)
    source, target = map(SocketAddress, hosts, ports)
    return Heard(source, target, answer)
