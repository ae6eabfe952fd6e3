"""
The HTTP check: one GET, judged by the status and, where asked for, by a text in the body.

Stops reading as soon as it can judge, and reads no more than 64 KiB of a body whatever comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httptools

from lbctl.control.health.stream import TlsStream, connected
from lbctl.control.health.target import CheckFailed

if TYPE_CHECKING:
    from lbctl.control.health.stream import Stream
    from lbctl.control.health.target import Progress, Target
    from lbctl.model import HttpCheck

ENOUGH = 1 << 16  # bytes of headers, and of a body
SWITCHING = 101  # the only status below 200 that no other follows


async def ask(target: Target, check: HttpCheck, progress: Progress) -> str:
    """Succeed with the status when the answer is one that the check accepts."""
    host = check.host or target.authority
    async with connected(target) as stream:
        if check.check == "https":
            progress.missing = "connected, but no TLS handshake"
            stream = await _in_tls(stream, host, check)  # noqa: PLW2901 - the same one
        progress.missing = "connected, but no answer"
        await stream.send(_request(check.path, host))
        answer = Answer(check)
        while not answer.decided:
            answer.take(await stream.receive())
            progress.missing = "no whole answer"
        return answer.judge()


async def _in_tls(stream: Stream, host: str, check: HttpCheck) -> Stream:
    secure = TlsStream(stream, server_name(host), verify=check.verify)
    try:
        await secure.handshake()
    except OSError as error:
        raise CheckFailed("TLS: closed during the handshake") from error
    return secure


def server_name(host: str) -> str:
    """The name in a certificate for the header Host: without a port or brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0] if host.count(":") == 1 else host


def _request(path: str, host: str) -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: lbctl-health\r\n"
        f"Accept: */*\r\nConnection: close\r\n\r\n"
    ).encode("ascii")


class Answer:
    """An answer while it comes in; httptools calls the methods that begin with `on_`."""

    def __init__(self, check: HttpCheck) -> None:
        self._check = check
        self._text = check.body.encode() if check.body else b""
        self._parser = httptools.HttpResponseParser(self)
        self._size = 0
        self._body = bytearray()
        self._ended = False
        self.status = 0  # of the final answer; 0 until its headers are complete
        self._found = not self._text

    def on_headers_complete(self) -> None:
        """Note the status, unless another answer follows this one."""
        status = self._parser.get_status_code()
        if status >= 200 or status == SWITCHING:
            self.status = status

    def on_body(self, data: bytes) -> None:
        """Look for the text, also across two pieces."""
        if not self._found and len(self._body) < ENOUGH:
            begin = max(0, len(self._body) - len(self._text) + 1)
            self._body += data[: ENOUGH - len(self._body)]
            self._found = self._body.find(self._text, begin) >= 0

    def on_message_complete(self) -> None:
        """Note that no more body comes."""
        self._ended = self.status > 0

    @property
    def decided(self) -> bool:
        """Whether more bytes cannot change the judgement."""
        if not self.status:
            return self._ended
        enough = self._found or self._ended or len(self._body) >= ENOUGH
        return enough or not self._check.accepts(self.status)

    def take(self, data: bytes) -> None:
        """Read on; no bytes are the end.  Raises CheckFailed for what is not HTTP."""
        if not data:
            self._ended = True
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._ended = True
        except httptools.HttpParserError as error:
            if not self.decided:  # what follows an answer does not matter
                raise CheckFailed("the answer is not HTTP") from error
        self._size += len(data)
        if not self.status and self._size >= ENOUGH:
            raise CheckFailed(f"no end of the headers in {ENOUGH >> 10} KiB")

    def judge(self) -> str:
        """The status.  Raises CheckFailed unless the check accepts the answer."""
        if not self.status:
            raise CheckFailed(
                "closed before an answer" if not self._size else "closed in mid-answer"
            )
        if not self._check.accepts(self.status):
            raise CheckFailed(f"status {self.status}, wanted {self._check.status}")
        if not self._found:
            raise CheckFailed(f"{self._check.body!r} is not in the body")
        return str(self.status)
