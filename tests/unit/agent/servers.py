"""Little servers on loopback that answer as a test says, and clients that hold nothing back."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

from lbctl.agent.fetch import Url

OK = "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n"


@asynccontextmanager
async def serving(start, talk):
    """Serve by *start*, a function of asyncio, with *talk* for each client; end them all."""
    tasks = set()

    async def serve(reader, writer):
        tasks.add(asyncio.current_task())
        try:
            await talk(reader, writer)
            writer.close()
            await writer.wait_closed()
        except (OSError, asyncio.CancelledError):
            pass  # the client has had enough, or the test has
        finally:
            writer.transport.abort()

    server = await start(serve)
    try:
        yield server
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)


@asynccontextmanager
async def answering(*answers, wait=False):
    """Serve raw *answers* by TCP, one a connection, the last again and again; give the Url."""
    left = list(answers)

    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        answer = left.pop(0) if len(left) > 1 else left[0]
        writer.write(answer if isinstance(answer, bytes) else answer.encode())
        if wait:
            await reader.read()  # until the client gives up

    def start(serve):
        return asyncio.start_server(serve, "127.0.0.1", 0)

    async with serving(start, talk) as server:
        port = server.sockets[0].getsockname()[1]
        yield Url.parse(f"http://127.0.0.1:{port}/figures")


async def ask(address, data=b"", *, end=False):
    """Send *data* to an agent and give all that it answers; *end*: say that no more will come."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(data)
        await writer.drain()
        if end:
            writer.write_eof()
        async with asyncio.timeout(20):
            return await reader.read()
    finally:
        writer.transport.abort()


class Clock:
    """A time that passes when a test says so."""

    def __init__(self, now=1000.0):
        self.now = now

    def __call__(self):
        """Tell the time."""
        return self.now


class FakeProbe:
    """A probe that tells, or raises, what a test has given it."""

    def __init__(self, *told, name="fake", interval=1.0):
        self.name = name
        self.interval = interval
        self.told = list(told)

    async def sample(self):
        """Tell the next; the last again and again."""
        told = self.told.pop(0) if len(self.told) > 1 else self.told[0]
        if isinstance(told, Exception):
            raise told
        return told
