"""
The kernel's side of a port: map the rings of an AF_XDP socket, and call the kernel for them.

It knows the calls and what their errors mean; when to call is the port's business.
"""

from __future__ import annotations

import errno
import mmap
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

from lbctl.errors import LbctlError
from lbctl.netif import options
from lbctl.netif.frames import Frames
from lbctl.netif.port import Port, Rings
from lbctl.netif.rings import Consumer, Layout, Producer, Ring

if TYPE_CHECKING:
    from lbctl.netif.pulse import Pulse
    from lbctl.netif.wire import Grant, PortGrant

_RX, _TX, _FILL, _COMPLETION = 0, 0x80000000, 0x100000000, 0x180000000  # XDP_PGOFF_*
_STATISTICS = struct.Struct("=6Q")
# The kernel is busy, or the NIC is down: what waits in the ring goes with a later call.
_LATER = {errno.EAGAIN, errno.EBUSY, errno.ENOBUFS, errno.ENETDOWN, errno.EINTR}
_NO_WAIT = socket.MSG_DONTWAIT


class KernelPlug:
    """An AF_XDP socket with its calls; see `plug.Plug`."""

    def __init__(self, plug: socket.socket, grant: PortGrant) -> None:
        self._socket, self._grant = plug, grant
        self._send, self._receive = plug.send, plug.recv
        self.fileno = plug.fileno
        self.gone = False
        self._last = (0,) * 6

    def kick(self) -> None:
        """Send what is in the transmit ring."""
        try:
            self._send(b"", _NO_WAIT)
        except OSError as error:
            self._judge(error)

    def wake(self) -> None:
        """Look at the fill ring, and at the NIC."""
        try:
            self._receive(1, _NO_WAIT)
        except OSError as error:
            self._judge(error)

    def busy(self) -> bool:
        """Whether the socket prefers busy polling, and its NIC can."""
        return options.busy_polls(self._socket)

    def counters(self) -> tuple[int, ...]:
        """XDP_STATISTICS; the last known ones when the socket is closed."""
        with suppress(OSError):
            data = self._socket.getsockopt(options.SOL_XDP, options.STATISTICS, _STATISTICS.size)
            self._last = _STATISTICS.unpack(data.ljust(_STATISTICS.size, b"\0"))
        return self._last

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _judge(self, error: OSError) -> None:
        if error.errno in _LATER:
            return
        if error.errno in (errno.ENXIO, errno.ENODEV):
            self.gone = True
            return
        where = f"NIC {self._grant.nic!r} queue {self._grant.queue}"
        raise LbctlError(f"{where}: {error.strerror}") from error


def map_rings(plug: socket.socket, grant: PortGrant) -> Rings:
    """Map the four rings of a socket, which has them with the sizes of the grant."""
    offsets = struct.unpack("=16Q", plug.getsockopt(options.SOL_XDP, options.MMAP_OFFSETS, 16 * 8))
    rx, tx, fill, completion = (Layout(*offsets[at : at + 4]) for at in range(0, 16, 4))

    def area(layout: Layout, size: int, words: int, place: int) -> mmap.mmap:
        length = Ring.bytes_needed(layout, size, words)
        flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
        try:
            return mmap.mmap(plug.fileno(), length, flags, offset=place)
        except OSError as error:
            raise LbctlError(
                f"NIC {grant.nic!r} queue {grant.queue}: its rings cannot be mapped; "
                f"{error.strerror}"
            ) from error

    return Rings(
        fill=Producer(area(fill, grant.fill, 1, _FILL), fill, grant.fill, 1),
        completion=Consumer(
            area(completion, grant.completion, 1, _COMPLETION), completion, grant.completion, 1
        ),
        rx=Consumer(area(rx, grant.rx, 2, _RX), rx, grant.rx, 2),
        tx=Producer(area(tx, grant.tx, 2, _TX), tx, grant.tx, 2),
    )


def map_all(grant: Grant, umem: int, plugs: list[socket.socket]) -> tuple[Frames, list[Rings]]:
    """Map the packet memory, and the rings of each socket in the order of the grant."""
    rings = [map_rings(plug, port) for plug, port in zip(plugs, grant.ports, strict=True)]
    return Frames(grant.frames, grant.frame_size, umem), rings


def make_ports(
    grant: Grant, umem: Frames, rings: list[Rings], plugs: list[socket.socket], pulse: Pulse
) -> list[Port]:
    """Make the ports of an interface; each gives the kernel frames to receive into."""
    return [
        Port(number, port, umem, mapped, KernelPlug(plug, port), pulse)
        for number, (port, mapped, plug) in enumerate(zip(grant.ports, rings, plugs, strict=True))
    ]
