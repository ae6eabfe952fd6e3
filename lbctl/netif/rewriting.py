"""
The rewriting: change header lines as columns, and keep their checksums right.

Lines are what `Batch.lines` gives for a kind of `headers`: UDP4, TCP4, UDP6, TCP6.  All of it works
in place on the lines; `Batch.write` puts them back.  Checksums are patched by what changed
(RFC 1624, equation 3), or made anew from whole packets (RFC 1071).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lbctl.errors import UsageError
from lbctl.netif.frames import FrameError
from lbctl.netif.headers import TCP4, TCP6, UDP4, UDP6, shortest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lbctl.netif.batch import Batch

_KINDS = (UDP4, TCP4, UDP6, TCP6)
_FIRST_OF_TRANSPORT = {UDP4: 34, TCP4: 34, UDP6: 54, TCP6: 54}
# Their change is not that of one word alone, or they are what is computed.
_NOT_TO_BE_SET = {
    *("total_length", "payload_length", "udp_length", "protocol", "ethertype", "payload"),
    *("version_ihl", "ip_checksum", "checksum"),
}


def swap_macs(lines: NDArray[Any]) -> None:
    """Exchange destination and source MAC."""
    _swap(lines, "destination_mac", "source_mac")


def swap_addresses(lines: NDArray[Any]) -> None:
    """Exchange destination and source address; no checksum changes by that."""
    _swap(lines, "destination", "source")


def swap_ports(lines: NDArray[Any]) -> None:
    """Exchange destination and source port; no checksum changes by that."""
    _swap(lines, "destination_port", "source_port")


def turn_around(lines: NDArray[Any]) -> None:
    """Make packets go back where they came from: MACs, addresses and ports."""
    swap_macs(lines)
    swap_addresses(lines)
    swap_ports(lines)


def _swap(lines: NDArray[Any], one: str, other: str) -> None:
    before = lines[one].copy()
    lines[one] = lines[other]
    lines[other] = before


def assign(lines: NDArray[Any], **values: Any) -> None:  # noqa: ANN401 - what numpy assigns
    """
    Set fields and patch the checksums of IP, UDP and TCP by what changed.

    Values are scalars or arrays of a value a line: `assign(lines, destination=address, ttl=63)`.
    A UDP checksum over IPv4 that is 0, none, stays so.  UsageError for lengths and protocols: use
    `fill_checksums` then.
    """
    kind = _kind(lines)
    for name in values:
        if name not in (kind.names or ()) or name in _NOT_TO_BE_SET:
            raise UsageError(f"{name}: not a field to assign; set it and call fill_checksums")
    words = _words(lines)
    of_network = np.zeros(len(lines), np.uint32)
    of_transport = np.zeros(len(lines), np.uint32)
    for name, value in values.items():
        offset, columns = _columns(kind, name)
        before = words[:, columns].sum(axis=1, dtype=np.uint32)
        lines[name] = value
        change = words[:, columns].sum(axis=1, dtype=np.uint32) - before
        change += np.uint32(0xFFFF * (columns.stop - columns.start))
        if 14 <= offset < _FIRST_OF_TRANSPORT[kind]:
            of_network += change
        if offset >= _FIRST_OF_TRANSPORT[kind] or name in ("source", "destination"):
            of_transport += change
    if kind in (UDP4, TCP4) and of_network.any():
        _patch(words, kind, "ip_checksum", of_network)
    if of_transport.any():
        _patch(words, kind, "checksum", of_transport)


def _patch(
    words: NDArray[np.uint16], kind: np.dtype[Any], name: str, change: NDArray[np.uint32]
) -> None:
    """Add a change to a checksum; both are of words as they lie in memory."""
    column = words[:, _columns(kind, name)[1].start]
    patched = ~_fold((column ^ np.uint16(0xFFFF)) + change)
    if name == "checksum" and kind in (UDP4, UDP6):
        patched[patched == 0] = 0xFFFF
        if kind == UDP4:
            patched[column == 0] = 0
    column[:] = patched


def fill_checksums(batch: Batch, kind: np.dtype[Any]) -> None:
    """
    Compute and write the checksums of IP and of UDP or TCP for packets of one kind.

    FrameError if the lengths in a packet's headers are not those of the packet.
    """
    lines = batch.lines(kind)
    lengths, fit = _lengths(batch, lines, kind)
    if not fit.all():
        raise FrameError("the lengths in a packet's headers are not those of the packet")
    lines["checksum"] = 0
    if kind in (UDP4, TCP4):
        lines["ip_checksum"] = 0
        _words(lines)[:, 12] = ~_network_sums(lines)
    batch.write(lines)
    sums = ~_transport_sums(batch, lines, kind, lengths)
    if kind in (UDP4, UDP6):
        sums[sums == 0] = 0xFFFF
    _words(lines)[:, _columns(kind, "checksum")[1].start] = sums
    batch.write(lines)


def checksums_hold(batch: Batch, kind: np.dtype[Any]) -> NDArray[np.bool_]:
    """
    Whether the checksums of packets of one kind are right, (n,) bool.

    What the NIC's driver found out about them is not known to XDP.  No UDP checksum over IPv4 is
    right, too.  Those of a packet whose headers tell another length than it has are not.
    """
    lines = batch.lines(kind)
    lengths, fit = _lengths(batch, lines, kind)
    lengths[~fit] = 0
    right: NDArray[np.bool_] = _transport_sums(batch, lines, kind, lengths) == 0xFFFF
    if kind == UDP4:
        right |= lines["checksum"] == 0
    right &= fit
    if kind in (UDP4, TCP4):
        right &= _network_sums(lines) == 0xFFFF
    return right


def _network_sums(lines: NDArray[Any]) -> NDArray[np.uint16]:
    """The sum of the IPv4 header, as it is."""
    return _fold(_words(lines)[:, 7:17].sum(axis=1, dtype=np.uint32))


def _lengths(
    batch: Batch, lines: NDArray[Any], kind: np.dtype[Any]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Bytes behind the IP header, by that header; and whether the packet has so many."""
    first = _FIRST_OF_TRANSPORT[kind]
    if kind in (UDP4, TCP4):
        lengths = lines["total_length"].astype(np.int64) - 20
    else:
        lengths = lines["payload_length"].astype(np.int64)
    return lengths, (lengths >= shortest(kind) - first) & (lengths <= batch.sizes() - first)


