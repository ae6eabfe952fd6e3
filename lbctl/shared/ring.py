"""
The ring: read what programs put into a BPF ring buffer, in order, without a system call.

The kernel shows it as our position (a page), its own (another), and the data, which is there twice
in a row, so that no record is cut (Linux: Documentation/bpf/ringbuf.rst).  A position only grows.
The descriptor of the map tells `select` and `epoll` when there is something.
"""

from __future__ import annotations

import mmap
import threading

_BUSY, _DISCARDED = 1 << 31, 1 << 30  # bits of a record's length
_HEADER = 8  # bytes in front of a record: its length, and what is the kernel's own
_ORDER = threading.Lock()


def _in_order() -> None:
    """Finish what was read before anything else is: some processors would mix them."""
    for _ in range(2):
        with _ORDER:
            pass


class Ring:
    """The reader, of which a ring can have one."""

    def __init__(self, ours: mmap.mmap, theirs: mmap.mmap, size: int) -> None:
        """
        Read from memory: *ours* the page with our position, *theirs* the rest.

        *size*: of the data, in bytes, a power of two.
        """
        self._maps, self._mask = (ours, theirs), size - 1
        self._ours, self._theirs = memoryview(ours).cast("Q"), memoryview(theirs).cast("Q")
        self._words = memoryview(theirs)[mmap.PAGESIZE :].cast("I")
        self._position = self._ours[0]

    @classmethod
    def open(cls, descriptor: int, size: int) -> Ring:
        """Map the ring buffer of *descriptor*, which may be closed then."""
        page = mmap.PAGESIZE
        ours = mmap.mmap(descriptor, page, mmap.MAP_SHARED)
        theirs = mmap.mmap(
            descriptor, page + 2 * size, mmap.MAP_SHARED, mmap.PROT_READ, offset=page
        )
        return cls(ours, theirs, size)

    def read(self, most: int) -> list[bytes]:
        """
        Take out at most *most* records, the oldest first.

        None means that there are none now: a record that comes after that wakes up who waits.
        """
        at, end = self._position, self._theirs[0]
        places: list[int] = []
        lengths: list[int] = []
        while at < end and len(places) < most:
            place = at & self._mask
            length = self._words[place >> 2]
            if length & _BUSY:  # somebody is writing it
                break
            size = length & ~_DISCARDED
            if size == length:
                places.append(place + _HEADER + mmap.PAGESIZE)
                lengths.append(length)
            at += (size + _HEADER + 7) & -8
        _in_order()
        _, data = self._maps
        found = [data[a : a + n] for a, n in zip(places, lengths, strict=True)]
        _in_order()
        self._position = self._ours[0] = at
        return found

    def close(self) -> None:
        """Let go of the memory."""
        for view in (self._ours, self._theirs, self._words):
            view.release()
        for memory in self._maps:
            memory.close()
