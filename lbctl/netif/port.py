"""
The port: receive and send batches of packets by one queue of one NIC.

It fills the kernel's rings from the pool of free frames, reads what came, checks what goes, and
calls the kernel when that waits to be called.  It keeps count of all that is lost.  Which packets
come here is decided by the program on the NIC.
"""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING

import numpy as np

from lbctl.errors import NotFound
from lbctl.netif.batch import CONTINUED, SENT, Batch
from lbctl.netif.frames import BATCH, FrameError, receiving, transmitting
from lbctl.netif.rings import PLAIN, Consumer, Producer, Ring
from lbctl.netif.status import Statistics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from lbctl.netif.frames import Frames
    from lbctl.netif.plug import Plug
    from lbctl.netif.pulse import Pulse
    from lbctl.netif.wire import PortGrant

MANY = 256  # packets of a batch, unless told otherwise
_OVERHEAD = 18  # bytes of a frame beside its IP packet: Ethernet, and a VLAN tag
_KICKS = 64  # calls to have one batch sent; a call sends 32 packets at least, in copy mode
_GLANCE = 1.0  # seconds of waiting after which lbctld is looked at again
_NO_ROWS = np.empty((0, 2), np.int64)
_NO_FRAMES = np.empty(0, np.int64)


class Rings:
    """The four rings of a port."""

    __slots__ = ("completion", "fill", "rx", "tx")

    def __init__(self, fill: Producer, completion: Consumer, rx: Consumer, tx: Producer) -> None:
        self.fill, self.completion, self.rx, self.tx = fill, completion, rx, tx


def closed_rings() -> Rings:
    """Rings of nobody: nothing comes, nothing goes."""
    area = bytearray(Ring.bytes_needed(PLAIN, 2, 2))
    return Rings(
        Producer(area, PLAIN, 2, 1),
        Consumer(area, PLAIN, 2, 1),
        Consumer(area, PLAIN, 2, 2),
        Producer(area, PLAIN, 2, 2),
    )


