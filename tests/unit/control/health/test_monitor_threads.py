"""The health monitor and other threads, in real time."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from lbctl.control.health.monitor import HealthMonitor
from lbctl.control.health.record import Health
from lbctl.control.health.target import Outcome
from lbctl.model import Backend, Configuration, Pool, SocketAddress, TcpCheck

ONE, TWO = SocketAddress.parse("10.0.1.11:80"), SocketAddress.parse("10.0.1.12:80")
LONG = 60.0  # seconds; nobody waits for them
CHECK = TcpCheck(interval=LONG, timeout=LONG)


def web(*addresses):
    """A configuration with one pool of these."""
    backends = [Backend(address=address) for address in addresses]
    return Configuration(pools=(Pool(name="web", backends=backends, health=CHECK),))


async def look(target):
    """ONE answers; TWO never does."""
    if target.address == TWO:
        await asyncio.get_running_loop().create_future()
    return Outcome(ok=True, reason="200", seconds=0)


@contextmanager
def running(monitor):
    """Run it in the loop of another thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    task = asyncio.run_coroutine_threadsafe(monitor.run(), loop)
    try:
        yield
    finally:
        task.cancel()
        asyncio.run_coroutine_threadsafe(_idle(), loop).result(LONG)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(LONG)
        loop.close()


async def _idle():
    """Let all other tasks end."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)


@pytest.fixture
def monitor():
    """Runs, and has nobody to watch yet."""
    made = HealthMonitor(lambda _: None, look=look)
    with running(made):
        yield made


def test_a_first_look_is_waited_for(monitor):
    """
    The configuration comes from another thread, too.
    """
    monitor.follow(web(ONE))

    found = monitor.first_look([("web", ONE)], LONG)

    assert {("web", ONE): True} == {key: health.up for key, health in found.items()}


def test_patience_ends(monitor):
    """
    Then it is said that nothing is known.
    """
    monitor.follow(web(TWO))

    assert not monitor.first_look([("web", TWO)], 0.01)["web", TWO].checked


def test_nobody_waits_for_what_is_not_watched(monitor):
    """
    Neither for a pool without a check nor for a back-end that goes meanwhile.
    """
    monitor.follow(web(ONE, TWO))
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(monitor.first_look, [("web", TWO), ("api", ONE)], LONG)
        monitor.follow(web(ONE))

        assert {} == waiting.result()


def test_nobody_waits_for_what_was_known_before_a_restart():
    """
    It is known already.
    """
    up = Health(up=True, reason="200", since=0)
    monitor = HealthMonitor(lambda _: None, look=look)
    monitor.follow(web(TWO))
    monitor.restore({("web", TWO): up})

    assert {("web", TWO): up} == monitor.first_look([("web", TWO)], LONG)
