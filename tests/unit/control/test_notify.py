"""What systemd hears, and how often."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from lbctl.control.notify import keep_alive, watchdog_period

OTHER = os.getpid() + 1


@pytest.fixture
def manager(tmp_path, monkeypatch):
    """The socket of a service manager."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as plug:
        plug.settimeout(5)
        plug.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield plug


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(OTHER)}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_PID": str(os.getpid())}, None),
    ],
)
def test_the_period_is_what_systemd_says(monkeypatch, environment, expected):
    """
    To this process; a child inherits what was meant for its parent.
    """
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert expected == watchdog_period()


def test_systemd_hears_of_every_half_period(manager, monkeypatch):
    """
    From the loop itself: one that hangs says nothing.
    """
    monkeypatch.setenv("WATCHDOG_USEC", "1000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)

    async def listen() -> list[bytes]:
        telling = asyncio.create_task(keep_alive())
        try:
            return [await asyncio.to_thread(manager.recv, 99) for _ in range(3)]
        finally:
            telling.cancel()

    assert [b"WATCHDOG=1"] * 3 == asyncio.run(listen())


def test_without_a_watchdog_nothing_is_told(manager, monkeypatch):
    """
    An idle switch costs nothing.
    """
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    manager.settimeout(0)

    asyncio.run(keep_alive())

    with pytest.raises(BlockingIOError):
        manager.recv(99)
