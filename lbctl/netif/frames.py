"""
The frames: keep the packet memory of an application, and who owns each frame of it.

A frame has one owner at any time: the pool of free ones, the application (in a batch, or loose: by
address alone), or a port, which has given it to the kernel to receive into or to send.  Only these
classes move a frame from one to the other, and what is not the giver's raises FrameError before
the kernel sees it.  One thread uses all of it.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Any

import numpy as np

from lbctl.errors import LbctlError
from lbctl.netif import memory

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEADROOM = 256  # bytes in front of a received packet, XDP_PACKET_HEADROOM
POOL, BATCH, LOOSE = 0, 1, 2  # owners; then two for each port
_PORTS = 4

Numbers = "NDArray[np.int64]"


class FrameError(LbctlError):
    """A frame was given by who does not own it, twice, or with a descriptor that is none."""


def receiving(port: int) -> int:
    """The owner that stands for the fill and rx rings of a port."""
    return _PORTS + 2 * port


def transmitting(port: int) -> int:
    """The owner that stands for the tx and completion rings of a port."""
    return _PORTS + 2 * port + 1


def owner_name(owner: int) -> str:
    """Say who that is."""
    if owner < _PORTS:
        return ("the free pool", "a batch", "the application, loose")[owner]
    port, sending = divmod(owner - _PORTS, 2)
    return f"port {port}, to {'send' if sending else 'receive'}"


class Frames:
    """
    *count* frames of *size* bytes, one behind the other, all of them in the pool at first.

    An address is the offset of a byte in the memory; `address >> shift` is the number of its frame.

    *octets*: all bytes, uint8; *owner*: of each frame, uint16.
    """

    def __init__(self, count: int, size: int, descriptor: int = -1) -> None:
        """Map the memory of *descriptor*, or make some that is nobody else's."""
        if descriptor >= 0:
            memory.check(descriptor, count * size, "the packet memory")
        area = mmap.mmap(descriptor, count * size)
        self.count, self.size, self.shift = count, size, size.bit_length() - 1
        self.octets = np.frombuffer(area, np.uint8)
        self.owner = np.zeros(count, np.uint16)
        self._free = np.arange(count - 1, -1, -1)
        self._top = count
        self._windows: dict[int, NDArray[Any]] = {}

    @property
    def room(self) -> int:
        """Bytes of a packet that a frame holds behind the headroom."""
        return self.size - HEADROOM

    @property
    def free(self) -> int:
        """How many frames are in the pool."""
        return self._top

    def window(self, width: int) -> NDArray[Any]:
        """
        Every run of *width* bytes, by the address of its first: an array of void, overlapping.

        Fancy indexing copies whole runs in and out, whatever their alignment.
        """
        found = self._windows.get(width)
        if found is None:
            first = self.octets[:width].view(f"V{width}")
            shape = (len(self.octets) - width + 1,)
            found = np.lib.stride_tricks.as_strided(first, shape, (1,))
            self._windows[width] = found
        return found

    # -- between the pool and others -----------------------------------------------------------

    def take(self, count: int, owner: int) -> NDArray[np.int64]:
        """Give *owner* so many free frames, or as many as there are; returns their numbers."""
        bottom = max(self._top - count, 0)
        frames = self._free[bottom : self._top].copy()
        self._top = bottom
        self.owner[frames] = owner
        return frames

    def give_back(self, frames: NDArray[np.int64]) -> None:
        """Put frames into the pool; the caller has seen to it that they are not there."""
        top = self._top + len(frames)
        self._free[self._top : top] = frames
        self._top = top
        self.owner[frames] = POOL

    # -- frames that the application has by address --------------------------------------------

    def claim(
        self, addresses: NDArray[np.uint64], lengths: NDArray[np.uint32]
    ) -> NDArray[np.int64]:
        """
        Make loose frames those of a batch; returns their numbers.

        Raises FrameError, and changes nothing, if one is not loose, is named twice, or if a packet
        goes beyond its frame.
        """
        if addresses.shape != lengths.shape or addresses.ndim != 1:
            raise FrameError(f"{addresses.shape} addresses, {lengths.shape} lengths: one each")
        beyond = np.flatnonzero(addresses >= len(self.octets))
        if beyond.size:
            raise FrameError(f"address {addresses[beyond[0]]}: not of this packet memory")
        frames = addresses.astype(np.int64) >> self.shift
        alien = np.flatnonzero(self.owner[frames] != LOOSE)
        if alien.size:
            where = int(addresses[alien[0]])
            raise FrameError(f"address {where}: its frame is owned by {self.owner_of(where)}")
        if len(np.unique(frames)) < len(frames):
            raise FrameError("the same frame is named twice")
        self.check_lengths(addresses.astype(np.int64), lengths)
        self.owner[frames] = BATCH
        return frames

    def check_lengths(self, addresses: NDArray[np.int64], lengths: NDArray[np.uint32]) -> None:
        """Refuse a packet that goes beyond the end of its frame."""
        beyond = np.flatnonzero((addresses & (self.size - 1)) + lengths > self.size)
        if beyond.size:
            first = beyond[0]
            raise FrameError(
                f"address {addresses[first]}: {lengths[first]} bytes go beyond its frame of "
                f"{self.size}"
            )

    # -- to look at ------------------------------------------------------------------------------

    def owner_of(self, address: int) -> str:
        """Say who owns the frame at an address."""
        if not 0 <= address < len(self.octets):
            raise FrameError(f"address {address}: not of this packet memory")
        return owner_name(int(self.owner[address >> self.shift]))

    def owners(self) -> dict[str, int]:
        """How many frames each owner has; together they are `count`."""
        found, counts = np.unique(self.owner, return_counts=True)
        return {owner_name(int(owner)): int(n) for owner, n in zip(found, counts, strict=True)}
