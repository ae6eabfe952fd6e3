"""
The testing interface: stand in for NICs and kernel in an application's unit tests.

The same Interface, ports and batches over the same rings, with no kernel, no privilege and no
thread: the test delivers packets and takes what was sent.

    with testing.interface({"eth0": [0]}) as fake:
        fake.deliver(fake.ports[0], [b"..."])
        my_application_step(fake)
        assert [b"..."] == fake.sent(fake.ports[0])
"""

from __future__ import annotations

import mmap
import os
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from lbctl.errors import NotFound
from lbctl.netif.batch import CONTINUED
from lbctl.netif.frames import HEADROOM, Frames
from lbctl.netif.interface import Interface
from lbctl.netif.port import Port, Rings
from lbctl.netif.pulse import Pulse
from lbctl.netif.rings import PLAIN, Consumer, Producer, Ring
from lbctl.netif.status import Page
from lbctl.netif.wire import PortGrant, Route

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_DROPPED, _RX_INVALID, _TX_INVALID, _RX_FULL, _FILL_EMPTY, _TX_EMPTY = range(6)


class Nic:
    """
    One port's NIC and kernel: the other ends of the four rings.

    *paused*: if true, nothing is sent, and the transmit ring fills.  *gone*: it has vanished.
    """

    def __init__(self, umem: Frames, grant: PortGrant) -> None:
        self._umem = umem
        self.counts = [0] * 6
        self.sent: list[bytes] = []
        self.paused = False
        self.gone = False
        self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        areas = [
            mmap.mmap(-1, Ring.bytes_needed(PLAIN, size, words))
            for size, words in (
                (grant.fill, 1),
                (grant.completion, 1),
                (grant.rx, 2),
                (grant.tx, 2),
            )
        ]
        self._fill = Consumer(areas[0], PLAIN, grant.fill, 1)
        self._completion = Producer(areas[1], PLAIN, grant.completion, 1)
        self._rx = Producer(areas[2], PLAIN, grant.rx, 2)
        self._tx = Consumer(areas[3], PLAIN, grant.tx, 2)
        self._tx.need_wakeup = True
        self.rings = Rings(
            fill=Producer(areas[0], PLAIN, grant.fill, 1),
            completion=Consumer(areas[1], PLAIN, grant.completion, 1),
            rx=_Watched(areas[2], grant.rx, self._event),
            tx=Producer(areas[3], PLAIN, grant.tx, 2),
        )

    # -- what a port asks for; see plug.Plug -----------------------------------------------------

    def fileno(self) -> int:
        """Readable while there are packets."""
        return self._event

    def kick(self) -> None:
        """Send what is in the transmit ring."""
        while not self.paused and (waiting := self._tx.available()):
            rows = self._tx.peek(waiting)
            count = int(np.argmax(rows[:, 1] < CONTINUED)) + 1
            if self._completion.room() < count:
                return
            addresses, lengths = rows[:count, 0], rows[:count, 1] & (CONTINUED - 1)
            self.sent.append(
                b"".join(
                    self._umem.octets[address : address + length].tobytes()
                    for address, length in zip(addresses.tolist(), lengths.tolist(), strict=True)
                )
            )
            self._tx.release(count)
            self._completion.put(addresses)

    def wake(self) -> None:
        """There is nothing to wake."""

    def busy(self) -> bool:
        """It never polls."""
        return False

    def counters(self) -> tuple[int, ...]:
        """As the kernel's XDP_STATISTICS."""
        return tuple(self.counts)

    def close(self) -> None:
        """Let go."""
        with suppress(OSError):
            os.close(self._event)

    # -- what a test does ------------------------------------------------------------------------

    def deliver(self, packet: bytes) -> bool:
        """Receive one packet, as the kernel would; tells whether the port gets it."""
        room = self._umem.room
        parts = [packet[at : at + room] for at in range(0, len(packet), room)]
        if self._rx.room() < len(parts):
            self.counts[_RX_FULL] += 1
            return False
        if self._fill.available() < len(parts):
            self.counts[_FILL_EMPTY] += 1
            return False
        starts = self._fill.peek(len(parts)) & -self._umem.size
        self._fill.release(len(parts))
        rows = np.empty((len(parts), 2), np.int64)
        for row, start, part in zip(rows, starts.tolist(), parts, strict=True):
            row[0], row[1] = start + HEADROOM, len(part) | CONTINUED
            self._umem.octets[row[0] : row[0] + len(part)] = np.frombuffer(part, np.uint8)
        rows[-1, 1] &= CONTINUED - 1
        self._rx.put(rows)
        os.eventfd_write(self._event, 1)
        return True


class _Watched(Consumer):
    """An rx ring whose descriptor is readable only while it has something."""

    def __init__(self, area: mmap.mmap, size: int, event: int) -> None:
        super().__init__(area, PLAIN, size, 2)
        self._event = event

    def release(self, count: int) -> None:
        """Take the places back, and the event with the last packet."""
        super().release(count)
        if not self.available():
            with suppress(BlockingIOError):
                os.eventfd_read(self._event)


class FakeInterface(Interface):
    """
    An Interface without a kernel.

    *nics*: a Nic for each port; *routes*: what `route` answers, by address as text.
    """

    def __init__(
        self, ports: Sequence[Port], nics: Sequence[Nic], umem: Frames, pulse: Pulse
    ) -> None:
        super().__init__(ports, umem, pulse)
        self.nics, self.page = tuple(nics), pulse.page
        self.routes: dict[str, Route] = {}

    def deliver(self, port: Port, packets: Iterable[bytes]) -> int:
        """Have a port's NIC receive packets; returns how many the port got."""
        return sum([self.nics[port.number].deliver(packet) for packet in packets])

    def sent(self, port: Port) -> list[bytes]:
        """Take what a port has sent since the last call."""
        nic = self.nics[port.number]
        found, nic.sent = nic.sent, []
        return found

    def route(self, address: str) -> Route:
        """Answer from *routes*; NotFound if it is not there."""
        if str(address) not in self.routes:
            raise NotFound(f"{address}: no route; put one into `routes`")
        return self.routes[str(address)]


def interface(
    nics: Mapping[str, Sequence[int]] | None = None,
    frames: int = 256,
    frame_size: int = 2048,
    ring: int = 64,
    mtu: int = 1500,
) -> FakeInterface:
    """
    Make an interface on queues of NICs that need not exist; {"eth0": [0]} unless told otherwise.

    *ring*: descriptors that each ring of a port holds, a power of two.
    """
    places = [(nic, queue) for nic, queues in (nics or {"eth0": [0]}).items() for queue in queues]
    umem = Frames(frames, frame_size)
    descriptor, page = Page.create(len(places), "testing")
    os.close(descriptor)
    pulse = Pulse(page)
    grants = [
        PortGrant(
            *(nic, number + 1, queue, f"02:00:00:00:00:{number + 1:02x}", mtu),
            *(ring, ring, ring, ring),
            multi_buffer=True,
        )
        for number, (nic, queue) in enumerate(places)
    ]
    made = [Nic(umem, grant) for grant in grants]
    ports = [
        Port(number, grant, umem, nic.rings, nic, pulse)
        for number, (grant, nic) in enumerate(zip(grants, made, strict=True))
    ]
    return FakeInterface(ports, made, umem, pulse)
