"""
The server: answer over TCP, by HTTP or with the one line of HAProxy's agent check.

Where both are served on one port, what arrives first decides: a word in capitals and a space is
HTTP, anything else, or nothing for a moment, is the check.  Everything is bounded, in size, time
and number; a broken client costs its own connection and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs, urlsplit

from lbctl.agent.wire import NONCE
from lbctl.errors import LbctlError

if TYPE_CHECKING:
    from lbctl.agent.addresses import Address
    from lbctl.agent.teller import Teller

MAX_REQUEST = 8192  # bytes of a request line and its header
PATIENCE = 5.0  # seconds for a request and its answer
IDLE = 30.0  # seconds; so long a connection on which reports were fetched waits for the next
SILENCE = 0.5  # seconds; who says nothing for so long waits for the agent check's line
MAX_CONNECTIONS = 128
MAX_OF_ONE = 32  # connections of one client, so that it cannot have them all

HTTP = re.compile(rb"[A-Z]{1,10} ")
MAYBE_HTTP = re.compile(rb"[A-Z]{0,10}")
REQUEST = re.compile(rb"([A-Z]{1,10}) (/[\x21-\x7e]*) HTTP/1\.[01]\r?\n")
END = re.compile(rb"\r?\n\r?\n")
# One whole request by GET and HTTP/1.1, and nothing behind it: after its answer another may come.
KEPT = re.compile(rb"(?is)\AGET [^\n]* HTTP/1\.1\r?\n(?!.*\nConnection: *close)[^\0]*?\r?\n\r?\n\Z")

NO_KEY = (
    "this agent has no key and cannot sign a report; `lbctl-agent key --output FILE` makes one: "
    "give it to the agent with --key-file and to the switch"
)
NO_NONCE = "give a nonce of 16 to 64 lower-case hex digits: /report?nonce=HEX"
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
REPORT_TYPE = "application/octet-stream"

log = logging.getLogger(__name__)


class Services(NamedTuple):
    """What is served on a port."""

    http: bool = True
    metrics: bool = True
    agent_check: bool = True


class Response(NamedTuple):
    """An answer by HTTP."""

    status: HTTPStatus
    body: bytes
    kind: str = TEXT

    @classmethod
    def refusal(cls, status: HTTPStatus, why: str) -> Response:
        """Say in a line why not."""
        return cls(status, f"{why}\n".encode())

    def encode(self, *, body: bool = True, keep: bool = False) -> bytes:
        """Write it as it goes over the wire; HEAD wants no body; *keep*: more may follow."""
        head = (
            f"HTTP/1.1 {self.status.value} {self.status.phrase}\r\n"
            f"Content-Type: {self.kind}\r\nContent-Length: {len(self.body)}\r\n"
            f"Cache-Control: no-store\r\n"
            f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n"
        )
        return head.encode() + (self.body if body else b"")


class Server:
    """All ports of an agent."""

    def __init__(
        self, teller: Teller, silence: float = SILENCE, patience: float = PATIENCE
    ) -> None:
        self._teller = teller
        self._silence = silence
        self._patience = patience
        self._open: Counter[str] = Counter()
        self._servers: list[asyncio.Server] = []

    async def listen(self, address: Address, services: Services) -> list[str]:
        """Serve on *address*; give the addresses that this became.  Raises LbctlError."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(reader, writer, services)

        try:
            server = await asyncio.start_server(
                serve, address.host or None, address.port, limit=MAX_REQUEST
            )
        except OSError as err:
            raise LbctlError(
                f"{address}: cannot listen: {err.strerror or err}; choose another with --listen"
            ) from None
        self._servers.append(server)
        return [_name(socket.getsockname()) for socket in server.sockets]

    def close(self) -> None:
        """Answer nobody any more."""
        for server in self._servers:
            server.close()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, services: Services
    ) -> None:
        """
        Answer one client; whatever it does, the connection is over in a few seconds.

        Only who fetches reports, again and again, may keep it.
        """
        peer = str((writer.get_extra_info("peername") or ["?"])[0])
        if self._open[peer] >= MAX_OF_ONE or self._open.total() >= MAX_CONNECTIONS:
            self._teller.told["refused"] += 1
            writer.transport.abort()
            return
        self._open[peer] += 1
        try:
            first: bytes | None = b""
            while first is not None:
                async with asyncio.timeout(self._patience):
                    answer, keep = await self._answer(reader, writer, services, first)
                    writer.write(answer)
                    await writer.drain()
                    if not keep:
                        writer.close()
                        await writer.wait_closed()
                first = await _next_words(reader) if keep else None
        except (OSError, asyncio.CancelledError):  # TimeoutError is an OSError
            pass  # the client is broken, or the agent ends
        except Exception:  # a bug; other clients must have their answers
            log.exception("a client of %s got no answer", peer)
        finally:
            writer.transport.abort()
            self._open[peer] -= 1
            self._open += Counter()  # forgets those at 0

    async def _answer(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        services: Services,
        first: bytes,
    ) -> tuple[bytes, bool]:
        """Make the answer to what begins with *first*, and say whether more may be asked."""
        if services.agent_check and not first:
            if services.http:
                first = await self._first_words(reader)
            if not HTTP.match(first):
                self._teller.told["agent_check"] += 1
                return self._teller.check_line().encode(), False
        request = await _read_request(reader, first)
        if request is None:
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            response = Response.refusal(status, f"more than {MAX_REQUEST} bytes")
        else:
            here = _name(writer.get_extra_info("sockname"))
            response = self._respond(request, here, services)
        if response.status is not HTTPStatus.OK:
            self._teller.told["refused"] += 1
        keep = response.kind == REPORT_TYPE and KEPT.search(request or b"") is not None
        return response.encode(body=not (request or b"").startswith(b"HEAD "), keep=keep), keep

    async def _first_words(self, reader: asyncio.StreamReader) -> bytes:
        """Read until it is clear whether this is HTTP, or until nothing more seems to come."""
        data = b""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._silence):
                while MAYBE_HTTP.fullmatch(data) and (more := await reader.read(MAX_REQUEST)):
                    data += more
        return data

    def _respond(self, request: bytes, here: str, services: Services) -> Response:
        """Answer a request; *here* is the address that it came to."""
        match = REQUEST.match(request)
        if not match:
            return Response.refusal(HTTPStatus.BAD_REQUEST, "this is not HTTP/1.1")
        if match[1] not in (b"GET", b"HEAD"):
            return Response.refusal(HTTPStatus.METHOD_NOT_ALLOWED, "use GET")
        try:
            url = urlsplit(match[2].decode())
            query = parse_qs(url.query, max_num_fields=8)
        except ValueError:
            return Response.refusal(HTTPStatus.BAD_REQUEST, "this URL cannot be read")
        if url.path == "/report":
            return self._report(query.get("nonce", [""])[0], here)
        if url.path == "/metrics" and services.metrics:
            self._teller.told["metrics"] += 1
            return Response(HTTPStatus.OK, self._teller.metrics().encode(), METRICS_TYPE)
        paths = "/report?nonce=HEX" + (", /metrics" if services.metrics else "")
        return Response.refusal(HTTPStatus.NOT_FOUND, f"there is only {paths}")

    def _report(self, nonce: str, here: str) -> Response:
        if self._teller.key is None:
            return Response.refusal(HTTPStatus.FORBIDDEN, NO_KEY)
        if not NONCE.fullmatch(nonce):
            return Response.refusal(HTTPStatus.BAD_REQUEST, NO_NONCE)
        self._teller.told["report"] += 1
        statement = self._teller.statement(self._teller.key, nonce, here)
        return Response(HTTPStatus.OK, statement, REPORT_TYPE)


async def _next_words(reader: asyncio.StreamReader) -> bytes | None:
    """Wait for another request; None: there is none."""
    async with asyncio.timeout(IDLE):
        return await reader.read(MAX_REQUEST) or None


async def _read_request(reader: asyncio.StreamReader, data: bytes) -> bytes | None:
    """Read on to the empty line after the header; None for more than MAX_REQUEST bytes."""
    while not END.search(data):
        if len(data) > MAX_REQUEST:
            return None
        more = await reader.read(MAX_REQUEST)
        if not more:
            raise ConnectionResetError
        data += more
    return data


def _name(address: tuple[str, int]) -> str:
    """Write the address of a socket as ADDR:PORT."""
    host, port = address[:2]
    host = host.removeprefix("::ffff:")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
