"""The answer: what is sent, and that the plain program is back however it ends."""

from __future__ import annotations

import asyncio
import json

import pytest

from lbctl.control.capturing.answer import CaptureAnswer
from lbctl.control.capturing.pcapng import Blocks
from lbctl.control.capturing.wanted import Wanted
from lbctl.errors import Conflict, LbctlError, NotFound
from tests.support import frames
from tests.unit.control import fakes
from tests.unit.control.capturing import rig

CAME = frames.tcp("198.51.100.7:40000", "203.0.113.10:80")
DEADLINE = 20.0  # seconds, for what takes none


class Reader:
    """Whoever reads a capture, as a server sees them: hangs up when `gone` is set."""

    def __init__(self, switch, **words):
        self.answer = CaptureAnswer(
            switch.capturing, Wanted(**words), "alice", lambda: switch.leaving
        )
        self.head = None
        self.data = b""
        self.complete = False
        self.gone = asyncio.Event()
        self.told = asyncio.Condition()
        self.stuck = False  # reads no more
        self.task = asyncio.ensure_future(self.answer({}, self._receive, self._send))

    async def _receive(self):
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message):
        if self.stuck:
            await asyncio.Event().wait()
        async with self.told:
            if message["type"] == "http.response.start":
                self.head = message
            else:
                self.data += message["body"]
                self.complete = not message["more_body"]
            self.told.notify_all()

    async def until(self, condition):
        """Wait until something is true of what was sent."""
        async with asyncio.timeout(DEADLINE), self.told:
            await self.told.wait_for(condition)

    async def end(self):
        """Wait for the end of the answer."""
        async with asyncio.timeout(DEADLINE):
            await self.task

    @property
    def packets(self):
        """How many packets came."""
        blocks = Blocks()
        blocks.feed(self.data)
        return blocks.packets


def captured(number, **numbers):
    """So many packets."""
    return [rig.record(CAME, in_nic=2, **numbers) for _ in range(number)]


def started(switch, *records, **words):
    """A reader whose capture runs, with these records in it."""

    async def start():
        reader = Reader(switch, **words)
        await reader.until(lambda: reader.head and switch.dataplane.capture)
        switch.dataplane.capture.put(*records)
        return reader

    return start()


def over(switch):
    """Check that nothing of a capture is left."""
    plane = switch.dataplane
    assert ["new_capture", "start_capture", "stop_capture"] == plane.calls[-3:]
    assert plane.capture.closed
    assert switch.capturing.current is None


def ends(switch):
    """Why captures ended, as the journal has it."""
    return [text for kind, _, text in switch.watch.told if kind == "capture" and "ended" in text]


def test_until_the_reader_hangs_up(switch):
    """Also when no packet comes: the end of the connection is seen at once."""

    async def play():
        reader = await started(switch)
        reader.gone.set()
        await reader.end()
        return reader

    reader = asyncio.run(play())
    over(switch)
    assert not reader.complete
    assert "started by alice, its reader hung up" in ends(switch)[0]


def test_packets_come_while_it_runs(switch):
    """More than are read at once, too; all of them in order."""

    async def play():
        reader = await started(switch, *captured(1100))
        await reader.until(lambda: reader.packets == 1100)
        switch.dataplane.capture.put(*captured(3))
        await reader.until(lambda: reader.packets == 1103)
        reader.gone.set()
        await reader.end()
        return reader

    reader = asyncio.run(play())
    assert b"application/x-pcapng" == dict(reader.head["headers"])[b"content-type"]
    assert "1103 packets captured, 0 missed" in ends(switch)[0]


def test_a_number_of_packets(switch):
    """Exactly so many, and the answer is complete when the switch is as before."""
    switch.dataplane.at_start = tuple(captured(700))

    async def play():
        reader = Reader(switch, count=600)
        await reader.end()
        return reader

    reader = asyncio.run(play())
    over(switch)
    assert (600, True) == (reader.packets, reader.complete)


def test_a_time(switch):
    """What came until then is sent, with the statistics behind it."""
    switch.dataplane.at_start = tuple(captured(5))

    async def play():
        reader = Reader(switch, seconds=0.05)
        await reader.end()
        return reader

    reader = asyncio.run(play())
    over(switch)
    assert (5, True) == (reader.packets, reader.complete)
    assert b"its time is over" in reader.data


