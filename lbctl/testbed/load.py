"""
The load generator: many HTTP requests, and an honest account of what became of each.

Started inside a client's namespace as `python -m lbctl.testbed.load --requests 1000 URL...`; it
prints its progress as JSON lines and its account as the last of them.  A request that fails is
never repeated and never left out; the exit status is 1 if there was one.  SIGTERM ends it: what is
under way is finished and counted.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from lbctl.testbed.account import Account
from lbctl.testbed.request import Connection, Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FIRST_PORT, LAST_PORT = 1024, 65535


def ports() -> Iterator[int]:
    """Source ports in an order of their own, each once before any is used again."""
    every = list(range(FIRST_PORT, LAST_PORT + 1))
    random.shuffle(every)
    while True:
        yield from every


class Load:
    """What is asked for, and how far it has got."""

    def __init__(self, targets: Sequence[Target], options: argparse.Namespace) -> None:
        self.account = Account()
        self._targets = targets
        self._options = options
        self._ports = ports()
        self._taken = 0
        self._begun = 0
        self._start = time.monotonic()
        self._stopping = False

    def stop(self) -> None:
        """Begin no further request."""
        self._stopping = True

    def _take(self) -> int | None:
        """The number of the next request; None: there is none."""
        wanted, seconds = self._options.requests, self._options.seconds
        if self._stopping or (wanted and self._taken >= wanted):
            return None
        if seconds and time.monotonic() - self._start >= seconds:
            return None
        self._taken += 1
        return self._taken - 1

    async def _pace(self, number: int) -> None:
        """Wait for the moment at which the request is due."""
        if rate := self._options.rate:
            await asyncio.sleep(self._start + number / rate - time.monotonic())

    async def work(self) -> None:
        """Make one request after the other."""
        connections: dict[Target, Connection] = {}
        while (number := self._take()) is not None:
            await self._pace(number)
            if self._stopping:
                break
            self._begun += 1
            target = self._targets[number % len(self._targets)]
            connection = connections.pop(target, None) or Connection(
                target, self._ports, self._options.timeout
            )
            outcome = await connection.request(keep=self._options.keep_alive)
            self.account.add(outcome)
            if connection.is_open:
                connections[target] = connection
        for connection in connections.values():
            connection.close()

    async def report(self) -> None:
        """Print progress until cancelled: at once, for then it can be told to stop."""
        while True:
            emit({"type": "progress", "begun": self._begun, **self.account.progress()})
            await asyncio.sleep(self._options.interval)

    async def run(self) -> None:
        """All of it."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        reporter = asyncio.create_task(self.report())
        workers = min(self._options.concurrency, self._options.requests or sys.maxsize)
        await asyncio.gather(*(self.work() for _ in range(workers)))
        reporter.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reporter
        emit(
            {
                "type": "result",
                "begun": self._begun,
                **self.account.result(time.monotonic() - self._start),
            }
        )


def emit(line: dict[str, Any]) -> None:
    """Print one JSON line at once."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="lbctl.testbed.load", description=__doc__)
    parser.add_argument("urls", nargs="+", metavar="URL", help="taken in turns")
    parser.add_argument("--requests", type=int, default=0, help="how many; 0: until stopped")
    parser.add_argument("--seconds", type=float, default=0, help="how long; 0: until done")
    parser.add_argument("--concurrency", type=int, default=8, help="requests under way at once")
    parser.add_argument("--rate", type=float, default=0, help="a second; 0: as fast as it goes")
    parser.add_argument("--keep-alive", action="store_true", help="many requests a connection")
    parser.add_argument("--timeout", type=float, default=5, help="seconds for one request")
    parser.add_argument("--interval", type=float, default=0.5, help="seconds between reports")
    return parser.parse_args(arguments)


def main() -> None:
    """Read the command line, make the requests, tell."""
    options = parse()
    load = Load([Target.parse(url) for url in options.urls], options)
    asyncio.run(load.run())
    sys.exit(1 if load.account.failed else 0)


if __name__ == "__main__":
    main()
