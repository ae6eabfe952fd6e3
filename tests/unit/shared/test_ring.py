"""The ring: what is read is what was written, in order, whatever the place of it."""

from __future__ import annotations

import mmap
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.shared.ring import Ring

SIZE = mmap.PAGESIZE
BUSY, DISCARDED = 1 << 31, 1 << 30


class Kernel:
    """The other side of a ring: writes as the kernel does, and sees our position."""

    def __init__(self):
        self.ours = mmap.mmap(-1, mmap.PAGESIZE)
        self.theirs = mmap.mmap(-1, mmap.PAGESIZE + 2 * SIZE)
        self.position = 0

    @property
    def read(self):
        """How far the reader says that it is."""
        return struct.unpack_from("=Q", self.ours)[0]

    def write(self, data, flags=0):
        """Add a record, which lies there twice; False if there is no room.  Gives its place."""
        whole = struct.pack("=II", len(data) | flags, 0) + data
        whole += bytes(-len(whole) % 8)
        if self.position + len(whole) - self.read > SIZE:
            return None
        place = self.position % SIZE
        for at, byte in enumerate(whole, start=place):
            for copy in (0, SIZE):
                self.theirs[mmap.PAGESIZE + at % SIZE + copy] = byte
        self.position += len(whole)
        struct.pack_into("=Q", self.theirs, 0, self.position)
        return place

    def commit(self, place, length):
        """Finish a record that was being written."""
        for copy in (0, SIZE):
            struct.pack_into("=I", self.theirs, mmap.PAGESIZE + place + copy, length)


@pytest.fixture
def kernel():
    """An empty ring."""
    return Kernel()


def reader(kernel):
    """The reader of a ring."""
    return Ring(kernel.ours, kernel.theirs, SIZE)


def test_nothing_is_there(kernel):
    """Then nothing is read, and the position stays."""
    assert [] == reader(kernel).read(10)
    assert 0 == kernel.read


def test_no_more_than_asked_for(kernel):
    """The rest comes next time, and only what was read may be written over."""
    for word in (b"one", b"two", b"three"):
        kernel.write(word)
    ring = reader(kernel)

    assert [b"one", b"two"] == ring.read(2)
    assert 32 == kernel.read
    assert [b"three"] == ring.read(2)
    assert kernel.position == kernel.read


def test_a_record_that_is_being_written(kernel):
    """What comes behind it waits for it: the order is kept."""
    ring, place = reader(kernel), kernel.write(b"slow", BUSY)
    kernel.write(b"quick")

    assert [] == ring.read(10)
    kernel.commit(place, 4)
    assert [b"slow", b"quick"] == ring.read(10)


def test_a_record_that_was_given_up(kernel):
    """It is passed by."""
    kernel.write(b"never", DISCARDED)
    kernel.write(b"this")

    assert [b"this"] == reader(kernel).read(1)
    assert kernel.position == kernel.read


def test_who_comes_later_goes_on(kernel):
    """The position is in the ring, not in the reader."""
    kernel.write(b"before")
    reader(kernel).read(1)
    kernel.write(b"after")

    assert [b"after"] == reader(kernel).read(10)


def test_the_memory_is_let_go(kernel):
    """Nothing holds it when the reader is closed."""
    reader(kernel).close()

    assert kernel.ours.closed
    assert kernel.theirs.closed


@given(st.lists(st.tuples(st.binary(max_size=1500), st.integers(0, 4)), max_size=40))
def test_all_comes_in_order(steps):
    """For any sizes, around the end of the ring too; what has no room was never there."""
    kernel = Kernel()
    ring, expected, found = reader(kernel), [], []
    for data, most in steps:
        if kernel.write(data) is not None:
            expected.append(data)
        found += ring.read(most)
    while more := ring.read(3):
        found += more

    assert expected == found