class Port:
    """
    One queue of one NIC: `receive`, `transmit`, `wait`.

    *number*: its place in `Interface.ports`; *nic*, *queue*; *mac*: six bytes, the NIC's; *mtu*:
    bytes of an IP packet.  It has a `fileno`, so that selectors and asyncio can wait for it.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - made in one place
        self, number: int, grant: PortGrant, umem: Frames, rings: Rings, plug: Plug, pulse: Pulse
    ) -> None:
        self.number, self.grant, self.umem = number, grant, umem
        self.nic, self.queue, self.mtu = grant.nic, grant.queue, grant.mtu
        self.mac = bytes.fromhex(grant.mac.replace(":", ""))
        self._rings, self._plug, self._pulse = rings, plug, pulse
        self._rx, self._tx = rings.rx, rings.tx
        self._limit = grant.mtu + _OVERHEAD
        self._low = max(rings.fill.size // 4, 1)
        self._reap = max(rings.completion.size // 4, 1)
        self._receiving, self._sending = receiving(number), transmitting(number)
        self._received = self._transmitted = self._refused = self._invalid = 0
        self._busy = False
        self._poll = select.poll()
        self._poll.register(plug.fileno(), select.POLLIN)
        pulse.watch(self)
        self._refill()

    def __repr__(self) -> str:
        return f"<Port {self.number}: NIC {self.nic!r} queue {self.queue}>"

    def fileno(self) -> int:
        """The socket's descriptor: readable while there are packets."""
        return self._plug.fileno()

    # -- receiving -------------------------------------------------------------------------------

    def receive(self, most: int = MANY) -> Batch:
        """
        Take up to *most* packets that have come, at once; an empty batch if there are none.

        A packet of several frames that does not fit into *most* comes whole all the same.
        """
        self._pulse.beat()
        rx, umem = self._rx, self.umem
        available = rx.available()
        if not available:
            return self._idle()
        rows = rx.peek(min(available, most))
        longest = int(rows[:, 1].max())
        if longest >= CONTINUED:
            rows = self._whole(rows, available)
        rx.release(len(rows))
        frames = rows[:, 0] >> umem.shift
        umem.owner[frames] = BATCH
        batch = Batch(umem, rows, frames, longest)
        self._received += batch.packets
        if self._rings.fill.room() >= self._low:
            self._refill()
        return batch

    def wait(self, timeout: float | None = None) -> bool:
        """Sleep until there are packets, at most *timeout* seconds; tells whether there are."""
        end = None if timeout is None else time.monotonic() + timeout
        while not self._rx.available():
            self._pulse.look()
            self._tend()
            left = _GLANCE if end is None else min(end - time.monotonic(), _GLANCE)
            if self._poll.poll(max(left, 0) * 1000):
                return bool(self._rx.available())
            if end is not None and time.monotonic() >= end:
                return False
        return True

    def __iter__(self) -> Iterator[Batch]:
        """
        Each packet as a batch of one, for ever; sleeps while there are none.

        A packet that is neither transmitted, taken nor released by the next turn is dropped.
        """
        while True:
            self.wait()
            for packet in self.receive():
                yield packet
                if len(packet):
                    packet.drop()

    def _whole(self, rows: NDArray[np.int64], available: int) -> NDArray[np.int64]:
        """Cut rows where the last packet ends; go on to its end if there is none before."""
        ends = np.flatnonzero(rows[:, 1] < CONTINUED)
        if not ends.size:
            rows = self._rx.peek(available)
            ends = np.flatnonzero(rows[:, 1] < CONTINUED)[:1]
        return rows[: int(ends[-1]) + 1] if ends.size else rows[:0]

    def _idle(self) -> Batch:
        """Do what can wait until there are no packets."""
        self._tend()
        if self._busy:
            self._plug.wake()
        return Batch(self.umem, _NO_ROWS, _NO_FRAMES, 0)

    def _tend(self) -> None:
        """Take back what was sent, give the kernel frames, and call it where it waits for that."""
        self._complete()
        self._refill()
        if self._rings.fill.need_wakeup:
            self._plug.wake()
        if self._tx.waiting and self._tx.need_wakeup:
            self._kick()

    def _refill(self) -> None:
        """Give the kernel as many free frames to receive into as it has room for."""
        fill = self._rings.fill
        room = fill.room()
        if room and self.umem.free:
            fill.put(self.umem.take(room, self._receiving) << self.umem.shift)

    # -- sending ---------------------------------------------------------------------------------

    def transmit(self, batch: Batch) -> int:
        """
        Send a batch's packets; returns how many descriptors the transmit ring had room for.

        Those leave the batch, and their frames go back to the pool when the kernel has sent them;
        the rest stay in it, counted as `refused`: try again, or drop them.  Raises FrameError, and
        sends nothing, for frames that are not the batch's any more, or a descriptor that is wrong;
        NotFound if the NIC is gone.
        """
        if self._pulse.closed:
            self._pulse.look()
        if self._plug.gone:
            raise NotFound(f"NIC {self.nic!r} queue {self.queue}: it is gone; use another port")
        try:
            batch.check(self.umem, self._limit, multi_buffer=self.grant.multi_buffer)
        except FrameError:
            self._invalid += max(len(batch), 1)
            raise
        tx = self._tx
        if self._rings.completion.available() >= self._reap:
            self._complete()
        wanted = len(batch)
        room = tx.room()
        if room < wanted:
            self._kick()
            self._complete()
            room = tx.room()
        count = wanted if wanted <= room else self._boundary(batch, room)
        if count:
            chained, before = batch.chained, batch.packets
            tx.put(batch.give(count, self._sending, SENT))
            self._transmitted += before - batch.packets if chained else count
            if tx.need_wakeup:
                self._kick()
        self._refused += batch.packets if count < wanted else 0
        return count

    @staticmethod
    def _boundary(batch: Batch, room: int) -> int:
        """How many descriptors fit without tearing a packet apart."""
        if not batch.chained:
            return room
        starts = np.flatnonzero(batch.starts)
        return int(starts[starts <= room][-1])

    @property
    def gone(self) -> bool:
        """Whether its NIC has vanished; the application's other ports go on."""
        return self._plug.gone

    def flush(self) -> bool:
        """Call the kernel for what still waits to be sent; tells whether nothing does any more."""
        self._tend()
        return not self._tx.waiting

    def _kick(self) -> None:
        """Call the kernel until it has taken all, or takes no more."""
        before = -1
        for _ in range(_KICKS):
            self._plug.kick()
            left = self._tx.waiting
            if not left or left == before:
                return
            before = left
            self._complete()

    def _complete(self) -> None:
        """Put the frames of sent packets into the pool."""
        completion = self._rings.completion
        count = completion.available()
        if count:
            frames = completion.peek(count) >> self.umem.shift
            completion.release(count)
            self.umem.give_back(self._sent(frames))

    def _sent(self, frames: NDArray[np.int64]) -> NDArray[np.int64]:
        """
        Those that this port was sending.

        A descriptor that somebody wrote into the ring past us comes back with the others.
        """
        owner = self.umem.owner
        if frames.view(np.uint64).max() < len(owner) and (owner[frames] == self._sending).all():
            return frames
        inside = frames[frames.view(np.uint64) < len(owner)]
        sent = np.unique(inside[owner[inside] == self._sending])
        self._invalid += len(frames) - len(sent)
        return sent

    # -- counting --------------------------------------------------------------------------------

    def statistics(self) -> Statistics:
        """What this port did and lost so far; takes back what was sent first."""
        self._complete()
        self._busy = self._plug.busy()
        own = (self._received, self._transmitted, self._refused, self._invalid)
        return Statistics(*own, *self._plug.counters())

    def close(self) -> None:
        """Let go of the socket and its rings; its packets go elsewhere from then on."""
        self._plug.close()
        # as long as one ring is mapped, the kernel has the socket
        self._rings = closed_rings()
        self._rx, self._tx = self._rings.rx, self._rings.tx
