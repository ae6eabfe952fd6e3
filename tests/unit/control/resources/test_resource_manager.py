"""The resource manager: many agents at once, none of which is in another's way."""

from __future__ import annotations

import asyncio
import math
import threading
from itertools import pairwise

import pytest

from lbctl.agent.wire import LoadReport
from lbctl.control.resource_manager import ResourceManager
from lbctl.model import AgentKind, SocketAddress
from tests.unit.control.resources.servers import (
    DEADLINE,
    Watched,
    agent,
    answering,
    http,
    never,
    request,
    saying,
    serving,
)

ORCA, HAPROXY = AgentKind.ORCA, AgentKind.HAPROXY
IDLE = LoadReport(cpu=0.5)
HOUR = 3600
half_busy = answering(lambda _path: http(b'{"cpu_utilization": 0.5}'))


def address(text):
    """Read an address."""
    return SocketAddress.parse(text)


def reports(manager):
    """List the reports of all agents."""
    return [state.reading and state.reading.report for state in manager.states()]


def test_an_agent_that_hangs_costs_others_nothing():
    """
    It is given its long time, while the other is asked again and again.
    """

    async def run():
        manager = Watched()
        async with serving(never) as hanging, serving(half_busy) as good:
            agents = [agent(hanging, ORCA, timeout=60), agent(good, ORCA)]
            async with manager.running(*agents):
                await manager.until(lambda: manager.states()[1].answers > 3)
                return manager.states()

    hung, answered = asyncio.run(run())

    assert (0, 0, 0, None) == (*hung[-3:], hung.reading)
    assert IDLE == answered.reading.report


def test_hostile_agents_cost_others_nothing():
    """
    Endless bodies, garbage and closed doors, and one honest agent among them.
    """

    async def endless(reader, writer):
        await request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async def run():
        manager = Watched()
        async with (
            serving(endless) as one,
            serving(saying(b"\x00" * 5000)) as two,
            serving(saying(b"")) as three,
            serving(half_busy) as good,
        ):
            bad = [agent(each, ORCA) for each in (one, two, three)]
            async with manager.running(*bad, agent(good, ORCA)):
                await manager.until(lambda: all(sum(state[-3:]) > 1 for state in manager.states()))
                return reports(manager)

    assert [None, None, None, IDLE] == asyncio.run(run())


def test_nobody_is_asked_twice_at_once():
    """
    Though the answer takes several intervals.
    """
    asked = []

    async def run():
        async def slow(reader, _writer):
            asked.append(await request(reader))
            await reader.read()

        manager = Watched()
        async with (
            serving(slow) as one,
            serving(half_busy) as other,
            manager.running(agent(one, ORCA, path="/slow"), agent(other, ORCA)),
        ):
            await manager.until(lambda: manager.states()[1].answers > 4)

    asyncio.run(run())

    assert ["/slow"] == asked


def test_follow_while_polling():
    """
    One stays and keeps its reading and connection, one goes, one comes; from another thread.
    """
    connections = []

    async def counted(reader, writer):
        connections.append(writer)
        await half_busy(reader, writer)

    async def run():
        manager = Watched()
        async with (
            serving(counted) as stays,
            serving(half_busy) as goes,
            serving(half_busy) as comes,
        ):
            first = [agent(stays, ORCA), agent(goes, ORCA)]
            async with manager.running(*first):
                await manager.until(lambda: None not in reports(manager))
                reading = manager.states()[0].reading
                second = [agent(stays, ORCA, stale=5), agent(comes, ORCA)]
                await asyncio.to_thread(manager.follow, second)
                assert manager.states()[0].reading.at >= reading.at
                await manager.until(lambda: None not in reports(manager))
                await manager.until(lambda: manager.states()[0].answers > 3)
                return [(state.agent, state.failures) for state in manager.states()], second

    states, second = asyncio.run(run())

    assert [(each, 0) for each in second] == states
    assert 1 == len(connections)


def test_without_asking_nobody_is_asked():
    """
    What another resource manager hands over counts; asking begins again when it is wanted.
    """
    connections = []

    async def counted(reader, writer):
        connections.append(writer)
        await half_busy(reader, writer)

    async def run():
        manager = Watched()
        async with serving(counted) as one:
            told = agent(one, ORCA, stale=0.5)
            async with manager.running():
                manager.follow([told], asking=False)
                manager.take([(told.address, LoadReport(cpu=0.75), 0.0)])
                await manager.until(lambda: None not in reports(manager))
                before = reports(manager), len(connections)
                manager.follow([told], asking=True)
                await manager.until(lambda: reports(manager) == [IDLE])
                return before

    assert ([LoadReport(cpu=0.75)], 0) == asyncio.run(run())


def test_a_changed_interval_counts_at_once():
    """
    Whoever was to be asked in an hour is asked now.
    """

    async def run():
        manager = Watched()
        async with serving(half_busy) as one, manager.running(agent(one, ORCA, interval=HOUR)):
            manager.follow([agent(one, ORCA)])
            await manager.until(lambda: manager.only.answers > 1)

    asyncio.run(run())


