"""Little servers on loopback, honest and hostile, and a resource manager to wait for."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address

from lbctl.agent import wire
from lbctl.control.resource_manager import ResourceManager
from lbctl.model import Agent, AgentKind, SocketAddress

DEADLINE = 20  # seconds that a test waits at most
KEY = "a key of twenty-two ch"
REPORT = wire.LoadReport(cpu=0.25, clients=3, connections={8080: 3})


def local(port, host="127.0.0.1"):
    """Give an address of loopback, which the text form refuses."""
    return SocketAddress(ip_address(host), port)


def key_file(folder, text=KEY, name="key"):
    """Make a key file."""
    path = folder / name
    path.touch(0o600)
    path.write_text(text)
    return str(path)


def agent(address, kind=AgentKind.LBCTL, **more):
    """Make an agent that is asked often."""
    return Agent(**{"address": address, "kind": kind, "interval": 0.1, "timeout": 10, **more})


def http(body=b"", *, status=200, extra=""):
    """Write an HTTP answer."""
    head = f"HTTP/1.1 {status} Fine\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


@asynccontextmanager
async def serving(handle, host="127.0.0.1"):
    """Serve connections by *handle*(reader, writer); yields the address."""
    tasks, closing = set(), []

    async def guarded(reader, writer):
        tasks.add(asyncio.current_task())
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await handle(reader, writer)
            writer.close()
        finally:
            tasks.discard(asyncio.current_task())
            closing.append(writer)

    server = await asyncio.start_server(guarded, host, 0)
    async with server:
        yield local(server.sockets[0].getsockname()[1], host)
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in closing:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()


async def request(reader):
    """Read a request; returns its path and query."""
    head = await reader.readuntil(b"\r\n\r\n")
    return head.split(b" ", 2)[1].decode()


def answering(answer):
    """Serve every request of a connection with *answer*(path)."""

    async def handle(reader, writer):
        while True:
            writer.write(answer(await request(reader)))
            await writer.drain()

    return handle


def saying(data):
    """Say *data* to whoever connects, and close."""

    async def handle(_reader, writer):
        writer.write(data)
        await writer.drain()

    return handle


async def never(reader, _writer):
    """Say nothing for ever."""
    await reader.read()
    await asyncio.Event().wait()


def nonce_of(path):
    """Find the nonce in what was asked."""
    return path.partition("nonce=")[2]


def sealed(name, nonce, report=REPORT, key=KEY, at=None):
    """Seal a statement."""
    moment = time.time() if at is None else at
    return wire.seal(key.encode(), wire.Statement(str(name), moment, nonce, report))


class Watched(ResourceManager):
    """A resource manager that tells when something may have changed, and keeps its events."""

    def __init__(self, **clocks):
        self.events = []
        self._changed = asyncio.Event()
        super().__init__(self.events.append, **clocks)

    def _tell(self, tracked):
        super()._tell(tracked)
        self._changed.set()

    async def until(self, condition):
        """Wait until *condition*() holds."""
        async with asyncio.timeout(DEADLINE):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def follow(self, agents, **how):
        """Follow, and tell."""
        super().follow(agents, **how)
        self._changed.set()

    async def until_followed(self, count):
        """Wait until there are so many agents."""
        await self.until(lambda: len(self.states()) == count)

    @property
    def only(self):
        """The state of the only agent."""
        (state,) = self.states()
        return state

    @asynccontextmanager
    async def running(self, *agents, push=None):
        """Follow *agents* meanwhile."""
        self.follow(agents)
        task = asyncio.create_task(self.run(push))
        try:
            yield self
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
