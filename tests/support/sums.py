"""
Sums: what a receiver makes of the checksums of a frame, for frames that may be nonsense.

A switch changes words and corrects checksums; it never makes one right that was wrong, or wrong
that was right.  So the sum over all that a checksum covers, which is 0 when it is right, must be
the same before and after.
"""

from __future__ import annotations

import struct

ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58


def one_sum(*parts):
    """Add up 16-bit words in one's complement; 0 is what a correct checksum gives."""
    total = 0
    for part in parts:
        data = part + b"\0" * (len(part) % 2)
        total += sum(struct.unpack(f"!{len(data) // 2}H", data))
    return total % 0xFFFF


def sums(frame):
    """Add up a frame's checksums, by what they belong to; none for what is not IP."""
    kind = frame[12:14]
    if kind == b"\x08\0" and len(frame) >= 34 and frame[14] == 0x45:
        length = int.from_bytes(frame[16:18])
        found = {"ip": one_sum(frame[14:34])}
        return found | transport(frame[23], frame[26:34], frame[34 : 14 + length])
    if kind == b"\x86\xdd" and len(frame) >= 54:
        length = int.from_bytes(frame[18:20])
        return transport(frame[20], frame[22:54], frame[54 : 54 + length])
    return {}


def transport(protocol, addresses, segment):
    """Add up what is behind the IP header, with the pseudo header in front of it."""
    if protocol == UDP and len(segment) >= 8:
        if segment[6:8] == b"\0\0":
            return {UDP: None}
        segment = segment[: int.from_bytes(segment[4:6])]
    if protocol == ICMP:
        return {ICMP: one_sum(segment)} | quoted(segment)
    if protocol in (TCP, UDP, ICMPV6):
        pseudo = struct.pack("!II", len(segment), protocol)
        return {protocol: one_sum(addresses, pseudo, segment)}
    return {}


def quoted(message):
    """Add up the header that an error of ICMP quotes."""
    if len(message) >= 28 and message[0] in (3, 11, 12) and message[8] == 0x45:
        return {"quoted": one_sum(message[8:28])}
    return {}
