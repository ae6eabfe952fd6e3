"""
The Prometheus source: read an application's own figures from its metrics.

A counter tells requests per second, a gauge the clients or the utilization, and the `_sum` and
`_count` of a histogram or summary the mean execution time between two looks.
"""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING, NamedTuple, Self

from lbctl.agent.fetch import Url, fetch
from lbctl.agent.readings import Growth, SourceError, checked
from lbctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lbctl.agent.wire import LoadReport

# The package prometheus_client has a parser, but it brings a whole client library to a server,
# and it reads every line of an exporter with thousands where three are wanted.
LABELS = r'\{(?P<labels>(?:[^"}]|"(?:[^"\\]|\\.)*")*)\}'
VALUE = r"(?P<value>[^\s{]\S*)"
SAMPLE = re.compile(rf"(?P<name>[a-zA-Z_:][\w:]*)\s*(?:{LABELS})?\s*{VALUE}", re.ASCII)
LABEL = re.compile(r'([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"', re.ASCII)
METRIC = re.compile(rf"(?P<name>[a-zA-Z_:][\w:]*)(?:{LABELS})?", re.ASCII)
ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}

log = logging.getLogger(__name__)


class Metric(NamedTuple):
    """The samples that are added up: those of a name that have these labels."""

    name: str
    labels: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``name`` or ``name{label="value"}``.  Raises UsageError."""
        match = METRIC.fullmatch(text)
        labels = read_labels(match["labels"]) if match else frozenset()
        if not match or bool(match["labels"]) != bool(labels):
            raise UsageError(f'{text!r} is not a metric such as http_requests_total{{code="200"}}')
        return cls(match["name"], labels)

    def __str__(self) -> str:
        labels = ",".join(f'{name}="{value}"' for name, value in sorted(self.labels))
        return f"{self.name}{{{labels}}}" if labels else self.name


def read_labels(text: str | None) -> frozenset[tuple[str, str]]:
    """Read what stands in the braces."""
    return frozenset(
        (name, re.sub(r"\\.", lambda escape: ESCAPES.get(escape[0], escape[0]), value))
        for name, value in LABEL.findall(text or "")
    )


def totals(text: str, metrics: Iterable[Metric]) -> dict[Metric, float]:
    """
    Add up the samples of each metric in *text*, the text format of Prometheus.

    A metric without any sample is left out.  A line that cannot be read counts for nothing.
    """
    wanted = tuple(metrics)
    names = tuple({metric.name for metric in wanted})
    found: dict[Metric, float] = {}
    for line in text.splitlines():
        if not line.startswith(names) or not (match := SAMPLE.match(line)):
            continue
        labels = read_labels(match["labels"])
        for metric in wanted:
            if metric.name == match["name"] and metric.labels <= labels:
                found[metric] = found.get(metric, 0.0) + _number(match["value"])
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")  # it will be refused where it is used


class Metrics(NamedTuple):
    """Which metric tells which figure; None: none."""

    requests: Metric | None = None  # a counter
    clients: Metric | None = None  # a gauge
    execution: Metric | None = None  # a histogram or summary, without _sum and _count
    utilization: Metric | None = None  # a gauge, 0 to 1


class PrometheusProbe:
    """The figures of an application that has a Prometheus endpoint."""

    def __init__(
        self,
        url: Url,
        metrics: Metrics,
        interval: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = url.text
        self.interval = interval
        self._url = url
        self._metrics = metrics
        self._clock = clock
        self._sum, self._count = (
            metrics.execution and metrics.execution._replace(name=metrics.execution.name + suffix)
            for suffix in ("_sum", "_count")
        )
        chosen = (metrics.requests, metrics.clients, metrics.utilization, self._sum, self._count)
        self._wanted = [metric for metric in chosen if metric]
        self._missed: set[Metric] = set()
        self._elapsed, self._requests = Growth(), Growth()
        self._seconds, self._executed = Growth(), Growth()

    async def sample(self) -> LoadReport:
        """Ask; rates and means need two looks.  Raises SourceError."""
        found = totals(await fetch(self._url), self._wanted)
        self._tell_missing(found)
        clients = self._value(found, self._metrics.clients)
        return checked(
            self.name,
            {
                "requests_per_second": self._rate(found),
                "clients": None if clients is None else self._whole(clients),
                "execution_seconds": self._mean(found),
                "utilization": self._value(found, self._metrics.utilization),
            },
        )

    def _value(self, found: dict[Metric, float], metric: Metric | None) -> float | None:
        return None if metric is None else found.get(metric)

    def _whole(self, value: float) -> int:
        try:
            return round(value)
        except (ValueError, OverflowError):
            raise SourceError(f"{self.name}: {self._metrics.clients} is {value}") from None

    def _rate(self, found: dict[Metric, float]) -> float | None:
        elapsed = self._elapsed.since(self._clock())
        grown = self._requests.since(self._value(found, self._metrics.requests))
        return grown / elapsed if grown is not None and elapsed else None

    def _mean(self, found: dict[Metric, float]) -> float | None:
        """Mean of those that ended since the last look; None where none did."""
        seconds = self._seconds.since(self._value(found, self._sum))
        count = self._executed.since(self._value(found, self._count))
        return seconds / count if seconds is not None and count else None

    def _tell_missing(self, found: dict[Metric, float]) -> None:
        """Warn once of a metric that is not there: it may be yet to come, or misspelt."""
        for metric in self._wanted:
            if metric not in found and metric not in self._missed:
                self._missed.add(metric)
                log.warning("%s: has no metric %s; is it spelt so?", self.name, metric)
