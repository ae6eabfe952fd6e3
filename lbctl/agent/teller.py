"""
The teller: what the agent says when it is asked, as statement, metrics or one line.

It puts together what the probes saw and what the administrator wants.  Who asks, and over what,
it does not know.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from lbctl import __version__
from lbctl.agent.readings import merge
from lbctl.agent.wire import LoadReport, Statement, Wish, seal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lbctl.agent.sampler import Sampler
    from lbctl.agent.state import StateFile

NAMES = {  # of a report's figures; by the conventions of Prometheus a part of 1 is a ratio
    "cpu": ("cpu_ratio", "CPU in use, as a part of the machine or of the cgroup's quota."),
    "memory": ("memory_ratio", "Memory in use, as a part of the machine or the cgroup's limit."),
    "utilization": ("utilization_ratio", "The application's own figure of how busy it is."),
    "requests_per_second": ("requests_per_second", "Requests that the application serves."),
    "execution_seconds": ("execution_seconds", "Mean execution time of a request."),
    "weight": ("weight_ratio", "Factor on the configured weight that is asked for."),
    "clients": ("clients", "Clients being served."),
}
KINDS = ("report", "metrics", "agent_check", "refused", "push")


class Teller:
    """Everything that the agent says."""

    def __init__(
        self,
        sampler: Sampler,
        state: StateFile,
        key: bytes | None,
        name: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.key = key
        self.name = name
        self.told: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
        self._sampler = sampler
        self._state = state
        self._clock = clock

    def report(self) -> LoadReport:
        """Give the figures that are fresh, and the graver wish of administrator and application."""
        state, _ = self._state.current()
        wish = LoadReport(wish=state.wish, reason=state.reason)
        return merge([wish, self._sampler.report()])

    def statement(self, key: bytes, nonce: str, name: str) -> bytes:
        """Give a sealed statement by *name*, unless the agent was given another."""
        return seal(key, Statement(self.name or name, self._clock(), nonce, self.report()))

    def check_line(self) -> str:
        """
        Give the line of HAProxy's agent check, such as ``75% up``.

        HAProxy remembers drain and maint until it hears "ready".  It is said only while an
        administrator has set "up" here, because it also ends what one has set there.
        """
        report = self.report()
        if report.wish is not Wish.UP:
            # HAProxy takes a reason for "down" only.
            reason = f" # {report.reason}" if report.reason and report.wish is Wish.DOWN else ""
            return f"{report.wish}{reason}\n"
        _, is_set = self._state.current()
        percent = capacity(report)
        words = ["" if percent is None else f"{percent}%", "up", "ready" if is_set else ""]
        return " ".join(filter(None, words)) + "\n"

    def metrics(self) -> str:
        """Give all of it in the text format of Prometheus."""
        return "".join(f"{line}\n" for line in self._metrics())

    def _metrics(self) -> Iterator[str]:
        report = self.report()
        label = f'version="{__version__}",name="{_escape(self.name or "")}"'
        yield from _metric("info", "gauge", "The agent.", [(label, 1)])
        for field, (name, help_) in NAMES.items():
            value = getattr(report, field)
            yield from _metric(name, "gauge", help_, [] if value is None else [("", value)])
        ports = [(f'port="{port}"', n) for port, n in sorted(report.connections.items())]
        yield from _metric("connections", "gauge", "Established connections by local port.", ports)
        wishes = [(f'wish="{wish}"', int(wish is report.wish)) for wish in Wish]
        yield from _metric("wish", "gauge", "1 for what this server asks for itself.", wishes)
        told = [(f'kind="{kind}"', n) for kind, n in sorted(self.told.items())]
        yield from _metric("answers_total", "counter", "What the agent has told.", told)
        errors = [(f'source="{_escape(k)}"', n) for k, n in sorted(self._sampler.errors.items())]
        yield from _metric("source_errors_total", "counter", "Looks that found nothing.", errors)


def capacity(report: LoadReport) -> int | None:
    """
    Give the weight to ask of HAProxy, in percent; None where nothing tells it.

    The application's own wish, or what is left of its utilization or else of the CPU.  Never 0
    for being busy: that would drain the server.
    """
    if report.weight is not None:
        return round(100 * report.weight)
    busy = report.cpu if report.utilization is None else report.utilization
    return None if busy is None else max(1, round(100 * (1 - busy)))


def _metric(
    name: str, kind: str, help_: str, samples: Iterable[tuple[str, float]]
) -> Iterator[str]:
    """Write a metric and its samples; none where there are none."""
    lines = [f"lbctl_agent_{name}{f'{{{label}}}' if label else ''} {n}" for label, n in samples]
    if lines:
        yield f"# HELP lbctl_agent_{name} {help_}"
        yield f"# TYPE lbctl_agent_{name} {kind}"
        yield from lines


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
