"""The sampler: what is fresh is told, what is old is not, and failures stay where they are."""

from __future__ import annotations

import asyncio
import logging

import pytest

from lbctl.agent.readings import SourceError
from lbctl.agent.sampler import Sampler
from lbctl.agent.wire import LoadReport
from tests.unit.agent.servers import Clock, FakeProbe

CPU, CLIENTS = LoadReport(cpu=0.5), LoadReport(clients=3)


def look(sampler, times=1):
    """Look *times* times."""

    async def looks():
        for _ in range(times):
            await sampler.look()

    asyncio.run(looks())


def test_nothing_is_told_before_the_first_look():
    """
    Least of all zeros.
    """
    assert LoadReport() == Sampler([FakeProbe(CPU)]).report()


def test_all_probes_make_one_report():
    """
    Where two tell a figure, the first is right.
    """
    sampler = Sampler([FakeProbe(CLIENTS), FakeProbe(CPU), FakeProbe(LoadReport(clients=9))])
    look(sampler)

    assert LoadReport(cpu=0.5, clients=3) == sampler.report()


@pytest.mark.parametrize(("interval", "fresh"), [(0.5, 2.5), (1, 4), (10, 31)])
def test_old_figures_are_dropped(interval, fresh):
    """
    After three intervals and the time that an answer may take; those of others stay.
    """
    clock = Clock()
    failing = FakeProbe(CLIENTS, SourceError("gone"), interval=interval)
    sampler = Sampler([failing, FakeProbe(CPU, name="machine")], clock)
    look(sampler)
    clock.now += fresh
    look(sampler)
    kept = sampler.report()
    clock.now += 0.1

    assert LoadReport(cpu=0.5, clients=3) == kept
    assert CPU == sampler.report()


def test_a_failure_is_told_once_and_so_is_its_end(caplog):
    """
    Not every second; the counter has them all.
    """
    told = [SourceError("app: gone"), SourceError("app: gone"), CLIENTS, SourceError("app: again")]
    sampler = Sampler([FakeProbe(*told, name="app")])
    with caplog.at_level(logging.INFO):
        look(sampler, 4)

    assert ["app: gone", "app: tells its figures again", "app: again"] == caplog.messages
    assert {"app": 3} == sampler.errors


def test_a_bug_in_one_probe_does_not_silence_the_others(caplog):
    """
    It is logged as what it is.
    """
    sampler = Sampler([FakeProbe(ZeroDivisionError("x"), name="app"), FakeProbe(CPU)])
    look(sampler)

    assert CPU == sampler.report()
    assert ["app: ZeroDivisionError: x; this is a bug"] == caplog.messages


def test_it_looks_again_and_again():
    """
    Until it is cancelled, at each thing in its own rhythm.
    """

    async def run():
        enough = asyncio.Event()
        looks = []

        class Counted(FakeProbe):
            async def sample(self):
                looks.append(1)
                if len(looks) == 4:  # what the third told has arrived
                    enough.set()
                return await super().sample()

        probe = Counted(CPU, SourceError("x"), CLIENTS, interval=0.001)
        sampler = Sampler([probe])
        task = asyncio.create_task(sampler.run())
        async with asyncio.timeout(20):
            await enough.wait()
        found = sampler.report()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return found, sampler.errors

    assert (CLIENTS, {"fake": 1}) == asyncio.run(run())
