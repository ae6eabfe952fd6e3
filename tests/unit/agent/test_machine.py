"""The machine and its connections: shares of CPU and memory, counts by port."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import Counter, namedtuple
from contextlib import ExitStack

import psutil
import pytest

from lbctl.agent import connections, machine
from lbctl.agent.connections import ConnectionsProbe, established
from lbctl.agent.machine import MachineProbe
from lbctl.agent.readings import SourceError
from lbctl.agent.wire import LoadReport, decode_report, encode_report
from tests.unit.agent.servers import Clock

Times = namedtuple("Times", "user system idle iowait steal guest guest_nice")  # noqa: PYI024
Memory = namedtuple("Memory", "total available")  # noqa: PYI024


@pytest.fixture
def times(monkeypatch):
    """The CPU times of a machine with two CPUs, which a test moves on."""
    now = [Times(0, 0, 0, 0, 0, 0, 0)]
    monkeypatch.setattr(psutil, "cpu_times", lambda: now[0])
    monkeypatch.setattr(psutil, "cpu_count", lambda: 2)
    return now


def looks(probe, times, *moments):
    """Look at each of *moments*; give the CPU that each look told."""
    found = []
    for moment in moments:
        times[0] = moment
        found.append(asyncio.run(probe.sample()).cpu)
    return found


def test_cpu_needs_two_looks(times):
    """
    Idle and waiting for disks is free, stolen is not.
    """
    begin, end = Times(5, 5, 10, 0, 0, 0, 0), Times(6, 5, 12, 4, 1, 0, 0)

    assert [None, pytest.approx(2 / 8)] == looks(MachineProbe(), times, begin, end)


def test_a_guest_is_not_counted_twice(times):
    """
    Its time is in the user's already.
    """
    begin, end = Times(0, 0, 0, 0, 0, 0, 0), Times(4, 0, 4, 0, 0, 4, 0)

    assert [None, 0.5] == looks(MachineProbe(), times, begin, end)


def test_cpu_does_not_jump(times):
    """
    Half a second of load after idleness moves it by a sixth, not to all of that.
    """
    found = looks(
        MachineProbe(),
        times,
        Times(0, 0, 0, 0, 0, 0, 0),
        Times(0, 0, 1, 0, 0, 0, 0),
        Times(0.9, 0, 1.1, 0, 0, 0, 0),
    )

    assert [None, 0.0, pytest.approx(0.9 * 0.1535, abs=1e-4)] == found


def test_a_cpu_that_is_full_is_believed_sooner(times):
    """
    Half a second of it moves the average by two fifths; that it ends, by a sixth.
    """
    found = looks(
        MachineProbe(),
        times,
        Times(0, 0, 0, 0, 0, 0, 0),
        Times(0, 0, 1, 0, 0, 0, 0),
        Times(1, 0, 1, 0, 0, 0, 0),
        Times(1, 0, 2, 0, 0, 0, 0),
    )

    full = pytest.approx(0.3935, abs=1e-4)
    assert [None, 0.0, full, pytest.approx(0.3935 * (1 - 0.1535), abs=1e-4)] == found


def test_times_that_go_back_are_skipped(times):
    """
    The kernel's waiting time does that now and then.
    """
    a, b = Times(1, 0, 1, 0, 0, 0, 0), Times(2, 0, 2, 0, 0, 0, 0)

    assert [None, 0.5, 0.5] == looks(MachineProbe(), times, a, b, a)


def test_memory_is_what_programs_cannot_have(monkeypatch):
    """
    Caches that can be dropped are available.
    """
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(1000, 250))

    assert LoadReport(memory=0.75) == asyncio.run(MachineProbe(cpu=False).sample())


def test_the_real_machine_tells_figures_that_can_be_sent():
    """
    Whatever this machine does just now.
    """
    probe = MachineProbe()
    asyncio.run(probe.sample())
    report = asyncio.run(probe.sample())

    assert report == decode_report(encode_report(report))
    assert report.memory


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_established_connections_are_counted(host):
    """
    Those of the port; one that listens or has ended is none.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server((host, 0), family=family))
        port = server.getsockname()[1]
        for _ in range(3):
            stack.enter_context(socket.create_connection((host, port)))
            stack.enter_context(server.accept()[0])
        report = asyncio.run(ConnectionsProbe((port, 1), 1.0).sample())

    assert LoadReport(connections={port: 3, 1: 0}, clients=3) == report


def test_a_refusal_of_the_kernel_is_an_error(monkeypatch):
    """
    The kernel answers a family that it does not know with an error message.
    """
    monkeypatch.setattr(socket, "AF_INET6", 99)

    with pytest.raises(OSError, match="refuses") as err:
        established()
    assert err.value.errno in (errno.EINVAL, errno.ENOENT, errno.EAFNOSUPPORT)


def test_an_agent_that_may_not_ask_says_so(monkeypatch):
    """
    As an error that the sampler knows.
    """

    def refuse():
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(connections, "established", refuse)

    with pytest.raises(SourceError, match="not permitted"):
        asyncio.run(ConnectionsProbe((80,), 1.0).sample())


def test_many_connections_are_looked_at_less_often(monkeypatch):
    """
    Looking never takes more than a twentieth of the time.
    """
    clock = Clock()

    def slowly():
        clock.now += 0.2
        return Counter({80: 100_000})

    monkeypatch.setattr(connections, "established", slowly)
    probe = ConnectionsProbe((80,), 1.0, clock)
    asyncio.run(probe.sample())
    slow = probe.interval
    monkeypatch.setattr(connections, "established", Counter)
    asyncio.run(probe.sample())

    assert (pytest.approx(4.0), 1.0) == (slow, probe.interval)


def test_the_average_is_over_seconds():
    """
    What the tests above reckon with.
    """
    assert (0.5, 3.0) == (machine.INTERVAL, machine.SMOOTHING)
