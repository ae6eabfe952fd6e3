"""
The pcapng file: blocks of packets, with what is told beside them (draft-ietf-opsawg-pcapng).

Knows nothing of the switch, so that the command line can use it too: it has to cut a stream into
whole blocks.  Times are nanoseconds since 1970.
"""

from __future__ import annotations

import struct

MEDIA = "application/x-pcapng"
INBOUND, OUTBOUND = 1, 2  # directions, of epb_flags

_SECTION, _INTERFACE, _STATISTICS, _PACKET = 0x0A0D0D0A, 1, 5, 6
_ETHERNET = 1
_COMMENT = 1
_OS, _APPLICATION = 3, 4
_NAME, _DESCRIPTION, _MAC, _RESOLUTION = 2, 3, 6, 9
_FLAGS, _PACKET_ID, _VERDICT = 2, 5, 7
_STARTED, _ENDED, _RECEIVED, _ACCEPTED, _MISSED, _DELIVERED = 2, 3, 4, 6, 7, 8
_XDP = 2  # the kind of a verdict: the action of an XDP program

_HEAD = struct.Struct("<7I")
_TAIL = struct.Struct("<HHQII")  # the packet's number, the end of the options, the block's length
_START = struct.Struct("<II")
_PAD = (b"", bytes(3), bytes(2), bytes(1))  # to four bytes
_END = bytes(4)


def section(system: str, application: str, comment: str) -> bytes:
    """The beginning of a file."""
    told = _texts((_OS, system), (_APPLICATION, application), (_COMMENT, comment))
    return _block(_SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + told + _END)


def interface(name: str, description: str, mac: bytes, snap: int) -> bytes:
    """A NIC; they are numbered from 0 as they come."""
    told = _texts((_NAME, name), (_DESCRIPTION, description))
    told += _option(_MAC, mac) if mac else b""
    told += _option(_RESOLUTION, bytes([9]))  # powers of ten
    return _block(_INTERFACE, struct.pack("<HHI", _ETHERNET, 0, snap) + told + _END)


def beside(direction: int, action: int, comment: str) -> bytes:
    """What is told beside many packets alike: where they went, and why."""
    flags = _option(_FLAGS, struct.pack("<I", direction))
    return flags + _option(_VERDICT, struct.pack("<BQ", _XDP, action)) + _texts((_COMMENT, comment))


def packet(  # noqa: PLR0913, PLR0917 - called for every packet: no detours
    nic: int, time: int, frame: bytes, length: int, told: bytes, number: int, /
) -> bytes:
    """
    A packet of *length* bytes, of which *frame* is what was taken; *told* is from `beside`.

    The same *number* says that it is the same packet, seen somewhere else.
    """
    pad = _PAD[len(frame) & 3]
    size = _HEAD.size + len(frame) + len(pad) + len(told) + _TAIL.size
    head = _HEAD.pack(_PACKET, size, nic, time >> 32, time & 0xFFFF_FFFF, len(frame), length)
    return b"".join((head, frame, pad, told, _TAIL.pack(_PACKET_ID, 8, number, 0, size)))


def statistics(  # noqa: PLR0913 - as many as there are numbers
    nic: int,
    *,
    started: int,
    ended: int,
    received: int,
    delivered: int,
    missed: int,
    comment: str = "",
) -> bytes:
    """How many packets a NIC has got, how many are in the file, and how many ought to be."""
    told = _option(_STARTED, _time(started)) + _option(_ENDED, _time(ended))
    counts = {
        _RECEIVED: received,
        _ACCEPTED: delivered + missed,
        _MISSED: missed,
        _DELIVERED: delivered,
    }
    told += b"".join(_option(code, struct.pack("<Q", count)) for code, count in counts.items())
    told += _texts((_COMMENT, comment)) if comment else b""
    return _block(_STATISTICS, struct.pack("<I", nic) + _time(ended) + told + _END)


class Blocks:
    """Cuts a stream into whole blocks; *packets* and *missed* are what they told."""

    def __init__(self) -> None:
        self.packets = 0
        self._missed: dict[int, int] = {}  # by NIC
        self._rest = b""

    @property
    def missed(self) -> int:
        """Packets for which there was no room."""
        return sum(self._missed.values())

    def feed(self, data: bytes) -> bytes:
        """Take what comes next; gives the blocks that are whole now."""
        data = self._rest + data if self._rest else data
        end, last = 0, -1
        while end + 12 <= len(data):
            kind, size = _START.unpack_from(data, end)
            if end + size > len(data):
                break
            if kind == _PACKET:
                last = end + size - _TAIL.size
            elif kind == _STATISTICS:
                self._read_statistics(data[end : end + size])
            end += size
        if last >= 0:
            self.packets = _TAIL.unpack_from(data, last)[2]
        self._rest = data[end:]
        return data[:end]

    def _read_statistics(self, block: bytes) -> None:
        (nic,), at = struct.unpack_from("<I", block, 8), 20
        while at + 4 < len(block):
            code, size = struct.unpack_from("<HH", block, at)
            if code == _MISSED:
                (self._missed[nic],) = struct.unpack_from("<Q", block, at + 4)
            at += 4 + (size + 3 & -4)


def _block(kind: int, body: bytes) -> bytes:
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + _PAD[len(value) & 3]


def _texts(*options: tuple[int, str]) -> bytes:
    """Options of text, which can have 65,535 bytes each."""
    return b"".join(_option(code, text.encode()[:0xFFFF]) for code, text in options)


def _time(when: int) -> bytes:
    return struct.pack("<II", when >> 32, when & 0xFFFF_FFFF)
