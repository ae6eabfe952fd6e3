"""
The gRPC check: ask `grpc.health.v1.Health/Check` whether a service is SERVING.

HTTP/2 in clear, with prior knowledge (RFC 9113, section 3.3).  The two messages are small enough to
be read and written by hand: https://grpc.io/docs/guides/health-checking/ has them.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING
from urllib.parse import unquote

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import H2Error

from lbctl.control.health.stream import connected
from lbctl.control.health.target import CheckFailed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lbctl.control.health.target import Progress, Target
    from lbctl.model import GrpcCheck

PATH = "/grpc.health.v1.Health/Check"
ENOUGH = 1 << 16  # bytes of HTTP/2; an answer has some hundred
SETTINGS = 4  # the type of frame that a server begins with (RFC 9113, section 3.4)
STATUS_FIELD = 0x08  # field 1 as a varint
SERVICE_FIELD = 0x0A  # field 1 as a string


class Serving(IntEnum):
    """What a server says of a service."""

    UNKNOWN = 0
    SERVING = 1
    NOT_SERVING = 2
    SERVICE_UNKNOWN = 3


OK, NOT_FOUND, UNIMPLEMENTED = 0, 5, 12  # of a gRPC status


async def ask(target: Target, check: GrpcCheck, progress: Progress) -> str:
    """Succeed when the server says SERVING."""
    async with connected(target) as stream:
        progress.missing = "connected, but no answer"
        call = Call(target.authority, check.service)
        await stream.send(call.to_send())
        while not call.ended:
            data = await stream.receive()
            if not data:
                raise CheckFailed("closed before an answer")
            call.take(data)
            if more := call.to_send():
                await stream.send(more)
    return call.judge()


def encode_request(service: str) -> bytes:
    """A HealthCheckRequest, with gRPC's prefix: not compressed, and its length."""
    name = service.encode()
    message = bytes([SERVICE_FIELD, *varint(len(name))]) + name if name else b""
    return b"\0" + len(message).to_bytes(4, "big") + message


def varint(number: int) -> Iterable[int]:
    """The bytes of a protobuf varint."""
    while number > 127:
        yield number & 127 | 128
        number >>= 7
    yield number


def decode_status(data: bytes) -> int:
    """The status of a HealthCheckResponse; raises CheckFailed for anything else."""
    length, message = int.from_bytes(data[1:5], "big"), data[5:]
    if len(data) < 5 or data[0] != 0 or length != len(message):
        raise CheckFailed("the answer is not a gRPC message")
    if not message:  # a field that is 0 is left out
        return Serving.UNKNOWN
    if len(message) < 2 or message[0] != STATUS_FIELD or message[1] > 127:
        raise CheckFailed("the answer is not a HealthCheckResponse")
    return message[1]


class Call:
    """One call: bytes in, bytes out, no I/O."""

    def __init__(self, authority: str, service: str) -> None:
        self._service = service
        self._http = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self._http.initiate_connection()
        self._http.send_headers(1, _headers(authority))
        self._http.send_data(1, encode_request(service), end_stream=True)
        self._headers: dict[str, str] = {}
        self._data = b""
        self._start = b""
        self._size = 0
        self.ended = False

    def to_send(self) -> bytes:
        """What has to go to the server now."""
        return self._http.data_to_send()

    def take(self, data: bytes) -> None:
        """Read on.  Raises CheckFailed for what is not HTTP/2, and when the server breaks off."""
        self._start = (self._start + data)[:4]
        self._size += len(data)
        # h2 would wait for the whole of a frame whose length is four letters of another protocol.
        if len(self._start) == 4 and self._start[3] != SETTINGS:
            raise CheckFailed("the answer is not HTTP/2")
        if self._size > ENOUGH:
            raise CheckFailed(f"an answer of more than {ENOUGH >> 10} KiB")
        try:
            events = self._http.receive_data(data)
        except (H2Error, UnicodeDecodeError) as error:
            raise CheckFailed("the answer is not HTTP/2") from error
        for event in events:
            self._hear(event)

    def _hear(self, event: Event) -> None:
        match event:
            case ResponseReceived() | TrailersReceived():
                self._headers |= {str(key): str(value) for key, value in event.headers or ()}
            case DataReceived():
                self._data += event.data or b""
            case StreamEnded():
                self.ended = True
            case StreamReset() | ConnectionTerminated() if not self.ended:
                raise CheckFailed(f"HTTP/2 error {event.error_code}")

    def judge(self) -> str:
        """SERVING; anything else raises CheckFailed."""
        if (status := self._headers.get(":status")) != "200":
            raise CheckFailed(f"HTTP status {status}, wanted 200")
        code = self._headers.get("grpc-status", "")
        if code != str(OK):
            raise CheckFailed(self._complaint(code))
        said = decode_status(self._data)
        if said != Serving.SERVING:
            known = said in set(Serving)
            raise CheckFailed(Serving(said).name if known else f"unknown status {said}")
        return "SERVING"

    def _complaint(self, code: str) -> str:
        if code == str(UNIMPLEMENTED):
            return "the server has no health service (UNIMPLEMENTED)"
        if code == str(NOT_FOUND):
            return f"the server knows no service {self._service!r} (NOT_FOUND)"
        message = unquote(self._headers.get("grpc-message", ""))[:60]
        return f"gRPC status {code or 'missing'}{': ' if message else ''}{message}"


def _headers(authority: str) -> list[tuple[str, str]]:
    return [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", PATH),
        (":authority", authority),
        ("te", "trailers"),  # codespell:ignore te
        ("content-type", "application/grpc"),
        ("user-agent", "lbctl-health"),
    ]
