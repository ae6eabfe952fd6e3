"""Asking one agent by HTTP: connections are kept, and no answer can do harm."""

from __future__ import annotations

import asyncio

import pytest

from lbctl.agent.wire import BadReport
from lbctl.control.resources.asking import Unanswered
from lbctl.control.resources.http import HEAD_BYTES, HttpAsker
from tests.unit.control.resources.servers import DEADLINE, answering, http, local, request, serving

LIMIT = 1000


class Client:
    """Asks, and waits for what comes of it."""

    def __init__(self, address):
        self.ends = asyncio.Queue()
        self.asker = HttpAsker(address, LIMIT, self.ends.put_nowait)

    async def ask(self, target="/"):
        """Give the answer, or raise why there is none."""
        self.asker.ask(target)
        async with asyncio.timeout(DEADLINE):
            end = await self.ends.get()
        if isinstance(end, Exception):
            raise end
        return end


def talk(handle, client):
    """Run *client*(Client) against a server."""

    async def run():
        async with serving(handle) as address:
            asking = Client(address)
            try:
                return await client(asking)
            finally:
                asking.asker.abort()

    return asyncio.run(run())


def once(data):
    """Answer the first request with *data* and close."""

    async def handle(reader, writer):
        await request(reader)
        writer.write(data)

    return handle


def test_a_connection_is_kept():
    """
    Three questions need one connection.
    """
    connections = []

    async def handle(reader, writer):
        connections.append(writer)
        await answering(lambda path: http(path.encode()))(reader, writer)

    async def client(asking):
        return [await asking.ask(path) for path in ("/a", "/b", "/c")]

    assert [b"/a", b"/b", b"/c"] == talk(handle, client)
    assert 1 == len(connections)


@pytest.mark.parametrize("extra", ["Connection: close\r\n", ""])
def test_a_connection_that_was_closed_is_opened_again(extra):
    """
    Whether or not the server says that it will close it.
    """

    async def client(asking):
        return [await asking.ask() for _ in range(3)]

    assert [b"x", b"x", b"x"] == talk(once(http(b"x", extra=extra)), client)


def test_a_kept_connection_that_closes_under_the_question_is_no_failure():
    """
    The server reads the second question and closes; over a new connection it answers.
    """
    connections = []

    async def handle(reader, writer):
        connections.append(writer)
        await request(reader)
        writer.write(http(b"x"))
        await request(reader)

    async def client(asking):
        return [await asking.ask(), await asking.ask()]

    assert [b"x", b"x"] == talk(handle, client)
    assert 2 == len(connections)


def test_a_new_connection_that_closes_under_the_question_is_a_failure():
    """
    It is not tried again and again.
    """

    async def handle(reader, _writer):
        await request(reader)

    with pytest.raises(Unanswered, match="closed before an answer"):
        talk(handle, Client.ask)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.0 200 OK\r\n\r\nbody",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbody",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n",
    ],
)
def test_a_body_may_end_in_every_way_there_is(data):
    """
    By length, by chunks or with the connection.
    """
    assert b"body" == talk(once(data), Client.ask)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x00\xff garbage\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", "not HTTP"),
        (b"HTTP/1.1 101 Fine\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "not HTTP"),
        (http(b"x", status=404), "status 404"),
        (http(b"x", status=302, extra="Location: http://192.0.2.1/\r\n"), "status 302"),
        (http(b"x" * (LIMIT + 1)), "more than 1000 bytes"),
        (b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * (LIMIT + 1), "more than 1000 bytes"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * HEAD_BYTES, "more than 1000 bytes"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 2 * HEAD_BYTES, "more than 1000 bytes"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "status 100"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 2, "more came than one answer"),
        (http(b"x") + http(b"forged"), "more came than one answer"),
    ],
)
def test_an_answer_that_cannot_count_is_refused(data, reason):
    """
    In one line, and the connection is closed.
    """
    with pytest.raises(BadReport, match=reason) as caught:
        talk(once(data), Client.ask)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nsh",
        b"HTTP/1.1 200 O",
    ],
)
def test_half_an_answer_is_none(data):
    """
    A length that promises more than comes, or a head without an end.
    """
    with pytest.raises(Unanswered, match="amid the answer"):
        talk(once(data), Client.ask)


def test_an_endless_body_ends_at_the_limit():
    """
    The server would go on for ever, but the connection is closed.
    """
    closed = asyncio.Event()

    async def handle(reader, writer):
        await request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 4096)
                await writer.drain()
        except OSError:
            closed.set()

    async def client(asking):
        with pytest.raises(BadReport, match="more than 1000 bytes"):
            await asking.ask()
        async with asyncio.timeout(DEADLINE):
            await closed.wait()
        return True

    assert talk(handle, client)


def test_what_nobody_asked_for_closes_the_connection():
    """
    A second answer to one question is not taken for the answer to the next.
    """
    connections, closed = [], asyncio.Event()

    async def handle(reader, writer):
        connections.append(writer)
        writer.write(http((await request(reader)).encode()))
        if len(connections) == 1:
            await go.wait()
            writer.write(http(b"forged"))
            await reader.read()
            closed.set()
        await reader.read()

    async def client(asking):
        first = await asking.ask("/a")
        go.set()
        async with asyncio.timeout(DEADLINE):
            await closed.wait()
        return [first, await asking.ask("/b")]

    go = asyncio.Event()

    assert [b"/a", b"/b"] == talk(handle, client)
    assert 2 == len(connections)


def test_nobody_listens():
    """
    The system's reason is given.
    """

    async def run():
        async with serving(answering(lambda _: b"")) as address:
            pass
        await Client(local(address.port)).ask()

    with pytest.raises(Unanswered, match=r"^Connection refused$"):
        asyncio.run(run())
