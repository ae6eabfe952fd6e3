"""
The HTTP way: ask one agent by GET, over one connection that is kept.

asyncio moves the bytes and httptools (llhttp) reads them.  An agent is not trusted: an answer has
a most of bytes, the caller ends what takes too long, and whatever comes unasked, too much or
malformed closes the connection.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from lbctl.agent.wire import BadReport
from lbctl.control.resources.asking import Dialer, Unanswered

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbctl.control.resources.asking import OnEnd
    from lbctl.model import SocketAddress

HEAD_BYTES = 8192  # the most of all that is not body: headers, sizes of chunks
OK = 200
FRAMES = (b"content-length", b"transfer-encoding")  # they tell where the body ends


class HttpAsker:
    """Asks one agent, whose answers have at most *limit* bytes of body."""

    def __init__(self, address: SocketAddress, limit: int, on_end: OnEnd) -> None:
        self._address = address
        self._limit = limit
        self._on_end = on_end
        self._dialer = Dialer(address, on_end)
        self._connection: _Connection | None = None
        self._request = b""
        self._kept = False  # whether the request went over a connection used before

    def ask(self, target: str) -> None:
        """Ask for the path *target*."""
        self._request = f"GET {target} HTTP/1.1\r\nHost: {self._address}\r\n\r\n".encode()
        self._kept = self._connection is not None and self._connection.is_open
        if self._connection and self._kept:
            self._connection.ask(self._request)
        else:
            self._connect()

    def abort(self) -> None:
        """Give up."""
        self._dialer.hang_up()
        if self._connection:
            self._connection.drop()
            self._connection = None

    def _connect(self) -> None:
        self._connection = _Connection(self._request, self._limit, self._ended)
        self._dialer.dial(self._connection)

    def _ended(self, answer: bytes | Exception) -> None:
        """
        Pass the answer on.

        A server may close a connection it has kept at the moment we ask: then ask once more.
        """
        if self._kept and isinstance(answer, _LostBeforeAnswer):
            self._kept = False
            self._connect()
        else:
            self._on_end(answer)


class _LostBeforeAnswer(Unanswered):
    """The connection was closed before the first byte of an answer."""


class _Connection(asyncio.BufferedProtocol):
    """One connection: a request, its answer, the next request; then never used again."""

    def __init__(
        self, request: bytes, limit: int, on_end: Callable[[bytes | Exception], None]
    ) -> None:
        self.is_open = False
        self._request = request  # the first one, sent when the connection is there
        self._limit = limit
        self._on_end = on_end
        self._buffer = memoryview(bytearray(max(4096, limit // 64)))
        self._transport: asyncio.Transport | None = None
        self._asking = False

    def ask(self, request: bytes) -> None:
        """Send *request* and expect an answer."""
        self._parser = HttpResponseParser(self)
        self._body = bytearray()
        self._received = 0
        self._begun = 0
        self._complete = False
        self._ends_with_connection = False
        self._framed = self._keep = False
        self._asking = True
        if self._transport:
            self._transport.write(request)

    def drop(self) -> None:
        """Close without waiting, and without a word to anybody."""
        self._asking = self.is_open = False
        if self._transport:
            self._transport.abort()

    # -- what asyncio calls ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = cast("asyncio.Transport", transport)
        self.is_open = True
        self.ask(self._request)

    def get_buffer(self, _size_hint: int) -> memoryview:
        """Lend the place to read into."""
        return self._buffer

    def buffer_updated(self, count: int) -> None:
        """Read what came."""
        if not self._asking:  # nobody asked for that
            self.drop()
            return
        self._received += count
        try:
            self._parser.feed_data(self._buffer[:count])
        except (HttpParserError, HttpParserUpgrade) as err:
            self._refuse(f"the answer is not HTTP: {ascii(str(err))[1:101]}")
            return
        if self._begun > 1:
            self._refuse("more came than one answer")
        elif self._complete:
            self._finish()
        elif len(self._body) > self._limit or self._received > self._limit + HEAD_BYTES:
            self._refuse(f"the answer has more than {self._limit} bytes")

    def connection_lost(self, _error: Exception | None) -> None:
        """End an answer that has no other end, or a request that gets none."""
        self.is_open = False
        if not self._asking:
            return
        self._asking = False
        if self._ends_with_connection:
            self._on_end(self._answer())
        elif self._received:
            self._on_end(Unanswered("the connection was closed amid the answer"))
        else:
            self._on_end(_LostBeforeAnswer("the connection was closed before an answer"))

    # -- what the parser calls ---------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Count the answers: a second one is nobody's."""
        self._begun += 1

    def on_header(self, name: bytes, _value: bytes) -> None:
        """Look whether this says where the body ends."""
        if name.lower() in FRAMES:
            self._framed = True

    def on_headers_complete(self) -> None:
        """Know that without a length the body ends with the connection (RFC 9112, 6.3)."""
        self._ends_with_connection = not self._framed

    def on_body(self, part: bytes) -> None:
        """Keep a part of the body; how much came in all is judged after each read."""
        self._body += part

    def on_message_complete(self) -> None:
        """Know that this is all of it."""
        self._complete = True
        self._keep = self._parser.should_keep_alive()  # later the parser has forgotten

    # -- ends --------------------------------------------------------------------------------

    def _answer(self) -> bytes | Exception:
        status = self._parser.get_status_code()
        if status != OK:
            return BadReport(f"the answer has status {status}, not {OK}")
        if len(self._body) > self._limit:
            return BadReport(f"the answer has more than {self._limit} bytes")
        return bytes(self._body)

    def _finish(self) -> None:
        """Hand the answer over; keep the connection if both sides can."""
        self._asking = False
        answer = self._answer()
        if not self._keep:
            self.drop()
        self._on_end(answer)

    def _refuse(self, why: str) -> None:
        self.drop()
        self._on_end(BadReport(why))
