"""What is wrong for a while becomes two events: it begins, and it is over."""

from __future__ import annotations

import asyncio

import pytest

from lbctl.control import warning_watch
from lbctl.control.warning_watch import WarningWatch

DOWN = {"nic-down eth0": "NIC eth0 is down"}


@pytest.fixture
def events() -> list[tuple[str, str, str]]:
    """What was told."""
    return []


def looks(events, *found) -> None:
    """Let a watch see one state of affairs after the other."""
    rest = iter(found)
    watch = WarningWatch(lambda: next(rest), lambda *event: events.append(event))
    for _ in found:
        watch.turn()


def test_once_is_not_enough(events):
    """A neighbor that is asked for is missing for a moment."""
    looks(events, DOWN, {}, DOWN, {})

    assert events == []


def test_begin_and_end(events):
    """Two looks in a row confirm either; what lasts is told once."""
    looks(events, DOWN, DOWN, DOWN, {}, DOWN, {}, {}, {})

    assert events == [
        ("warning", "begins", "NIC eth0 is down"),
        ("warning", "over", "NIC eth0 is down"),
    ]


def test_its_numbers_may_change(events):
    """The same warning with other words is no other."""
    numbered = [{"growing-drops the switch": f"{n} packets"} for n in range(5)]
    looks(events, *numbered, {}, {})

    assert [what for _, what, _ in events] == ["begins", "over"]


def test_two_have_nothing_to_do_with_each_other(events):
    """Each begins and ends by itself."""
    other = {"table-room": "the table is full"}
    looks(events, DOWN, DOWN | other, other, other, {}, {})

    assert [(what, line) for _, what, line in events] == [
        ("begins", "NIC eth0 is down"),
        ("begins", "the table is full"),
        ("over", "NIC eth0 is down"),
        ("over", "the table is full"),
    ]


def test_many_at_once_are_not_as_many_events(events):
    """A thousand servers behind one cable: the first ten, and how many more."""
    many = {f"no-neighbor {n}": f"server {n} has no neighbor" for n in range(1000)}
    looks(events, many, many, {}, {})

    assert [what for _, what, _ in events] == ["begins"] * 11 + ["over"] * 11
    assert events[10][2].startswith("990 more at once")


def test_a_look_that_fails_is_not_the_last(events, monkeypatch, caplog):
    """The log has it, and the loop goes on until it is cancelled."""
    found = iter([ZeroDivisionError("gone"), DOWN, DOWN])
    told = asyncio.Event()

    def look():
        one = next(found)
        if isinstance(one, Exception):
            raise one
        return one

    async def run() -> None:
        loop = asyncio.get_running_loop()

        def tell(*event) -> None:
            events.append(event)
            loop.call_soon_threadsafe(told.set)

        task = asyncio.create_task(WarningWatch(look, tell).run())
        await told.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    monkeypatch.setattr(warning_watch, "INTERVAL", 0.001)
    asyncio.run(run())

    assert events == [("warning", "begins", "NIC eth0 is down")]
    assert "could not be found out" in caplog.text
