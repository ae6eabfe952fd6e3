"""
The rings: pass descriptors between this process and the kernel, one producer, one consumer.

A ring is memory that both sides map: a producer index, a consumer index, flags, and the
descriptors.  Indices run through 32 bits and are masked.  What is in a descriptor is not decided
here, nor when the kernel is called.

The order of reads and writes matters: a descriptor is written before the producer index that shows
it, and read before the consumer index that frees it.  x86-64 keeps that order for plain reads and
writes, and CPython issues them as they are written.  Other processors do not; there every step is
followed by a full fence of libatomic, and without that library a ring refuses to be made.
"""

from __future__ import annotations

import ctypes
import platform
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lbctl.errors import LbctlError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

NEED_WAKEUP = 1  # XDP_RING_NEED_WAKEUP
MOST = 0xFFFFFFFF
_SEQUENTIAL = 5  # __ATOMIC_SEQ_CST


class Layout(NamedTuple):
    """Where things are in a ring's memory, in bytes: struct xdp_ring_offset."""

    producer: int
    consumer: int
    descriptors: int
    flags: int


# As the kernel has it today, for rings without a kernel.
PLAIN = Layout(0, 128, 320, 196)


def find_fence(machine: str) -> Callable[[], object] | None:
    """The fence that this kind of processor needs: None on x86-64; LbctlError if there is none."""
    if machine in ("x86_64", "AMD64"):
        return None
    try:
        fence = ctypes.CDLL("libatomic.so.1").atomic_thread_fence
    except (OSError, AttributeError):
        raise LbctlError(
            f"netif: {machine} needs fences between packets and indices; install libatomic1"
        ) from None
    return lambda: fence(_SEQUENTIAL)


class Ring:
    """
    One ring of *size* descriptors of *words* 64-bit numbers each, in *area*.

    *rows*: the descriptors, int64, shape (size,) or (size, words).
    """

    def __init__(self, area: Any, layout: Layout, size: int, words: int) -> None:  # noqa: ANN401 - a buffer
        view = memoryview(area).cast("B")
        self.size, self._mask = size, size - 1
        # memoryview reads and writes a number in one move, at half the cost of numpy's scalars
        self._producer = view[layout.producer : layout.producer + 4].cast("I")
        self._consumer = view[layout.consumer : layout.consumer + 4].cast("I")
        self._flags = view[layout.flags : layout.flags + 4].cast("I")
        rows = np.frombuffer(area, np.int64, size * words, layout.descriptors)
        self.rows: NDArray[np.int64] = rows if words == 1 else rows.reshape(size, words)
        self._fence = find_fence(platform.machine())

    @property
    def need_wakeup(self) -> bool:
        """Whether the kernel waits to be called."""
        return bool(self._flags[0] & NEED_WAKEUP)

    @need_wakeup.setter
    def need_wakeup(self, value: bool) -> None:
        """Say it, as the kernel does."""
        self._flags[0] = NEED_WAKEUP if value else 0

    @property
    def waiting(self) -> int:
        """Descriptors that were produced and not consumed."""
        return (self._producer[0] - self._consumer[0]) & MOST

    @staticmethod
    def bytes_needed(layout: Layout, size: int, words: int) -> int:
        """Bytes of a ring's memory."""
        return layout.descriptors + size * words * 8


class Producer(Ring):
    """The side that puts descriptors in: this process for fill and tx."""

    def __init__(self, area: Any, layout: Layout, size: int, words: int) -> None:  # noqa: ANN401
        super().__init__(area, layout, size, words)
        self._head = self._producer[0]

    def room(self) -> int:
        """How many descriptors may be put in now."""
        room = self.size - ((self._head - self._consumer[0]) & MOST)
        if self._fence:
            self._fence()
        return room

    def put(self, rows: NDArray[np.int64]) -> None:
        """Put descriptors in; there must be room for all of them."""
        count = len(rows)
        start = self._head & self._mask
        end = start + count
        if end <= self.size:
            self.rows[start:end] = rows
        else:
            first = self.size - start
            self.rows[start:] = rows[:first]
            self.rows[: count - first] = rows[first:]
        self._head = (self._head + count) & MOST
        if self._fence:
            self._fence()
        self._producer[0] = self._head


class Consumer(Ring):
    """The side that takes descriptors out: this process for rx and completion."""

    def __init__(self, area: Any, layout: Layout, size: int, words: int) -> None:  # noqa: ANN401
        super().__init__(area, layout, size, words)
        self._tail = self._consumer[0]

    def available(self) -> int:
        """How many descriptors can be read."""
        available = (self._producer[0] - self._tail) & MOST
        if self._fence:
            self._fence()
        return available

    def peek(self, count: int) -> NDArray[np.int64]:
        """Copy the next *count* descriptors, which must be available, and leave them there."""
        start = self._tail & self._mask
        end = start + count
        if end <= self.size:
            return self.rows[start:end].copy()
        return np.concatenate((self.rows[start:], self.rows[: end - self.size]))

    def release(self, count: int) -> None:
        """Give the places of that many descriptors back."""
        self._tail = (self._tail + count) & MOST
        if self._fence:
            self._fence()
        self._consumer[0] = self._tail
