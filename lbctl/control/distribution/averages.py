"""
The averages: one back-end's figures, smoothed; what the schedulers see of it.

Exponentially weighted moving averages with a time constant, whatever the distance of the samples.
The share is averaged as the load is, late in the same way, so that the two belong together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp
from typing import TYPE_CHECKING

from lbctl.agent.wire import LoadReport
from lbctl.control.schedulers.loads import load
from lbctl.control.schedulers.server import Server

if TYPE_CHECKING:
    from lbctl.control.distribution.member import Member

SMOOTHED = ("cpu", "memory", "utilization", "requests_per_second", "execution_seconds", "weight")
AGENT_LAG = 4.0  # seconds: the agent's own averages, and the way to us
CONNECTIONS_LAG = 3.0  # seconds at most: longer, and the connection schedulers would swing
OUTLIER = 4.0  # times the average: the most that one response time counts for
HASTE = 1 / 2  # of the time constant, for a report that says "full": that server cannot wait
FULL = 0.9  # of a load: from here on it says little of how much more is asked for
SAME = 1e-3  # seconds: two arrivals nearer than this are one


@dataclass(slots=True)
class Averages:
    """
    What is remembered of one back-end.

    *given* is the share it has now, *lagged* that share as its agent would have averaged it, and
    *share* the average of *lagged* at the times of the reports.
    """

    now: float
    connections: float
    new_connections: float
    given: float = 0.0
    lagged: float = 0.0
    share: float = 0.0
    report: LoadReport | None = None
    arrival: float | None = None
    response_seconds: float | None = None

    @classmethod
    def start(cls, now: float, member: Member) -> Averages:
        """Begin with the first that is seen of *member*, which had nothing up to now."""
        known = cls(now, member.connections, member.new_connections)
        known.update(now, member, 0.0)
        return known

    def update(self, now: float, member: Member, smoothing: float) -> None:
        """Take in what *member* is at *now*; *smoothing* is the time constant in seconds."""
        passed = max(now - self.now, 0.0)
        self.now = now
        self.lagged += _part(passed, AGENT_LAG) * (self.given - self.lagged)
        new = _part(passed, min(smoothing, CONNECTIONS_LAG))
        self.connections += new * (member.connections - self.connections)
        new = _part(passed, smoothing)
        self.new_connections += new * (member.new_connections - self.new_connections)
        self._respond(member.response_seconds, new)
        self._hear(now, member, smoothing)
        if self.report is None:  # nothing else says which share the figures belong to
            self.share += new * (self.lagged - self.share)

    def server(self, member: Member, weight: float) -> Server:
        """
        Say it as the schedulers want it.

        The load of a server that has had little so far says little of how it would bear its share.
        One that is full would be full with less, too: its load belongs to the share it has now.
        """
        tried = min(1.0, self.share / self.given) if self.given > 0 else 1.0
        server = Server(
            name=str(member.address),
            weight=weight,
            connections=self.connections,
            new_connections=self.new_connections,
            report=self.report,
            report_trust=member.trust * tried,
            response_seconds=self.response_seconds,
            share=tried * self.share + (1 - tried) * self.given,
        )
        full = min(max(((load(server) or 0.0) - FULL) / (1 - FULL), 0.0), 1.0)
        now = min(server.share, self.given)
        return server._replace(share=server.share + full * (now - server.share))

    def _respond(self, seconds: float | None, new: float) -> None:
        old = self.response_seconds
        if seconds is None or old is None:
            self.response_seconds = seconds
        else:
            self.response_seconds = old + new * (min(seconds, OUTLIER * old) - old)

    def _hear(self, now: float, member: Member, smoothing: float) -> None:
        """Average in a report that was not there before."""
        if member.report is None or member.report_age is None:
            self.report = self.arrival = None
            return
        arrival = now - member.report_age
        if self.report is None or self.arrival is None:
            self.report, self.share = member.report, self.lagged
        elif arrival > self.arrival + SAME:
            if _is_full(member.report):
                smoothing *= HASTE
            new = _part(arrival - self.arrival, smoothing)
            self.report = _between(self.report, member.report, new)
            self.share += new * (self.lagged - self.share)
        else:
            return
        self.arrival = arrival


def _part(passed: float, constant: float) -> float:
    """The part of an average that is new after *passed* seconds, with that time constant."""
    return 1.0 - exp(-passed / constant) if constant > 0 else 1.0


def _is_full(report: LoadReport) -> bool:
    """Whether CPU or utilization say that there is hardly any more to be had."""
    return max(report.cpu or 0.0, report.utilization or 0.0) >= FULL


def _between(old: LoadReport, new: LoadReport, part: float) -> LoadReport:
    """Average every figure that both reports tell; the rest is as in the new one."""
    smoothed = {}
    for name in SMOOTHED:
        before, after = getattr(old, name), getattr(new, name)
        if before is not None and after is not None:
            smoothed[name] = before + part * (after - before)
    return replace(new, **smoothed)
