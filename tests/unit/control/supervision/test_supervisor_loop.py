"""The supervisor in its event loop: it wakes the controller, and ends when it is told to."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from queue import Queue

import pytest

from lbctl.control.health.monitor import HealthMonitor
from lbctl.control.health.target import Outcome
from lbctl.control.resource_manager import AgentEvent, EventKind, ResourceManager
from lbctl.control.standing import Standing
from lbctl.model import State
from tests.unit.control.fakes import ONE, TWO, configured, web

DEADLINE = 5.0
PLAIN = configured(pools=[web(1, 1)])
CHECK = {"check": "tcp", "interval": 0.05, "timeout": 0.05, "rise": 1, "fall": 1, "jitter": 0}
CHECKED = configured(pools=[web(1, 1, health=CHECK)])


class Live:
    """The rig with a real monitor and resource manager, in a loop of its own."""

    def __init__(self, rig) -> None:
        self.rig, self.supervisor = rig, rig.supervisor
        self.well = {ONE: True, TWO: True}
        self.woken: Queue[str] = Queue()
        self.supervisor.wake = lambda: self.woken.put(threading.current_thread().name)
        self.supervisor.health = HealthMonitor(self.supervisor._on_health, look=self.look)
        self.supervisor.resources = ResourceManager(self.supervisor._on_agent)

    async def look(self, target) -> Outcome:
        """What a check finds."""
        ok = self.well[target.address]
        return Outcome(ok=ok, reason="answered" if ok else "no answer", seconds=0.001)

    def drain(self) -> None:
        """Forget how often it was woken."""
        while not self.woken.empty():
            self.woken.get_nowait()

    def until(self, condition) -> None:
        """Wait for wake-ups until *condition* holds."""
        while not condition():
            self.woken.get(timeout=DEADLINE)

    @contextmanager
    def running(self):
        """Run it meanwhile."""
        ready, end = threading.Event(), {}

        async def run() -> None:
            task = asyncio.create_task(self.supervisor.run())
            end["loop"], end["task"] = asyncio.get_running_loop(), task
            ready.set()
            await asyncio.gather(task, return_exceptions=True)

        thread = threading.Thread(target=lambda: asyncio.run(run()), name="loop")
        thread.start()
        ready.wait(DEADLINE)
        try:
            self.woken.get(timeout=DEADLINE)
            yield
        finally:
            end["loop"].call_soon_threadsafe(end["task"].cancel)
            thread.join(DEADLINE)
            assert not thread.is_alive()


@pytest.fixture
def live(rig):
    """A supervisor that has not started."""
    return Live(rig)


def down(live: Live) -> set:
    """The back-ends that are down now."""
    found = live.supervisor.standings(CHECKED).troubles
    return {address for (_, address), standing in found.items() if standing.state is State.DOWN}


def test_it_wakes_the_controller_at_once_and_in_a_thread(live):
    """Publishing takes a while, and the loop has other things to do."""
    live.supervisor.start(PLAIN)
    with live.running():
        live.drain()
        live.supervisor.follow(configured(pools=[web(1)]))

        assert live.woken.get(timeout=DEADLINE) != "loop"


def test_it_looks_again_and_again_where_shares_move(live):
    """Every interval of the pool."""
    busy = configured(pools=[web(1, scheduler="least-load", balance={"interval": 0.1})])
    live.supervisor.start(busy)
    with live.running():
        live.drain()
        threads = [live.woken.get(timeout=DEADLINE) for _ in range(3)]

    assert "loop" not in threads


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, 5),
        ({"balance": {"interval": 2}}, 5),
        ({"scheduler": "p2c", "balance": {"interval": 2}}, 2),
        ({"passive": {}, "balance": {"interval": 0.5}}, 0.5),
        ({"balance": {"interval": 3, "slow_start": 1}}, 3),
    ],
)
def test_an_idle_switch_is_left_alone(rig, fields, expected):
    """Only who depends on it is looked at often."""
    rig.supervisor.follow(configured(pools=[web(1, **fields)]))

    assert expected == rig.supervisor._interval()


def test_a_server_that_dies_wakes_the_controller(live):
    """And its health is remembered for the next start."""
    live.supervisor.start(CHECKED)
    with live.running():
        live.until(lambda: down(live) == set())
        live.well[ONE] = False
        live.until(lambda: down(live) == {ONE})

    assert live.rig.journal.health()["web", ONE][:2] == (False, "no answer")
    assert live.supervisor.standings(CHECKED).troubles == {
        ("web", ONE): Standing(State.DOWN, "no answer")
    }


def test_a_new_back_end_was_looked_at_when_it_is_admitted(live):
    """Dead or alive, the controller knows."""
    live.well[TWO] = False
    live.supervisor.start(configured())
    with live.running():
        live.supervisor.follow(CHECKED)
        live.supervisor.admit(configured(), CHECKED)

        assert down(live) == {TWO}


def test_what_an_agent_does_is_an_event_and_news(live):
    """The words are the resource manager's."""
    live.supervisor.start(PLAIN)
    with live.running():
        live.drain()
        event = AgentEvent(ONE._replace(port=9777), EventKind.WISH, "it wishes drain")
        live.supervisor._loop.call_soon_threadsafe(live.supervisor._on_agent, event)
        live.woken.get(timeout=DEADLINE)

    (entry,) = live.rig.journal.events(kind="agent")
    assert (entry.subject, entry.text) == ("10.0.1.11:9777", "it wishes drain")


def test_a_controller_that_fails_is_woken_again(live, caplog):
    """The watch goes on whatever happens."""
    woken = live.supervisor.wake
    failing = iter([True])

    def wake() -> None:
        woken()
        if next(failing, False):
            raise ZeroDivisionError

    live.supervisor.wake = wake
    live.supervisor.start(PLAIN)
    with live.running():
        live.supervisor.follow(PLAIN)
        live.woken.get(timeout=DEADLINE)

    assert "how the back-ends stand could not be followed" in caplog.text


def test_a_change_after_the_end_does_no_harm(live):
    """The loop is closed: there is nobody to wake."""
    live.supervisor.start(PLAIN)
    with live.running():
        loop = live.supervisor._loop
    live.supervisor._loop = loop  # a change that was just under way

    live.supervisor._notify()

    assert loop.is_closed()
