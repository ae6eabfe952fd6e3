"""The rings: what one side puts in, the other takes out, once and in order."""

from __future__ import annotations

import mmap
from collections import deque
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.errors import LbctlError
from lbctl.netif import rings
from lbctl.netif.rings import PLAIN, Consumer, Producer, Ring

SIZE = 8
STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, SIZE)), max_size=60)


def pair(words, first=0):
    """Both sides of a ring whose indices stand at *first*."""
    area = mmap.mmap(-1, Ring.bytes_needed(PLAIN, SIZE, words))
    indices = np.frombuffer(area, np.uint32)
    indices[PLAIN.producer // 4] = indices[PLAIN.consumer // 4] = first
    return Producer(area, PLAIN, SIZE, words), Consumer(area, PLAIN, SIZE, words)


@given(st.sampled_from([1, 2]), st.sampled_from([0, 5, 0xFFFFFFFA]), STEPS)
def test_a_ring_is_a_queue(words, first, steps):
    """
    As a deque of that length, at any place of the ring and where the indices run over.
    """
    producer, consumer = pair(words, first)
    model, number = deque(), 0
    for putting, wanted in steps:
        assert SIZE - len(model) == producer.room()
        assert len(model) == consumer.available() == producer.waiting
        if putting:
            count = min(wanted, producer.room())
            rows = np.arange(number, number + count * words).reshape((count, words)[:words])
            number += count * words
            producer.put(rows)
            model.extend(rows.tolist())
        else:
            count = min(wanted, consumer.available())
            taken = consumer.peek(count).tolist()
            consumer.release(count)
            assert [model.popleft() for _ in range(count)] == taken


def test_looking_takes_nothing():
    """
    What was read stays until its place is given back, and is a copy.
    """
    producer, consumer = pair(1)
    producer.put(np.array([7]))

    consumer.peek(1)[:] = 0

    assert [7] == consumer.peek(1).tolist()
    assert SIZE - 1 == producer.room()


def test_the_flag_is_the_kernels():
    """
    Each side sees what the other says about being called.
    """
    producer, consumer = pair(1)

    assert not producer.need_wakeup
    consumer.need_wakeup = True
    assert producer.need_wakeup


def test_x86_needs_no_fence():
    """
    It keeps the order of reads and writes.
    """
    assert rings.find_fence("x86_64") is None


def test_another_processor_is_fenced(monkeypatch):
    """
    Before an index is written and after it is read, by libatomic.
    """
    calls = []
    library = SimpleNamespace(atomic_thread_fence=calls.append)
    monkeypatch.setattr(rings.ctypes, "CDLL", lambda _: library)
    monkeypatch.setattr(rings.platform, "machine", lambda: "aarch64")
    producer, consumer = pair(1)

    producer.room()
    producer.put(np.array([7]))
    consumer.available()
    consumer.release(1)

    assert [5] * 4 == calls


def test_another_processor_without_fences_is_refused(monkeypatch):
    """
    Rather than lose packets once in a million.
    """

    def missing(name):
        raise OSError(name)

    monkeypatch.setattr(rings.ctypes, "CDLL", missing)

    with pytest.raises(LbctlError, match=r"aarch64 needs fences .* install libatomic1"):
        rings.find_fence("aarch64")
