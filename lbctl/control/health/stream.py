"""
The stream: the sockets of checks, and one TCP connection in clear or in TLS.

Plain calls on non-blocking sockets: a check lives for some milliseconds, and a transport with its
buffers would cost more than the check.  Addresses only; no name is ever resolved.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from lbctl.control.health.target import CheckFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from lbctl.control.health.target import Target

Result = TypeVar("Result")

CHUNK = 1 << 14  # bytes read at once
AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: close by a reset
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}


def open_socket(target: Target, kind: socket.SocketKind, protocol: int = 0) -> socket.socket:
    """A socket for the target's address that does not block; marked if the target has a mark."""
    made = socket.socket(FAMILY[target.host.version], kind, protocol)
    made.setblocking(False)  # noqa: FBT003 - its only argument
    if target.mark:
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, target.mark)
        except OSError:
            made.close()
            raise
    return made


def place(target: Target) -> tuple[str, int]:
    """Where its packets go, as socket functions want it."""
    return str(target.host), target.port


class Stream:
    """A TCP connection of one check."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        await self._loop.sock_sendall(self._socket, data)

    async def receive(self) -> bytes:
        """Some bytes; none when the server has closed."""
        return await self._loop.sock_recv(self._socket, CHUNK)


@asynccontextmanager
async def connected(target: Target) -> AsyncIterator[Stream]:
    """
    A connection to the target, which ends by a reset.

    Whoever closes first keeps the connection's remains for a minute (TIME_WAIT).  At a check a
    second those would fill up either the server's tables or the ports of this host; a reset leaves
    nothing on either side.
    """
    with open_socket(target, socket.SOCK_STREAM) as sock:
        await asyncio.get_running_loop().sock_connect(sock, place(target))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        yield Stream(sock)


class TlsStream(Stream):
    """The same in TLS: OpenSSL between two buffers, so that one event loop can wait for it."""

    def __init__(self, plain: Stream, name: str, *, verify: bool) -> None:
        super().__init__(plain._socket)  # noqa: SLF001 - the same connection, in another guise
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = _context(verify).wrap_bio(self._in, self._out, server_hostname=name)

    async def handshake(self) -> None:
        """Agree on keys.  Raises CheckFailed when that fails or the certificate is not accepted."""
        await self._do(self._tls.do_handshake)

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        await self._do(lambda: self._tls.write(data))

    async def receive(self) -> bytes:
        """Some bytes; none when the server has closed."""
        try:
            return await self._do(lambda: self._tls.read(CHUNK))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    async def _do(self, call: Callable[[], Result]) -> Result:
        """Have OpenSSL do something, and the socket what OpenSSL asks for."""
        while True:
            try:
                result = call()
            except ssl.SSLWantReadError:
                await self._flush()
                if data := await super().receive():
                    self._in.write(data)
                else:
                    self._in.write_eof()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                raise
            except ssl.SSLError as error:
                raise CheckFailed(f"TLS: {_complaint(error)}") from error
            else:
                await self._flush()
                return result

    async def _flush(self) -> None:
        if data := self._out.read():
            await super().send(data)


def _complaint(error: ssl.SSLError) -> str:
    """OpenSSL's reason in lower case: "wrong version number", "self-signed certificate"."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return (error.reason or str(error)).replace("_", " ").lower()


@cache
def _context(verify: bool) -> ssl.SSLContext:  # noqa: FBT001 - a cache has no keywords
    """What a client asks of a certificate: nothing, or what the system's authorities signed."""
    if verify:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
