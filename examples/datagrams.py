"""
The datagrams: see UDP packets as payloads, answer them where they lie, make new ones.

What is cut short, lies about its lengths or has a wrong checksum is left out, and so is what does
not fit into one frame.  Checksums of what it makes are right.
"""

from __future__ import annotations

import time
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from lbctl import netif
from lbctl.errors import LbctlError
from lbctl.netif.headers import KINDS, UDP4, UDP6, kind_of, shortest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lbctl.netif import Batch, Interface, Port

Address = IPv4Address | IPv6Address
TTL = 64
ETHERNET = 14  # bytes of its header
_DONT_FRAGMENT = 0x4000
_REMEMBERED = 30.0  # seconds that a route is taken for true
_REGRETTED = 2.0  # seconds until one asks again where there was no way
_MOST_ROUTES = 10_000


class Endpoint(NamedTuple):
    """An address and a port."""

    address: Address
    port: int

    def __str__(self) -> str:
        host = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"{host}:{self.port}"


class Way(NamedTuple):
    """How a packet goes out: by which port, and with which MACs."""

    port: Port
    destination_mac: bytes
    source_mac: bytes
    mtu: int


class Datagram(NamedTuple):
    """A payload between two endpoints; *way*: how to send it, None if that is to be found out."""

    source: Endpoint
    destination: Endpoint
    data: bytes
    way: Way | None = None

    def answer(self, data: bytes, port: int | None = None) -> Self:
        """Make one that goes back the way that this one came, to another *port* if given."""
        back = self.source if port is None else self.source._replace(port=port)
        return self._replace(source=self.destination, destination=back, data=data)


# -- answering in place ----------------------------------------------------------------------------


def take(batch: Batch, number: int) -> Batch:
    """Move the sound UDP packets of a kind, IS_UDP4 or IS_UDP6, into a batch of their own."""
    kind, lengths, starts = KINDS[number], batch.lengths, batch.starts
    lines = batch.lines()
    rows = lines.view(kind)
    udp = rows["udp_length"].astype(np.int64)
    network = rows["total_length"].astype(np.int64) - 20 if kind == UDP4 else rows["payload_length"]
    sound = (kind_of(lines, lengths) == number) & starts & np.append(starts, True)[1:]
    sound &= (udp >= 8) & (network == udp) & (udp + (shortest(kind) - 8) <= lengths)
    sound &= rows["source_port"] != 0
    found = batch.take(sound)
    return found.keep(netif.checksums_hold(found, kind)) if len(found) else found


def payloads(batch: Batch, kind: np.dtype[Any]) -> list[bytes]:
    """The payload of each packet of a batch from `take`."""
    first = shortest(kind)
    ends = batch.lines(kind)["udp_length"].astype(np.int64) + (first - 8)
    return [batch.view(row)[first:end].tobytes() for row, end in enumerate(ends.tolist())]


def turn_around(batch: Batch, kind: np.dtype[Any], answers: Sequence[bytes]) -> None:
    """Make each packet of a batch from `take` the answer to itself, with another payload."""
    if not len(batch):
        return
    first = shortest(kind)
    for row, answer in enumerate(answers):
        batch.room(row)[first : first + len(answer)] = np.frombuffer(answer, np.uint8)
    sizes = np.array([len(answer) for answer in answers], np.int64)
    batch.lengths[:] = sizes + first
    lines = batch.lines(kind)
    netif.turn_around(lines)
    _set_lengths(lines, sizes)
    batch.write(lines)
    netif.fill_checksums(batch, kind)


def send(port: Port, batch: Batch) -> int:
    """Transmit what is not too long and has room, and drop the rest; returns how many went."""
    batch.keep(batch.packet_lengths <= port.mtu + ETHERNET)
    sent = port.transmit(batch)
    if len(batch):
        batch.drop()
    return sent


def _set_lengths(lines: Any, sizes: Any) -> None:  # noqa: ANN401 - lines, or one of them
    """Write lengths of payloads into headers, and what else is new in a packet of our own."""
    lines["ttl"] = TTL
    lines["udp_length"] = sizes + 8
    if lines.dtype == UDP6:
        lines["payload_length"] = sizes + 8
    else:
        lines["total_length"] = sizes + 28
        lines["identification"], lines["fragment"] = 0, _DONT_FRAGMENT


