"""
The account: what became of every request, by server and by reason.

Pure counting; `load` fills it, and whoever started the load reads it back from JSON.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

REMEMBERED = 20  # failures that are told one by one


class Outcome(NamedTuple):
    """One request: who answered or what went wrong, how long it took, and its source port."""

    server: str
    failure: str
    seconds: float
    port: int


@dataclass
class Account:
    """Counts of outcomes."""

    servers: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    examples: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    @property
    def ok(self) -> int:
        """Requests that were answered, rightly and whole."""
        return self.servers.total()

    @property
    def failed(self) -> int:
        """Requests that were not."""
        return self.failures.total()

    def add(self, outcome: Outcome) -> None:
        """Count one request."""
        if not outcome.failure:
            self.servers[outcome.server] += 1
            self.times.append(outcome.seconds)
            return
        self.failures[outcome.failure] += 1
        if len(self.examples) < REMEMBERED:
            self.examples.append(outcome._asdict())

    def progress(self) -> dict[str, Any]:
        """How far it has got."""
        return {
            "ok": self.ok,
            "failed": self.failed,
            "servers": dict(self.servers),
            "failures": dict(self.failures),
        }

    def result(self, seconds: float) -> dict[str, Any]:
        """The whole account; times are in milliseconds."""
        return {
            **self.progress(),
            "requests": self.ok + self.failed,
            "seconds": round(seconds, 3),
            "latency_ms": self._latency(),
            "first_failures": self.examples,
        }

    def _latency(self) -> dict[str, float]:
        if not self.times:
            return {}
        ordered = sorted(self.times)
        last = len(ordered) - 1
        at = {"p50": last // 2, "p99": last * 99 // 100, "max": last}
        return {name: round(1000 * ordered[index], 3) for name, index in at.items()}
