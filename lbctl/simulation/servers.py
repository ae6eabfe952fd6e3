"""
The servers: a model of a back-end with one queue, other work beside it, and a load agent.

A queue with one server (M/M/1) as a fluid, after W.-P. Wang, D. Tipper and S. Banerjee, "A Simple
Approximation for Modeling Nonstationary Queues", INFOCOM 1996: of x requests inside, the
server finishes capacity * x / (1 + x) a second.  That is exact where nothing changes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import exp, sqrt

from lbctl.agent.wire import LoadReport

STEPS = 10  # of the fluid in a second
AGENT_AVERAGE = 3.0  # seconds: time constant of the agent's averages
AGENT_FULL, AGENT_HASTE = 0.95, 3.0  # a CPU in use so far is believed so many times sooner
DELAY = 1.0  # seconds from a report to the distributor
STARVED = 0.02  # of its CPU a server gets, however much else runs there


@dataclass(slots=True)
class Server:
    """One back-end; *capacity* is in requests a second, and *hog* the CPU that other work takes."""

    name: str
    capacity: float
    weight: int = 1
    hog: float = 0.0
    memory: float | None = None
    inside: float = 0.0  # requests
    busy: float = 0.0  # part of the CPU in use, now
    rate: float = 0.0  # requests a second that came
    cpu: float | None = None  # busy, as the agent averages it
    reports: deque[tuple[float, LoadReport]] = field(default_factory=deque)

    @property
    def seconds(self) -> float:
        """How long a request takes that comes now."""
        return (self.inside + 1) / self._speed

    @property
    def _speed(self) -> float:
        return self.capacity * max(1 - self.hog, STARVED)

    def run(self, now: float, arrivals: float, seconds: float) -> None:
        """Serve *arrivals* that come evenly in *seconds*, and make a report of it at *now*."""
        count = max(1, round(STEPS * seconds))
        part = seconds / count
        self.rate = arrivals / seconds
        for _ in range(count):
            self.inside = _later(self.inside, self.rate * part, self._speed * part)
        self.busy = min(1.0, self.hog + (1 - self.hog) * self.inside / (1 + self.inside))
        self._report(now, seconds)

    def heard(self, now: float) -> tuple[LoadReport | None, float | None]:
        """The last report that has arrived, and its age."""
        while len(self.reports) > 1 and self.reports[1][0] + DELAY <= now:
            self.reports.popleft()
        if not self.reports or self.reports[0][0] + DELAY > now:
            return None, None
        return self.reports[0][1], now - self.reports[0][0]

    def _report(self, now: float, seconds: float) -> None:
        haste = AGENT_HASTE if self.busy >= AGENT_FULL else 1
        new = 1 - exp(-seconds * haste / AGENT_AVERAGE)
        before = self.busy if self.cpu is None else self.cpu
        self.cpu = before + new * (self.busy - before)
        report = LoadReport(
            cpu=self.cpu,
            memory=self.memory,
            clients=round(self.inside),
            requests_per_second=self.rate,
            execution_seconds=self.seconds,
        )
        self.reports.append((now, report))


def _later(inside: float, come: float, could_go: float) -> float:
    """
    How many requests are inside after *come* have come, and at most *could_go* gone.

    Implicit Euler, the positive root of x = inside + come - could_go * x / (1 + x): an explicit
    step would overshoot, because a queue empties much faster than a step is long.
    """
    most = inside + come
    half = (most - could_go - 1) / 2
    return half + sqrt(half * half + most)
