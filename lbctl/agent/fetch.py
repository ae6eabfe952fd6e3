"""
The fetch: ask an application of this host by HTTP, within bounds of time and size.

One GET by HTTP/1.0, so that nobody answers in chunks or keeps the connection.  asyncio and not
http.client, because an answer that drips would hold a thread for ever; this one ends in time.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from functools import cache
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from lbctl.agent.readings import TIMEOUT, SourceError
from lbctl.errors import UsageError

MAX_HEADER = 16384
MAX_BODY = 4 << 20  # a large exporter has 1 MiB
PORTS = {"http": 80, "https": 443}


class Url(NamedTuple):
    """Where to ask."""

    text: str
    host: str
    port: int
    target: str
    tls: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a URL.  Raises UsageError."""
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port or PORTS[parts.scheme]
        except (ValueError, KeyError):
            host, port = None, 0
        if not host or not re.fullmatch(r"[\x21-\x7e]+", text):
            raise UsageError(f"{text!r} is not a URL such as http://127.0.0.1:9100/metrics")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(text, host, port, target, parts.scheme == "https")


async def fetch(url: Url, timeout: float = TIMEOUT) -> str:  # noqa: ASYNC109 - of all of it
    """Give the body of the answer.  Raises SourceError."""
    try:
        async with asyncio.timeout(timeout):
            return (await _get(url)).decode(errors="replace")
    except TimeoutError:
        raise SourceError(f"{url.text}: no answer within {timeout:g} s") from None
    except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as err:
        raise SourceError(f"{url.text}: {getattr(err, 'strerror', None) or err}") from None


async def _get(url: Url) -> bytes:
    tls = _authorities() if url.tls else None
    reader, writer = await asyncio.open_connection(url.host, url.port, limit=MAX_HEADER, ssl=tls)
    try:
        host = f"[{url.host}]" if ":" in url.host else url.host
        writer.write(
            f"GET {url.target} HTTP/1.0\r\nHost: {host}:{url.port}\r\n"
            f"Accept: text/plain\r\nConnection: close\r\n\r\n".encode()
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        _require_plain(head)
        return await _body(reader, head)
    finally:
        writer.transport.abort()


@cache
def _authorities() -> ssl.SSLContext:
    """Read the certificates of the system once: it takes longer than a request."""
    return ssl.create_default_context()


def _require_plain(head: str) -> None:
    status = re.match(r"HTTP/1\.[01] (\d{3})", head)
    if not status:
        raise ValueError("the answer is not HTTP")
    if status[1] != "200":
        raise ValueError(f"the answer is status {status[1]}, not 200")
    if re.search(r"^transfer-encoding:", head, re.IGNORECASE | re.MULTILINE):
        raise ValueError("the answer comes in chunks, though it was asked for by HTTP/1.0")


async def _body(reader: asyncio.StreamReader, head: str) -> bytes:
    """Read to the end, or as much as was announced."""
    told = re.search(r"^content-length:\s*(\d+)\s*$", head, re.IGNORECASE | re.MULTILINE)
    length = int(told[1]) if told and len(told[1]) < 20 else None
    parts: list[bytes] = []
    size = 0
    while length is None or size < length:
        part = await reader.read(65536)
        if not part:
            break
        parts.append(part)
        size += len(part)
        if size > MAX_BODY:
            raise ValueError(f"the answer has more than {MAX_BODY} bytes")
    if length is not None and size < length:
        raise ValueError(f"the answer ended after {size} of {length} bytes")
    return b"".join(parts)