def test_somebody_ends_it(switch):
    """By its number, or whichever runs; the reader gets all that there is."""

    async def play():
        reader = await started(switch, *captured(2))
        (number,) = (v for k, v in reader.head["headers"] if k == b"x-lbctl-capture")
        with pytest.raises(NotFound):
            switch.capturing.stop("bob", int(number) + 1)
        switch.capturing.stop("bob", int(number))
        await reader.end()
        return reader

    reader = asyncio.run(play())
    over(switch)
    assert (2, True) == (reader.packets, reader.complete)
    assert "stopped by bob" in ends(switch)[0]


def test_the_daemon_ends(switch):
    """The capture with it, in good order."""

    async def play():
        reader = await started(switch, *captured(2))
        switch.leaving = True
        await reader.end()
        return reader

    reader = asyncio.run(play())
    over(switch)
    assert (2, True) == (reader.packets, reader.complete)


def test_the_program_is_lost(switch):
    """It could not be built for a new configuration: the capture says why it ends."""

    async def play():
        reader = await started(switch)
        switch.dataplane.capture.failure = "no such program"
        await reader.end()
        return reader

    assert b"no such program" in asyncio.run(play()).data
    over(switch)


def test_a_reader_that_does_not_read(switch, monkeypatch):
    """It cannot hold the program: after a while its connection is given up."""
    monkeypatch.setattr("lbctl.control.capturing.answer.PATIENCE", 0.05)

    async def play():
        reader = await started(switch)
        reader.stuck = True
        switch.dataplane.capture.put(*captured(2))
        switch.capturing.stop("bob")
        await reader.end()
        return reader

    assert not asyncio.run(play()).complete
    over(switch)


def test_the_answer_is_cancelled(switch):
    """As the server does with what does not end in time."""

    async def play():
        reader = await started(switch)
        reader.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader.end()

    asyncio.run(play())
    over(switch)


def test_the_second_is_refused(switch):
    """It hears of the first; when that is over it may begin."""

    async def play():
        first = await started(switch, pool="web", verdict=["drop"])
        second = Reader(switch)
        with pytest.raises(Conflict) as refusal:
            await second.end()
        first.gone.set()
        await first.end()
        third = await started(switch)
        third.gone.set()
        await third.end()
        return str(refusal.value)

    said = asyncio.run(play())
    assert said.startswith("a capture of verdict drop, pool web is running since 20")
    assert said.endswith("started by alice; wait, or end it: `lbctl capture --stop`")


@pytest.mark.parametrize("step", ["new_capture", "start_capture"])
def test_it_cannot_start(switch, step):
    """The refusal is the answer, and the next may try."""
    switch.dataplane.fail[step] = LbctlError("this kernel is too old")

    async def play():
        reader = Reader(switch)
        with pytest.raises(LbctlError, match="too old"):
            await reader.end()
        return reader

    assert asyncio.run(play()).head is None
    assert switch.capturing.current is None
    assert [] == ends(switch)


def test_missed_packets_are_told_while_it_runs(switch):
    """A reader need not wait for the end to hear that it is too slow."""

    def heard(reader):
        blocks = Blocks()
        blocks.feed(reader.data)
        return blocks.missed

    async def play():
        reader = await started(switch)
        switch.dataplane.capture.filter["missed"] = 7
        switch.dataplane.capture.put(*captured(1))
        await reader.until(lambda: heard(reader) == 7)
        reader.gone.set()
        await reader.end()

    asyncio.run(play())
    assert "1 packets captured, 7 missed" in ends(switch)[0]


def test_a_change_of_the_configuration(switch):
    """What is marked follows, and so do the names."""
    pools = [fakes.web(1, 1), fakes.web(1, name="more", vips=["203.0.113.11:80/tcp"])]
    nics = [{"name": "eth0"}, {"name": "eth1"}]

    async def play():
        reader = await started(switch, port=8080, form="json", seconds=DEADLINE)
        capture = switch.dataplane.capture
        before = len(capture.marked.nonzero()[0])
        await asyncio.to_thread(switch.apply, fakes.configured(nics=nics, pools=pools), "root")
        async with asyncio.timeout(DEADLINE):
            while len(capture.marked.nonzero()[0]) == before:  # noqa: ASYNC110 - no event for it
                await asyncio.sleep(0.01)
        capture.put(rig.record(CAME, in_nic=2, service=1, backend=2))
        await reader.until(lambda: b'"pool": "more"' in reader.data)
        reader.gone.set()
        await reader.end()
        return before, json.loads(reader.data.splitlines()[-1])

    before, row = asyncio.run(play())
    assert 2 == before
    assert ("more", "10.0.1.11:8080") == (row["pool"], row["backend"])