def test_another_kind_is_another_agent():
    """
    What was said in another language is forgotten.
    """
    manager = ResourceManager(lambda _event: None)
    manager.follow([agent(address("192.0.2.11:9000"), ORCA)])
    manager.take([(address("192.0.2.11:9000"), IDLE, 0.0)])
    manager.follow([agent(address("192.0.2.11:9000"), HAPROXY)])

    assert [None] == reports(manager)


def test_who_tells_of_a_backend():
    """
    Agents that name it, or else those at its address; the newest of them.
    """
    now = 1000.0
    manager = ResourceManager(lambda _event: None, clock=lambda: now)
    here, there = address("192.0.2.11:9000"), address("192.0.2.12:9000")
    web, api = address("192.0.2.11:80"), address("192.0.2.11:8080")
    manager.follow([agent(here, ORCA), agent(there, ORCA, backends=(api,))])

    assert None is manager.reading(web)

    manager.take([(here, LoadReport(clients=1), 5.0), (there, LoadReport(clients=2), 3.0)])

    def told(backend):
        found = manager.reading(backend)
        return found and (found[0].address, found[1].report.clients, found[1].at)

    assert (here, 1, 995.0) == told(web)
    assert (there, 2, 997.0) == told(api)
    assert None is told(address("192.0.2.12:80"))

    manager.take([(here, LoadReport(clients=3), 1.0)])

    assert (here, 3, 999.0) == told(api)


@pytest.mark.parametrize("age", [-1.0, math.nan, math.inf, 1e9])
def test_readings_of_no_age_are_not_taken(age):
    """
    Nor those of agents that nobody has configured.
    """
    manager = ResourceManager(lambda _event: None)
    here = address("192.0.2.11:9000")
    manager.follow([agent(here, ORCA)])

    assert 0 == manager.take([(here, IDLE, age), (address("192.0.2.99:1"), IDLE, 0.0)])
    assert [None] == reports(manager)


def test_what_another_collects_is_not_asked_for_until_it_is_stale():
    """
    Then this one asks by itself.
    """
    now = 1000.0
    polls = asyncio.Event()

    async def counted(reader, writer):
        polls.set()
        await half_busy(reader, writer)

    async def run():
        nonlocal now
        manager = Watched(clock=lambda: now)
        async with serving(counted) as one, serving(half_busy) as other:
            taken, beside = agent(one, ORCA, stale=10), agent(other, ORCA)
            manager.follow([taken])
            assert 1 == manager.take([(one, LoadReport(cpu=0.1), 0.0)])
            async with manager.running(taken, beside):
                await manager.until(lambda: manager.states()[1].answers > 4)
                asked = polls.is_set()
                now += 11
                await manager.until(lambda: manager.states()[0].answers > 1)
                return asked, reports(manager)[0]

    assert (False, IDLE) == asyncio.run(run())


def test_readings_may_be_taken_from_any_thread_while_running():
    """
    And an agent that was silent is back by them.
    """
    now = 1000.0

    async def run():
        nonlocal now
        manager = Watched(clock=lambda: now)
        here = agent(address("192.0.2.11:9000"), AgentKind.PUSH, key_file="/none", stale=5)
        async with manager.running(here):
            now += 6
            await manager.until(lambda: manager.events)
            readings = [(here.address, IDLE, 1.0)]
            thread = threading.Thread(target=manager.take, args=(readings,))
            thread.start()
            await manager.until(lambda: len(manager.events) > 1)
            thread.join()
            return [event.kind for event in manager.events], reports(manager)

    assert (["silent", "back"], [IDLE]) == asyncio.run(run())


def test_after_the_end_all_connections_are_closed():
    """
    The one that was kept, and the one under way.
    """

    async def run():
        closed = asyncio.Semaphore(0)

        async def kept(reader, writer):
            try:
                await half_busy(reader, writer)
            finally:
                closed.release()

        async def hung(reader, _writer):
            await request(reader)
            asked.set()
            await reader.read()
            closed.release()

        asked = asyncio.Event()
        manager = Watched()
        async with serving(kept) as one, serving(hung) as two:
            async with manager.running(agent(one, ORCA), agent(two, ORCA)):
                await manager.until(lambda: manager.states()[0].answers)
                await asked.wait()
            async with asyncio.timeout(DEADLINE):
                await closed.acquire()
                await closed.acquire()

    asyncio.run(run())


def test_polls_are_spread_over_the_interval():
    """
    The beginnings of a hundred agents leave no gap of more than three times the mean.
    """

    async def run():
        manager = ResourceManager(lambda _event: None)
        agents = [agent(address(f"192.0.2.{n}:1"), ORCA, interval=HOUR) for n in range(1, 101)]
        manager.follow(agents)
        task = asyncio.create_task(manager.run())
        await asyncio.sleep(0)
        due = sorted(poller._due for poller in manager._pollers.values())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return [later - sooner for sooner, later in pairwise(due)]

    gaps = asyncio.run(run())

    assert 99 == len(gaps)
    assert max(gaps) <= 3 * HOUR / 100
