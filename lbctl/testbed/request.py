"""The request: one HTTP connection of the load generator, and how its requests can fail."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import socket
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple, Self
from urllib.parse import urlsplit

from lbctl.testbed.account import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lbctl.model import IPAddress

FAILURES = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "network unreachable",
    errno.ETIMEDOUT: "timed out",
}
BUSY_PORTS = 100  # source ports in use that are passed over before it is a failure
OK = 200


class Target(NamedTuple):
    """Where requests go: an address, never a name, so that nothing else is measured."""

    address: IPAddress
    port: int
    path: str

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read `http://ADDRESS:PORT/PATH?QUERY`."""
        parts = urlsplit(url)
        path = parts.path or "/"
        query = f"?{parts.query}" if parts.query else ""
        return cls(ip_address(parts.hostname or ""), parts.port or 80, path + query)

    @property
    def host(self) -> str:
        """The Host header."""
        text = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"{text}:{self.port}"


class WrongAnswer(Exception):
    """The server answered, but not what it was asked for."""


class Connection:
    """At most one TCP connection at a time; made by the first request that needs it."""

    def __init__(self, target: Target, ports: Iterator[int], timeout: float) -> None:
        self._target = target
        self._ports = ports
        self._timeout = timeout
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._port = 0

    @property
    def is_open(self) -> bool:
        """Whether the next request would use the same connection."""
        return self._streams is not None

    async def request(self, *, keep: bool) -> Outcome:
        """Make one request; whatever happens is an outcome."""
        begin, server, failure, doing = time.monotonic(), "", "", "connecting"
        try:
            async with asyncio.timeout(self._timeout):
                reader, writer = self._streams or await self._connect()
                doing = "waiting"
                server, keep = await self._exchange(reader, writer, keep=keep)
        except TimeoutError:
            failure = f"timed out while {doing}"
        except asyncio.IncompleteReadError:
            failure = "closed early"
        except WrongAnswer as error:
            failure = str(error)
        except OSError as error:
            failure = f"{FAILURES.get(error.errno or 0, str(error))} while {doing}"
        if failure or not keep:
            self.close()
        return Outcome(server, failure, time.monotonic() - begin, self._port)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop, tries = asyncio.get_running_loop(), BUSY_PORTS
        while True:
            plug = self._bind()
            try:
                await loop.sock_connect(plug, (str(self._target.address), self._target.port))
                break
            except BaseException as error:
                plug.close()
                tries -= 1
                # Another program's connection from that port is not over: nothing was sent yet.
                if not tries or getattr(error, "errno", 0) != errno.EADDRNOTAVAIL:
                    raise
        self._streams = await asyncio.open_connection(sock=plug)
        return self._streams

    def _bind(self) -> socket.socket:
        """A socket with a source port of our choice."""
        family = socket.AF_INET6 if self._target.address.version == 6 else socket.AF_INET
        plug = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for _ in range(BUSY_PORTS):
            self._port = next(self._ports)
            with contextlib.suppress(OSError):
                plug.bind(("", self._port))
                return plug
        plug.close()
        raise OSError(errno.EADDRINUSE, "no source port is free")

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, keep: bool
    ) -> tuple[str, bool]:
        """Ask, and check the answer; returns the server and whether it keeps the connection."""
        connection = "keep-alive" if keep else "close"
        writer.write(
            f"GET {self._target.path} HTTP/1.1\r\nHost: {self._target.host}\r\n"
            f"Connection: {connection}\r\n\r\n".encode()
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = head.split("\r\n")
        headers = {
            key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        if status.split(" ")[1:2] != [str(OK)]:
            raise WrongAnswer(f"status {status}")
        digest = headers.get("x-sha256")
        if digest and digest != hashlib.sha256(body).hexdigest():
            raise WrongAnswer("wrong content")
        return headers.get("x-server", "?"), keep and headers.get("connection") != "close"

    def close(self) -> None:
        """End the connection."""
        if self._streams:
            self._streams[1].close()
            self._streams = None
