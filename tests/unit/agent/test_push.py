"""The push: sealed statements by UDP, whatever becomes of them."""

from __future__ import annotations

import asyncio
import socket

import pytest

from lbctl.agent.addresses import Address
from lbctl.agent.push import REMEMBER, Pusher
from lbctl.agent.sampler import Sampler
from lbctl.agent.state import StateFile
from lbctl.agent.teller import Teller
from lbctl.agent.wire import LoadReport, open_
from tests.unit.agent.servers import Clock, FakeProbe

KEY = b"a key that nobody knows"


@pytest.fixture
def teller(tmp_path):
    """A teller with a report."""
    sampler = Sampler([FakeProbe(LoadReport(cpu=0.25))])
    asyncio.run(sampler.look())
    return Teller(sampler, StateFile(tmp_path / "state"), KEY, "192.0.2.11:80")


@pytest.fixture(params=[("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def switch(request):
    """A switch that listens for datagrams."""
    host, family = request.param
    with socket.socket(family, socket.SOCK_DGRAM) as listening:
        listening.settimeout(20)
        listening.bind((host, 0))
        yield listening


def pusher(teller, switch, clock=None):
    """Make a pusher to a socket."""
    to = Address(*switch.getsockname()[:2])
    return Pusher(to, teller, KEY, "192.0.2.11:80", clock or Clock())


def test_a_switch_is_told_again_and_again(teller, switch):
    """
    Each time with another nonce and a later time.
    """

    async def run():
        task = asyncio.create_task(pusher(teller, switch).run(0.001))
        loop = asyncio.get_running_loop()
        switch.setblocking(False)  # noqa: FBT003 - Python's own
        async with asyncio.timeout(20):
            found = [open_(KEY, await loop.sock_recv(switch, 65536)) for _ in range(3)]
        task.cancel()
        return found

    found = asyncio.run(run())

    assert {"192.0.2.11:80"} == {said.agent for said in found}
    assert {0.25} == {said.report.cpu for said in found}
    assert 3 == len({said.nonce for said in found})
    assert sorted(said.time for said in found) == [said.time for said in found]
    assert 3 == len({said.time for said in found})


def test_nobody_listening_is_no_matter(teller, switch, caplog):
    """
    It may come back; it is told as before.
    """
    to_it = pusher(teller, switch)
    switch.close()
    for _ in range(2):
        asyncio.run(to_it.push())

    assert [] == caplog.records
    assert 2 == teller.told["push"]


def test_a_name_that_nobody_knows_is_told_once(teller, monkeypatch, caplog):
    """
    And tried anew each time.
    """
    asked = []

    async def nobody(*_, **__):
        asked.append(1)
        raise socket.gaierror(-2, "Name or service not known")

    async def run():
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", nobody, raising=False)
        to_it = Pusher(Address("switch.invalid", 8408), teller, KEY, "192.0.2.11:80")
        await to_it.push()
        await to_it.push()

    asyncio.run(run())

    assert 2 == len(asked)
    assert ["switch.invalid:8408: cannot push: Name or service not known"] == caplog.messages


def test_a_name_is_looked_up_anew_after_a_while(teller, switch, monkeypatch):
    """
    The switch may have moved.
    """
    asked = []
    clock = Clock()

    async def run():
        loop = asyncio.get_running_loop()
        real = loop.getaddrinfo

        async def counted(*args, **kwargs):
            asked.append(clock.now)
            return await real(*args, **kwargs)

        monkeypatch.setattr(loop, "getaddrinfo", counted, raising=False)
        to_it = pusher(teller, switch, clock)
        for pause in (0, REMEMBER / 2, REMEMBER):
            clock.now += pause
            await to_it.push()

    asyncio.run(run())

    assert [1000, 1000 + REMEMBER * 1.5] == asked


def test_a_bug_does_not_end_the_pushing(teller, switch, caplog):
    """
    It is logged once.
    """
    teller.report = None
    to_it = pusher(teller, switch)
    for _ in range(2):
        asyncio.run(to_it.push())

    assert 1 == len(caplog.records)
