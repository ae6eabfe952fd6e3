"""
The interface: hold the ports of an application and the packet memory that they share.

`netif.open` and `netif.direct` make one.  It gives out frames to fill and to send; a frame received
by one port may be transmitted by any other without a copy.
"""

from __future__ import annotations

import select
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import numpy as np

from lbctl.errors import LbctlError, NotFound
from lbctl.netif.batch import CONTINUED, Batch
from lbctl.netif.frames import BATCH, HEADROOM, FrameError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import ArrayLike

    from lbctl.netif.client import Session
    from lbctl.netif.frames import Frames
    from lbctl.netif.port import Port
    from lbctl.netif.pulse import Pulse
    from lbctl.netif.wire import Route

_GLANCE = 1.0  # seconds of waiting after which lbctld is looked at again


class Interface:
    """
    The user-level network interface of one application; a context manager.

    *ports*: a Port for each NIC's queue; *umem*: the Frames they share; *vips*: as text, what is
    sent here.  One thread uses all of it.
    """

    def __init__(
        self,
        ports: Sequence[Port],
        umem: Frames,
        pulse: Pulse,
        vips: Sequence[str] = (),
        session: Session | None = None,
    ) -> None:
        self.ports, self.umem, self.vips = tuple(ports), umem, tuple(vips)
        self._pulse, self._session = pulse, session
        self._poll = select.poll()
        for port in self.ports:
            self._poll.register(port.fileno(), select.POLLIN)

    def port(self, nic: str, queue: int = 0) -> Port:
        """The port on that queue of that NIC; NotFound if there is none."""
        for port in self.ports:
            if (port.nic, port.queue) == (nic, queue):
                return port
        raise NotFound(f"NIC {nic!r} queue {queue}: this application has no port there")

    def wait(self, timeout: float | None = None) -> list[Port]:
        """Sleep until a port has packets, at most *timeout* seconds; returns those that have."""
        end = None if timeout is None else time.monotonic() + timeout
        by_number = {port.fileno(): port for port in self.ports}
        while True:
            self._pulse.look()
            for port in self.ports:
                port.flush()
                if port.gone:
                    self._forget(by_number, port)
            left = _GLANCE if end is None else max(min(end - time.monotonic(), _GLANCE), 0)
            if ready := self._poll.poll(left * 1000):
                return [by_number[number] for number, _ in ready if number in by_number]
            if end is not None and time.monotonic() >= end:
                return []

    def _forget(self, by_number: dict[int, Port], port: Port) -> None:
        """Wait no more for a port whose NIC is gone: it would look ready for ever."""
        if by_number.pop(port.fileno(), None):
            with suppress(KeyError):
                self._poll.unregister(port.fileno())

    # -- frames ----------------------------------------------------------------------------------

    def allocate(self, count: int, length: int = 64) -> Batch:
        """
        Take up to *count* free frames to fill and send; fewer if the pool has fewer.

        Each is a packet of *length* bytes at first, with whatever was in the frame.
        """
        if self.umem.free < count:
            for port in self.ports:
                port.flush()
        frames = self.umem.take(count, BATCH)
        rows = np.empty((len(frames), 2), np.int64)
        rows[:, 0] = (frames << self.umem.shift) + HEADROOM
        rows[:, 1] = length
        batch = Batch(self.umem, rows, frames, length)
        if length > self.umem.room:
            batch.drop()
            raise FrameError(f"{length} bytes are more than a frame's {self.umem.room}; use `pack`")
        return batch

    def pack(self, packets: Iterable[bytes]) -> Batch:
        """
        Make a batch of packets' bytes, in as many frames as each needs.

        Raises FrameError, and takes nothing, if there are not enough free frames.
        """
        room = self.umem.room
        pieces: list[tuple[bytes, int]] = []
        for packet in packets:
            parts = [packet[at : at + room] for at in range(0, len(packet), room)]
            pieces += [(part, CONTINUED) for part in parts[:-1]]
            pieces += [(part, 0) for part in parts[-1:]]
        batch = self.allocate(len(pieces))
        if (free := len(batch)) < len(pieces):
            batch.drop()
            raise FrameError(f"{len(pieces)} frames are wanted and {free} are free")
        words = [len(part) | flag for part, flag in pieces]
        batch.describe(np.array(words, np.int64))
        for position, (part, _) in enumerate(pieces):
            batch.view(position)[:] = np.frombuffer(part, np.uint8)
        return batch

    def batch(self, addresses: ArrayLike, lengths: ArrayLike) -> Batch:
        """
        Make a batch of released frames, by the address where each packet begins, and its length.

        Raises FrameError if one is not the application's to give.
        """
        where = np.asarray(addresses, np.uint64)
        sizes = np.asarray(lengths, np.uint32)
        frames = self.umem.claim(where, sizes)
        rows = np.stack((where.astype(np.int64), sizes.astype(np.int64)), axis=1)
        batch = Batch(self.umem, rows, frames, 0)
        batch.describe(rows[:, 1])
        return batch

    # -- lbctld ----------------------------------------------------------------------------------

    def route(self, address: str) -> Route:
        """
        Ask lbctld how to get to an address; remember the answer, it takes a moment.

        NotFound if there is no way; DaemonUnreachable if nobody answers.
        """
        if self._session is None:
            raise LbctlError("this interface was opened without lbctld, which knows the routes")
        return self._session.route(str(address))

    def close(self) -> None:
        """Give everything back; what comes for the application goes elsewhere from then on."""
        if not self._pulse.closed:
            with suppress(OSError):
                self._pulse.tell()
            self._pulse.close()
            for port in self.ports:
                port.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
