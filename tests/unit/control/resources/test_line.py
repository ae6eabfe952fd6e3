"""Reading one line of an agent, whatever it sends."""

from __future__ import annotations

import asyncio

import pytest

from lbctl.agent.wire import BadReport
from lbctl.control.resources.asking import Unanswered
from lbctl.control.resources.line import MAX_LINE, LineAsker
from tests.unit.control.resources.servers import DEADLINE, saying, serving


async def read(address):
    """Give the line, or raise why there is none."""
    ends = asyncio.Queue()
    asker = LineAsker(address, ends.put_nowait)
    asker.ask("")
    try:
        async with asyncio.timeout(DEADLINE):
            end = await ends.get()
    finally:
        asker.abort()
    assert ends.empty()
    if isinstance(end, Exception):
        raise end
    return end


def line_of(handle):
    """Read the line of a server."""

    async def run():
        async with serving(handle) as address:
            return await read(address)

    return asyncio.run(run())


@pytest.mark.parametrize("data", [b"75% up\n", b"75% up\r\n", b"75% up\rmore\n", b"75% up"])
def test_a_line_ends_by_either_mark_or_with_the_connection(data):
    """
    What follows is not looked at.
    """
    assert b"75% up" == line_of(saying(data))


def test_a_line_may_come_in_pieces():
    """
    And the server may keep the connection: it is closed by us.
    """
    closed = asyncio.Event()

    async def handle(reader, writer):
        for piece in (b"75", b"% u", b"p\n"):
            writer.write(piece)
            await writer.drain()
        await reader.read()
        closed.set()

    async def run():
        async with serving(handle) as address:
            line = await read(address)
            async with asyncio.timeout(DEADLINE):
                await closed.wait()
            return line

    assert b"75% up" == asyncio.run(run())


def test_a_line_without_end_is_refused():
    """
    At 1 KiB.
    """

    async def handle(_reader, writer):
        while True:
            writer.write(b"x" * 100)
            await writer.drain()

    with pytest.raises(BadReport, match=f"more than {MAX_LINE} bytes"):
        line_of(handle)


def test_no_line_is_no_answer():
    """
    Connected, and closed without a word.
    """
    with pytest.raises(Unanswered, match="before a line"):
        line_of(saying(b""))


def test_nobody_listens():
    """
    The system's reason is given.
    """

    async def run():
        async with serving(saying(b"")) as address:
            pass
        await read(address)

    with pytest.raises(Unanswered, match=r"^Connection refused$"):
        asyncio.run(run())
