"""
The arrivals: requests that come when they come, whoever still waits for an answer.

An open loop, as many independent users make it: Poisson arrivals, each request a connection of its
own, and its time counts from the moment at which it was due.  `Arrivals` starts it in clients'
namespaces, as `python -m bench.support.arrivals`, and reads what became of every request.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from lbctl.errors import LbctlError
from lbctl.testbed.load import ports
from lbctl.testbed.request import Connection, Target

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from lbctl.testbed import Testbed

_MODULE = "bench.support.arrivals"
_PATIENCE = 30.0  # seconds beyond the last request's own


class Request(NamedTuple):
    """
    One request: when it was due, and how long it took from then on.

    *due* is by the monotonic clock, which all processes share.  *failure*: "" if it was answered.
    """

    due: float
    seconds: float
    server: str
    failure: str

    @property
    def end(self) -> float:
        """When its client knew."""
        return self.due + self.seconds


class Arrivals:
    """Requests from all clients of a test bed, *rate* a second together, begun at once."""

    def __init__(self, bed: Testbed, url: str, seconds: float, **options: float) -> None:
        """*options*: rate, seed, timeout."""
        self._bed, self._seconds, self._timeout = bed, seconds, options["timeout"]
        options["rate"] /= len(bed.clients)
        self._running: list[tuple[subprocess.Popen[Any], Path]] = []
        for number, client in enumerate(bed.clients):
            options["seed"] += number
            words = [f"--{key}={value}" for key, value in options.items()]
            command = [sys.executable, "-m", _MODULE, *words, f"--seconds={seconds}", url]
            path = bed.folder / f"arrivals-{client.role}.json"
            with path.open("wb") as output:
                child = bed.popen(client.role, command, stdout=output)
            self._running.append((child, path))

    def finish(self) -> list[Request]:
        """All of them, in the order in which they were due, when the last has ended."""
        found: list[Request] = []
        for child, path in self._running:
            status = child.wait(self._seconds + self._timeout + _PATIENCE)
            if status:
                raise LbctlError(f"a load generator ended with status {status}")
            found += [Request(*row) for row in json.loads(path.read_text(encoding="utf-8"))]
        return sorted(found)


# -- in a client's namespace -------------------------------------------------------------------


def _times(rate: float, seconds: float) -> Iterator[float]:
    """When the requests are due."""
    begin = due = time.monotonic()
    while (due := due + random.expovariate(rate)) < begin + seconds:
        yield due


async def _make(options: argparse.Namespace) -> list[Request]:
    target, sources = Target.parse(options.url), ports()

    async def request(due: float) -> Request:
        outcome = await Connection(target, sources, options.timeout).request(keep=False)
        return Request(due, time.monotonic() - due, outcome.server, outcome.failure)

    begun = []
    for due in _times(options.rate, options.seconds):
        await asyncio.sleep(due - time.monotonic())
        begun.append(asyncio.create_task(request(due)))
    return await asyncio.gather(*begun)


def main() -> None:
    """Read the command line, make the requests, write them down."""
    parser = argparse.ArgumentParser(prog=_MODULE, description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--rate", type=float, required=True, help="requests a second")
    parser.add_argument("--seconds", type=float, required=True, help="how long to begin them")
    parser.add_argument("--timeout", type=float, required=True, help="seconds for each")
    parser.add_argument("--seed", type=float, default=0, help="the same arrivals and ports again")
    options = parser.parse_args()
    random.seed(options.seed)
    json.dump(asyncio.run(_make(options)), sys.stdout)


if __name__ == "__main__":
    main()
