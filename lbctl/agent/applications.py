"""
The application sources: figures from a JSON file, a Unix socket with JSON, or nginx's stub status.

JSON has the names of LoadReport, and is checked as strictly as what comes from the network.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import TYPE_CHECKING

from lbctl.agent.fetch import Url, fetch
from lbctl.agent.readings import TIMEOUT, Growth, SourceError, checked, read_small
from lbctl.agent.wire import MAX_BYTES, LoadReport

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STUB = re.compile(
    r"Active connections:\s*(\d+)\s+server accepts handled requests\s+\d+\s+\d+\s+(\d+)"
)


def read_json(source: str, data: bytes) -> LoadReport:
    """Read a report of an application.  Raises SourceError."""
    try:
        figures = json.loads(data.decode())
    except (ValueError, RecursionError) as err:
        raise SourceError(f"{source}: not JSON: {err}") from None
    return checked(source, figures)


class JsonFileProbe:
    """A file that the application writes, best by renaming a new one over it."""

    def __init__(
        self,
        path: Path,
        interval: float,
        max_age: float,
        clock: Callable[[], float] = time.time,  # files have the time of the wall
    ) -> None:
        self.name = str(path)
        self.interval = interval
        self._path = path
        self._max_age = max_age
        self._clock = clock

    async def sample(self) -> LoadReport:
        """Read it.  Raises SourceError, also when it was not written for long."""
        try:
            data, status = read_small(self._path, MAX_BYTES)
        except OSError as err:
            raise SourceError(f"{self.name}: {err.strerror}") from None
        age = self._clock() - status.st_mtime
        if age > self._max_age:
            raise SourceError(
                f"{self.name}: written {age:.0f} s ago; is the application running? "
                f"--json-max-age is {self._max_age:g}"
            )
        return read_json(self.name, data)


class JsonSocketProbe:
    """A Unix socket on which the application writes its figures and closes."""

    def __init__(self, path: Path, interval: float) -> None:
        self.name = str(path)
        self.interval = interval
        self._path = path

    async def sample(self) -> LoadReport:
        """Connect and read to the end.  Raises SourceError."""
        try:
            async with asyncio.timeout(TIMEOUT):
                data = await self._read()
        except TimeoutError:
            raise SourceError(f"{self.name}: no answer within {TIMEOUT:g} s") from None
        except OSError as err:
            raise SourceError(f"{self.name}: {err.strerror or err}") from None
        return read_json(self.name, data)

    async def _read(self) -> bytes:
        reader, writer = await asyncio.open_unix_connection(self._path)
        try:
            data = b""
            while part := await reader.read(MAX_BYTES):
                data += part
                if len(data) > MAX_BYTES:
                    raise SourceError(f"{self.name}: more than {MAX_BYTES} bytes")
            return data
        finally:
            writer.transport.abort()


class StubStatusProbe:
    """The page of nginx's ngx_http_stub_status_module: active connections and requests."""

    def __init__(
        self, url: Url, interval: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = url.text
        self.interval = interval
        self._url = url
        self._clock = clock
        self._elapsed, self._requests = Growth(), Growth()

    async def sample(self) -> LoadReport:
        """Ask; the rate of requests needs two looks.  Raises SourceError."""
        match = STUB.search(await fetch(self._url))
        if not match:
            raise SourceError(f"{self.name}: not a stub status; see `curl {self.name}`")
        elapsed = self._elapsed.since(self._clock())
        grown = self._requests.since(float(match[2]))
        rate = grown / elapsed if grown is not None and elapsed else None
        return checked(self.name, {"clients": int(match[1]), "requests_per_second": rate})
