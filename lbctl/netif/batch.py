"""
The batch: some packets that the application owns, as numpy arrays over the packet memory.

It hands out addresses, lengths, whole packets and header lines, and moves frames: into another
batch, back to the pool, to a port.  It never talks to the kernel.  A frame belongs to one batch;
what was given away cannot be given again.  A batch that nobody holds any more gives its frames
back to the pool.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from lbctl.netif.frames import LOOSE, FrameError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from lbctl.netif.frames import Frames

CONTINUED = 1 << 32  # XDP_PKT_CONTD in the upper half of a descriptor's second word
SENT = "was transmitted"  # so a batch says whose frames the port has
SHORTEST = 14  # an Ethernet header: the kernel sends nothing shorter


class Batch:
    """
    Packets of one `receive`, `allocate` or `take`; `len()` is how many descriptors they have.

    A packet larger than a frame has several descriptors, one behind the other; else it has one.
    Arrays that it hands out are of that length, and valid until frames leave the batch.
    """

    __slots__ = ("_edited", "_frames", "_gone", "_longest", "_rows", "_umem")

    def __init__(
        self, umem: Frames, rows: NDArray[np.int64], frames: NDArray[np.int64], longest: int
    ) -> None:
        """*rows*: descriptors, (n, 2) int64, the batch's own; *longest*: of their second words."""
        self._umem, self._rows, self._frames, self._longest = umem, rows, frames, longest
        self._edited = False
        self._gone = ""

    def __len__(self) -> int:
        return len(self._rows)

    def __del__(self) -> None:
        if len(self._rows):
            self._umem.give_back(self._frames)

    # -- descriptors -----------------------------------------------------------------------------

    @property
    def addresses(self) -> NDArray[np.uint64]:
        """Where each descriptor's bytes begin in the packet memory, (n,) uint64, read-only."""
        view = self._rows[:, 0].view(np.uint64)
        view.flags.writeable = False
        return view

    @property
    def lengths(self) -> NDArray[np.uint32]:
        """
        Bytes of each descriptor, (n,) uint32; assign to its elements to change them.

        What goes beyond a frame is refused when the batch is transmitted.
        """
        self._edited = True
        return self._words[:, 2]

    @property
    def starts(self) -> NDArray[np.bool_]:
        """Which descriptors begin a packet, (n,) bool."""
        starts = np.ones(len(self), np.bool_)
        if self.chained and len(self):
            starts[1:] = self._words[:-1, 3] & 1 == 0
        return starts

    @property
    def chained(self) -> bool:
        """Whether a packet here may have several descriptors."""
        return self._longest >= CONTINUED

    @property
    def packets(self) -> int:
        """How many packets these are."""
        return int(np.count_nonzero(self.starts)) if self.chained else len(self)

    @property
    def packet_lengths(self) -> NDArray[np.uint32]:
        """Bytes of each packet, (packets,) uint32."""
        lengths = self._words[:, 2]
        if not self.chained or not len(self):
            return lengths.copy()
        return np.add.reduceat(lengths, np.flatnonzero(self.starts), dtype=np.uint32)

    @property
    def _words(self) -> NDArray[np.uint32]:
        """The descriptors as (n, 4): address low and high, length, options."""
        return self._rows.view(np.uint32)

    # -- what is in them -------------------------------------------------------------------------

    def lines(self, kind: Any = "V64") -> NDArray[Any]:  # noqa: ANN401 - what numpy takes for a dtype
        """
        Copy the beginning of each descriptor's bytes, (n,) of a structured dtype of headers.

        Edit the copy and `write` it: three times as fast as editing in place, field by field.
        """
        dtype = np.dtype(kind)
        return self._umem.window(dtype.itemsize)[self._checked(dtype)].view(dtype)

    def write(self, lines: NDArray[Any]) -> None:
        """Write such lines back, each where it came from."""
        void = lines.view(f"V{lines.dtype.itemsize}")
        self._umem.window(lines.dtype.itemsize)[self._checked(lines.dtype)] = void

    def _checked(self, dtype: np.dtype[Any]) -> NDArray[np.int64]:
        """The addresses, once it is sure that a line stays in its frame."""
        self._need()
        addresses = self._rows[:, 0]
        size = self._umem.size
        # what the kernel placed begins behind the headroom, and has room for a line
        if (self._edited or dtype.itemsize > 64) and len(addresses):
            offset = int((addresses & (size - 1)).max())
            if offset + dtype.itemsize > size:
                raise FrameError(f"a line of {dtype.itemsize} bytes goes beyond its frame")
        return addresses

    def view(self, position: int) -> NDArray[np.uint8]:
        """One descriptor's bytes in place, (length,) uint8."""
        self._need()
        address, length = int(self._rows[position, 0]), int(self._words[position, 2])
        end = (address & -self._umem.size) + self._umem.size
        return self._umem.octets[address : min(address + length, end)]

    def room(self, position: int) -> NDArray[np.uint8]:
        """All bytes from a descriptor's beginning to the end of its frame, in place, uint8."""
        self._need()
        address = int(self._rows[position, 0])
        return self._umem.octets[address : (address & -self._umem.size) + self._umem.size]

    def contents(self) -> list[bytes]:
        """The bytes of each packet, of all its descriptors."""
        starts = np.flatnonzero(self.starts).tolist()
        ends = [*starts, len(self)][1:]
        return [
            b"".join(self.view(position).tobytes() for position in range(start, end))
            for start, end in zip(starts, ends, strict=True)
        ]

    @property
    def data(self) -> bytes:
        """The bytes of the only packet."""
        (content,) = self.contents()
        return content

    def advance(self, count: int) -> None:
        """
        Let packets begin *count* bytes later, or with a negative number earlier.

        For headers taken off or put in front.  FrameError if a packet has no such bytes, or a frame
        no such room; packets of several descriptors are not moved.
        """
        self._need()
        if self.chained:
            raise FrameError("packets of several frames cannot be moved")
        offsets = (self._rows[:, 0] & (self._umem.size - 1)) + count
        lengths = self._rows[:, 1] - count
        if len(self) and (offsets.min() < 0 or lengths.min() < SHORTEST):
            raise FrameError(f"a packet cannot begin {count} bytes later")
        self._rows[:, 0] += count
        self._rows[:, 1] = lengths
        self._edited = True

    # -- whose frames they are -------------------------------------------------------------------

    def take(self, which: Any) -> Batch:  # noqa: ANN401 - what numpy takes for an index
        """
        Move some descriptors into a batch of their own: a mask, positions or a slice.

        The others stay, in their order.  FrameError if a packet would be torn apart.
        """
        self._need()
        chosen = np.zeros(len(self), np.bool_)
        chosen[which] = True
        if self.chained:
            places = np.where(self.starts, np.arange(len(self)), 0)
            if (chosen != chosen[np.maximum.accumulate(places)]).any():
                raise FrameError("the descriptors of one packet must stay together")
        made = Batch(self._umem, self._rows[chosen], self._frames[chosen], self._longest)
        made._edited = self._edited
        self._rows, self._frames = self._rows[~chosen], self._frames[~chosen]
        return made

    def keep(self, mask: NDArray[np.bool_]) -> Self:
        """Drop the packets that the mask, (n,) bool, leaves out; returns the batch."""
        self.take(~np.asarray(mask, np.bool_)).drop()
        return self

    def drop(self) -> None:
        """Give all frames back to the pool; after `transmit` those that had no room, if any."""
        if self._gone == SENT:
            return
        self._need()
        self._umem.give_back(self._frames)
        self._leave("was dropped")

    def release(self) -> NDArray[np.uint64]:
        """Keep all frames by address alone; returns them.  `Interface.batch` takes them again."""
        self._need()
        addresses = self._rows[:, 0].astype(np.uint64)
        self._umem.owner[self._frames] = LOOSE
        self._leave("was released")
        return addresses

    def __iter__(self) -> Iterator[Batch]:
        """Each packet as a batch of its own; this one has none left then."""
        while len(self):
            starts = self.starts
            end = int(np.argmax(starts[1:])) + 1 if starts[1:].any() else len(self)
            yield self.take(slice(0, end))

    def _need(self) -> None:
        """Refuse to touch frames that are no longer this batch's."""
        if self._gone:
            raise FrameError(f"this batch {self._gone}; its frames are not the application's")

    def _leave(self, why: str) -> None:
        """Have no frames any more."""
        self._rows, self._frames, self._gone = self._rows[:0], self._frames[:0], why

    # -- for ports, interfaces and checksums ------------------------------------------------------

    def check(self, umem: Frames, limit: int, *, multi_buffer: bool) -> None:
        """Refuse what a port must not be given; *limit*: bytes on the wire, without checksum."""
        self._need()
        if umem is not self._umem:
            raise FrameError("this batch is of another packet memory")
        if self._edited:
            umem.check_lengths(self._rows[:, 0], self._words[:, 2])
            self._longest = int(self._rows[:, 1].max()) if len(self) else 0
            if len(self) and (shortest := int(self._words[self.starts, 2].min())) < SHORTEST:
                raise FrameError(f"a packet of {shortest} bytes is shorter than its header")
        if self.chained:
            self._check_chains(multi_buffer=multi_buffer)
        if self._longest > limit and len(self) and int(self.packet_lengths.max()) > limit:
            longest = int(self.packet_lengths.max())
            raise FrameError(f"a packet of {longest} bytes is longer than the NIC's {limit}")

    def _check_chains(self, *, multi_buffer: bool) -> None:
        if len(self) and self._words[-1, 3] & 1:
            raise FrameError("the last packet is continued, and the rest is not here")
        if not multi_buffer and self.packets < len(self):
            raise FrameError("this port sends no packets of several frames")

    def sizes(self) -> NDArray[np.int64]:
        """Bytes of each descriptor, (n,) int64, a copy."""
        return self._words[:, 2].astype(np.int64)

    def sums(self, first: int, lengths: NDArray[np.int64]) -> NDArray[np.uint64]:
        """
        Add up the 16-bit words, as they lie in memory, of *lengths* bytes from byte *first* on.

        An odd byte at the end counts as if a zero followed.  (n,) uint64.
        """
        width = max(int(lengths.max() + 1) & ~1, 2) if len(self) else 2
        starts = self._rows[:, 0] + first
        window = self._umem.window(width)
        inside = starts < len(window)
        taken = window[np.where(inside, starts, 0)].view(np.uint8).reshape(len(self), width)
        for row in np.flatnonzero(~inside).tolist():
            # too near to the end of the memory for the width of the longest
            tail = self.view(row)[first:]
            taken[row, : len(tail)] = tail
        taken *= np.arange(width) < lengths[:, None]
        sums: NDArray[np.uint64] = taken.view(np.uint16).sum(axis=1, dtype=np.uint64)
        return sums

    def describe(self, words: NDArray[np.int64]) -> None:
        """Set the second words of all descriptors: lengths, and which are continued."""
        self._rows[:, 1] = words
        self._longest = int(words.max()) if len(words) else 0
        self._edited = True

    def give(self, count: int, owner: int, why: str) -> NDArray[np.int64]:
        """Hand the first *count* descriptors over to *owner*; returns them."""
        rows, frames = self._rows[:count], self._frames[:count]
        self._umem.owner[frames] = owner
        if count == len(self._rows):
            self._leave(why)
        else:
            self._rows, self._frames = self._rows[count:], self._frames[count:]
        return rows
