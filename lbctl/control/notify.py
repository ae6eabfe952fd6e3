"""
Notify: tell systemd how the daemon is doing.

The protocol of sd_notify(3): one datagram to the socket that the environment names.  Without a
service manager it does nothing.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket

MICRO = 1e-6

log = logging.getLogger(__name__)


def notify(state: str) -> None:
    """Send *state*, such as ``READY=1``; whoever does not listen misses nothing."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    name = f"\0{path[1:]}" if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
        try:
            manager.sendto(state.encode(), name)
        except OSError as err:
            log.warning("NOTIFY_SOCKET %s: %s", path, err.strerror)


def watchdog_period() -> float | None:
    """
    Seconds after which systemd kills this process if it has not heard ``WATCHDOG=1``.

    None: it does not wait for that, or from another process, see sd_watchdog_enabled(3).
    """
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    process = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if process != str(os.getpid()) or not microseconds.isdecimal():
        return None
    return int(microseconds) * MICRO or None


async def keep_alive() -> None:
    """Tell systemd that the event loop turns, twice in each of its periods; for ever."""
    period = watchdog_period()
    while period:
        notify("WATCHDOG=1")
        await asyncio.sleep(period / 2)
