"""The clock: seconds to ticks, and how it finds out what a jiffy is."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.model import Timeouts
from lbctl.shared import clock
from tests.unit.shared.fakes import FakeClock

KERNELS = [(100, 7), (250, 8), (300, 8), (1000, 10)]


@given(st.floats(0, 50_000), st.sampled_from(KERNELS))
def test_ticks_last_at_least_as_long(seconds, kernel):
    """
    A timeout never comes early, and no more than a tick late.
    """
    one = FakeClock(*kernel)
    ticks = one.ticks(seconds)

    assert ticks * one.tick_seconds >= seconds
    assert ticks == 1 or (ticks - 1) * one.tick_seconds < seconds


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_timeout_that_is_allowed_can_be_counted(kernel):
    """
    Ages are 16 bits, and the last sixteenth of them means "from the future".
    """
    longest = Timeouts(half_open=3600, established=43200, closing=43200, closed=3600, udp=43200)
    for seconds in longest.model_dump().values():
        assert FakeClock(*kernel).ticks(seconds) < 0xF000


def test_ticks_have_their_limits():
    """
    At least one, and no more than an age can be.
    """
    assert 1 == FakeClock().ticks(0)
    assert 0xFFFE == FakeClock().ticks(10**9)


@pytest.mark.parametrize(("hz", "shift"), KERNELS)
def test_a_kernel_is_recognised(monkeypatch, hz, shift):
    """
    By how fast its jiffies go; a tick is a power of two of them, and about a second.
    """
    seconds = itertools.count(5, 0.1037)
    monkeypatch.setattr(clock.time, "monotonic", lambda: next(seconds))
    monkeypatch.setattr(clock.time, "sleep", lambda _: None)
    monkeypatch.setattr(clock.syscall, "prog_load", lambda *_: None)
    jiffies = itertools.count(2**32 - 5, round(hz * 0.1037))
    monkeypatch.setattr(clock.Clock, "jiffies", lambda _: next(jiffies) & 0xFFFFFFFF)
    found = clock.Clock()

    assert (hz, shift) == (found.hz, found.shift)
    assert 0.8 < found.tick_seconds < 1.3


def test_the_present_tick_is_16_bits(monkeypatch):
    """
    As connections hold it.
    """
    monkeypatch.setattr(clock.Clock, "jiffies", lambda _: 0xFFFFFFFF)

    assert 0xFFFF == clock.Clock.now(FakeClock())