def _transport_sums(
    batch: Batch, lines: NDArray[Any], kind: np.dtype[Any], lengths: NDArray[np.int64]
) -> NDArray[np.uint16]:
    """The sum over pseudo header, header and payload, as they are in the packets."""
    first = _FIRST_OF_TRANSPORT[kind]
    pseudo = _words(lines)[:, 13:17] if kind in (UDP4, TCP4) else _words(lines)[:, 11:27]
    sums = pseudo.sum(axis=1, dtype=np.uint64) + batch.sums(first, lengths)
    # both are 16-bit numbers in network order, and sums are of words as they lie in memory
    extra = lengths.astype(">u2").view(np.uint16).astype(np.uint64)
    extra += lines["protocol"].astype(">u2").view(np.uint16)
    return _fold(sums + extra)


def _fold(sums: NDArray[Any]) -> NDArray[np.uint16]:
    """Add the carries of sums below 2^48 until none is left."""
    sums = (sums & 0xFFFF) + (sums >> 16)
    sums = (sums & 0xFFFF) + (sums >> 16)
    return ((sums & 0xFFFF) + (sums >> 16)).astype(np.uint16)


def _kind(lines: NDArray[Any]) -> np.dtype[Any]:
    for kind in _KINDS:
        if lines.dtype == kind:
            return kind
    raise UsageError("these lines are of no kind that has checksums: UDP4, TCP4, UDP6, TCP6")


def _words(lines: NDArray[Any]) -> NDArray[np.uint16]:
    """The lines as 16-bit words as they lie in memory: sums do not mind the byte order."""
    return lines.view(np.uint16).reshape(len(lines), lines.dtype.itemsize // 2)


def _columns(kind: np.dtype[Any], name: str) -> tuple[int, slice]:
    """Where a field begins, in bytes, and the words that it lies in."""
    fields: Any = kind.fields
    field, offset = fields[name][:2]
    return offset, slice(offset // 2, -(-(offset + field.itemsize) // 2))
