"""Little servers on loopback, well and ill, and one look at them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING

from lbctl.control.health.check import look
from lbctl.control.health.target import Outcome, Target
from lbctl.model import SocketAddress

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable

    from lbctl.model import AnyCheck

    Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

HOST, HOST6 = "127.0.0.1", "::1"


def target(check: AnyCheck, port: int, host: str = HOST) -> Target:
    """A back-end on loopback."""
    return Target("web", SocketAddress(ip_address(host), port), check)


@contextlib.asynccontextmanager
async def serving(
    talk: Talk, host: str = HOST, context: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """A server that holds this conversation with everybody; yields its port."""
    conversations = []

    async def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversations.append(asyncio.current_task())
        try:
            with contextlib.suppress(ConnectionError):
                await talk(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(begin, host, 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for conversation in conversations:
            conversation.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)


def seen(
    check: AnyCheck, talk: Talk, host: str = HOST, context: ssl.SSLContext | None = None
) -> Outcome:
    """What one check finds at a server of this behaviour."""

    async def main() -> Outcome:
        async with serving(talk, host, context) as port:
            return await look(target(check, port, host))

    return asyncio.run(main())


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Accept, read, never answer."""
    while await reader.read(1024):
        pass


async def closing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Close after the request."""
    await reader.read(1024)


async def hanging_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close at once, in order: after all that was written, and TLS's own goodbye."""
    writer.close()
    await writer.wait_closed()


def saying(*parts: bytes, end: Talk = silent) -> Talk:
    """Read the request, answer with *parts*, go on with *end*."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        for part in parts:
            writer.write(part)
            await writer.drain()
        await end(reader, writer)

    return talk


def repeating(head: bytes, piece: bytes) -> Talk:
    """Answer with *head*, and then with *piece* for ever."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)

    return talk


def dribbling(head: bytes) -> Talk:
    """Answer with *head*, and then with a byte a millisecond for ever."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.write(head)
        while True:
            writer.write(b"x")
            await asyncio.sleep(0.001)

    return talk


async def resetting(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End the connection by a reset."""
    linger = b"\1\0\0\0\0\0\0\0"
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    await asyncio.sleep(0)


@contextlib.contextmanager
def closed_port(kind: socket.SocketKind = socket.SOCK_STREAM, host: str = HOST):
    """A port where nobody listens, kept from others meanwhile."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as placeholder:
        placeholder.bind((host, 0))
        if kind is socket.SOCK_STREAM:
            yield placeholder.getsockname()[1]
            return
        port = placeholder.getsockname()[1]
    yield port


def shortly(outcome: Outcome) -> tuple[bool, str]:
    """The outcome without its times: "200 in 3 ms" is "200"."""
    reason = outcome.reason
    return outcome.ok, reason.rpartition(" in ")[0] if outcome.ok else reason