# -- one by one ------------------------------------------------------------------------------------


def read(port: Port, batch: Batch) -> list[Datagram]:
    """Read the sound UDP packets of a batch, and give all frames back."""
    found = []
    for number in KINDS:
        if KINDS[number] in (UDP4, UDP6):
            part = take(batch, number)
            found += _read(port, part, number)
            part.drop()
    batch.drop()
    return found


def _read(port: Port, batch: Batch, number: int) -> list[Datagram]:
    kind = KINDS[number]
    return [
        Datagram(
            Endpoint(_address(line["source"]), int(line["source_port"])),
            Endpoint(_address(line["destination"]), int(line["destination_port"])),
            data,
            Way(port, line["source_mac"].tobytes(), line["destination_mac"].tobytes(), port.mtu),
        )
        for line, data in zip(batch.lines(kind), payloads(batch, kind), strict=True)
    ]


def _address(field: Any) -> Address:  # noqa: ANN401 - an address field of a line
    octets = field.tobytes() if field.dtype.kind == "V" else int(field).to_bytes(4, "big")
    return IPv6Address(octets) if len(octets) == 16 else IPv4Address(octets)


class Sender:
    """Sends datagrams to anybody, by the ways that lbctld knows; it is asked once in a while."""

    def __init__(self, interface: Interface, clock: Callable[[], float] = time.monotonic) -> None:
        self._interface, self._clock = interface, clock
        self._ways: dict[Address, tuple[float, Way | None]] = {}
        self.lost = 0  # datagrams that were too long, or that there was no way or no frame for

    def send(self, datagrams: Iterable[Datagram]) -> int:
        """Send them; returns how many went."""
        return sum([self._send(datagram) for datagram in datagrams])

    def _send(self, datagram: Datagram) -> int:
        way = datagram.way or self._way(datagram.destination.address)
        frame = b"" if way is None else _frame(datagram, way)
        if way is None or len(frame) > min(way.mtu + ETHERNET, self._interface.umem.room):
            self.lost += 1
            return 0
        try:
            batch = self._interface.pack([frame])
        except netif.FrameError:
            self.lost += 1
            return 0
        netif.fill_checksums(batch, _kind(datagram))
        sent = send(way.port, batch)
        self.lost += 1 - sent
        return sent

    def _way(self, address: Address) -> Way | None:
        until, way = self._ways.get(address, (0.0, None))
        if until < (now := self._clock()):
            if len(self._ways) >= _MOST_ROUTES:
                self._ways.clear()
            way = self._ask(address)
            self._ways[address] = now + (_REMEMBERED if way else _REGRETTED), way
        return way

    def _ask(self, address: Address) -> Way | None:
        try:
            route = self._interface.route(str(address))
            if route.queue is None:
                return None
            port = self._interface.port(route.nic, route.queue)
            return Way(port, _octets(route.destination_mac), _octets(route.source_mac), route.mtu)
        except LbctlError:
            return None


def _octets(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def _kind(datagram: Datagram) -> np.dtype[Any]:
    return UDP4 if datagram.source.address.version == 4 else UDP6


def _frame(datagram: Datagram, way: Way) -> bytes:
    """A packet without checksums."""
    kind = _kind(datagram)
    line = np.zeros(1, kind)
    line["destination_mac"], line["source_mac"] = (
        np.void(way.destination_mac),
        np.void(way.source_mac),
    )
    if kind == UDP4:
        line["ethertype"], line["version_ihl"] = 0x0800, 0x45
    else:
        line["ethertype"], line["version_class_flow"] = 0x86DD, 6 << 28
    line["protocol"] = 17
    for name, end in (("source", datagram.source), ("destination", datagram.destination)):
        line[name] = int(end.address) if kind == UDP4 else np.void(end.address.packed)
        line[f"{name}_port"] = end.port
    _set_lengths(line, len(datagram.data))
    return line.tobytes()[: shortest(kind)] + datagram.data
