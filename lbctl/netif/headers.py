"""
The headers: describe the beginnings of packets as numpy dtypes, in network byte order.

A line is the first 64 bytes of a packet.  `batch.lines(UDP4)` copies one line a packet, fields are
read and set as columns, `batch.write` puts them back.  Which of the kinds a packet is, `kind_of`
tells; a line of another kind has its fields all the same, and they mean nothing.

MACs are void of 6 bytes, IPv6 addresses void of 16: compare them with `np.void(b"...")`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LINE = 64  # bytes
_Field = tuple[str, str]

_ETHERNET: list[_Field] = [
    ("destination_mac", "V6"),
    ("source_mac", "V6"),
    ("ethertype", ">u2"),
]
_IPV4: list[_Field] = [
    ("version_ihl", "u1"),
    ("tos", "u1"),
    ("total_length", ">u2"),
    ("identification", ">u2"),
    ("fragment", ">u2"),
    ("ttl", "u1"),
    ("protocol", "u1"),
    ("ip_checksum", ">u2"),
    ("source", ">u4"),
    ("destination", ">u4"),
]
_IPV6: list[_Field] = [
    ("version_class_flow", ">u4"),
    ("payload_length", ">u2"),
    ("protocol", "u1"),
    ("ttl", "u1"),
    ("source", "V16"),
    ("destination", "V16"),
]
_PORTS: list[_Field] = [("source_port", ">u2"), ("destination_port", ">u2")]
_UDP: list[_Field] = [*_PORTS, ("udp_length", ">u2"), ("checksum", ">u2")]
_TCP: list[_Field] = [
    *_PORTS,
    ("sequence", ">u4"),
    ("acknowledgment", ">u4"),
    ("offset_flags", ">u2"),
    ("window", ">u2"),
    ("checksum", ">u2"),
    ("urgent", ">u2"),
]


def line(*fields: _Field) -> np.dtype[Any]:
    """A dtype of these fields, one behind the other; the rest of a line is `payload`."""
    size = np.dtype(list(fields)).itemsize
    rest = [("payload", f"V{LINE - size}")] if size < LINE else []
    return np.dtype([*fields, *rest])


ETHERNET = line(*_ETHERNET)
UDP4 = line(*_ETHERNET, *_IPV4, *_UDP)
TCP4 = line(*_ETHERNET, *_IPV4, *_TCP)
UDP6 = line(*_ETHERNET, *_IPV6, *_UDP)
# Longer than a line: an IPv6 header and a TCP header do not fit into one.
TCP6 = np.dtype([*_ETHERNET, *_IPV6, *_TCP, ("payload", "V6")])

OTHER, IS_UDP4, IS_TCP4, IS_UDP6, IS_TCP6 = range(5)
KINDS = {IS_UDP4: UDP4, IS_TCP4: TCP4, IS_UDP6: UDP6, IS_TCP6: TCP6}
_SHORTEST = {UDP4: 42, TCP4: 54, UDP6: 62, TCP6: 74}


def shortest(kind: np.dtype[Any]) -> int:
    """Bytes of the headers of a kind."""
    return _SHORTEST[kind]


def kind_of(lines: NDArray[Any], lengths: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """
    Tell what each line is: OTHER, IS_UDP4, IS_TCP4, IS_UDP6 or IS_TCP6, (n,) uint8.

    *lengths*: bytes of the packets.  IPv4 with options, fragments, IPv6 with extension headers,
    VLAN tags and what is cut short are OTHER.
    """
    four, six = lines.view(UDP4), lines.view(UDP6)
    plain4 = (four["ethertype"] == 0x0800) & (four["version_ihl"] == 0x45)
    plain4 &= (four["fragment"] & 0x3FFF) == 0
    plain6 = six["ethertype"] == 0x86DD
    kinds = np.zeros(len(lines), np.uint8)
    for plain, rows, protocol, kind in (
        (plain4, four, 17, IS_UDP4),
        (plain4, four, 6, IS_TCP4),
        (plain6, six, 17, IS_UDP6),
        (plain6, six, 6, IS_TCP6),
    ):
        whole = lengths >= _SHORTEST[KINDS[kind]]
        kinds[plain & (rows["protocol"] == protocol) & whole] = kind
    return kinds
