"""The model servers: they obey the laws of queues, and their agents are late."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.simulation.servers import DELAY, Server


def settled(server, rate, seconds=200):
    """Let *server* serve *rate* requests a second until nothing changes."""
    for second in range(seconds):
        server.run(float(second), rate, 1.0)
    return server


@given(st.floats(0, 0.95), st.floats(1, 10_000))
def test_a_steady_queue_is_the_textbook_one(load, capacity):
    """
    M/M/1: busy is load, inside is load / (1 - load), a request takes 1 / (capacity - rate).
    """
    server = settled(Server("a", capacity), load * capacity, 2000 if load > 0.9 else 200)

    assert server.busy == pytest.approx(load, abs=0.01)
    assert server.inside == pytest.approx(load / (1 - load), rel=0.1, abs=1e-6)
    assert server.seconds == pytest.approx(1 / (capacity * (1 - load)), rel=0.1)


def test_what_cannot_be_served_waits():
    """
    Ten a second too many are a hundred after ten seconds, and some more while the queue filled.
    """
    server = settled(Server("a", 100), 110, 10)

    assert 100 < server.inside < 130
    assert 0.98 < server.busy <= 1


def test_a_hog_takes_capacity_and_cpu():
    """
    Half the CPU gone: requests take twice as long, and the agent sees the hog.
    """
    alone, shared = settled(Server("a", 100), 10), settled(Server("b", 100, hog=0.5), 10)

    assert 0.1 == pytest.approx(alone.busy, abs=0.01)
    assert 0.6 == pytest.approx(shared.busy, abs=0.01)
    assert shared.seconds > 1.9 * alone.seconds


def test_even_a_whole_hog_leaves_a_little():
    """
    Nothing divides by no capacity.
    """
    assert 0.99 < settled(Server("a", 100, hog=1.0), 1).busy <= 1


def test_reports_arrive_late():
    """
    None at first, then the last that had the time to come, and it says how old it is.
    """
    server = Server("a", 100, memory=0.5)
    server.run(1.0, 50, 1.0)
    assert (None, None) == server.heard(1.0 + DELAY / 2)

    server.run(2.0, 90, 1.0)
    report, age = server.heard(2.0)
    assert (50, 0.5, DELAY) == (report.requests_per_second, report.memory, age)
    report, _ = server.heard(3.0)
    assert 90 == report.requests_per_second


def test_the_agent_averages():
    """
    A CPU that jumps is told over some seconds.
    """
    server = settled(Server("a", 100), 10)
    server.hog = 0.8
    server.run(200.0, 10, 1.0)
    report, _ = server.heard(201.0)

    assert 0.1 < report.cpu < server.busy
