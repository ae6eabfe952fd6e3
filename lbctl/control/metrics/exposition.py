"""
The exposition: samples as lines of text, in the two forms that Prometheus reads.

The text format 0.0.4 and OpenMetrics 1.0 differ in the lines about a metric only, not in its
samples.  prometheus-client writes both as well, but spends 5 microseconds a sample on sorting and
escaping its labels: here a back-end's labels are written once for all its metrics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbctl.control.metrics.catalogue import METRICS, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lbctl.control.metrics.catalogue import Metric

_IN_LABELS = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_IN_HELP = str.maketrans({"\\": r"\\", "\n": r"\n"})


def pairs(names: Sequence[str], values: Sequence[str]) -> str:
    """Labels as they stand in the braces: ``pool="web",vip="203.0.113.10:80/tcp"``."""
    return ",".join(
        f'{name}="{value.translate(_IN_LABELS)}"' for name, value in zip(names, values, strict=True)
    )


class Page:
    """The samples of one scrape."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {metric.name: [] for metric in METRICS}

    def add(self, metric: Metric, value: float, *labels: str) -> None:
        """Add one sample with the values of the metric's labels."""
        text = f"{{{pairs(metric.labels, labels)}}}" if metric.labels else ""
        self._lines[metric.name].append(f"{metric.name}{text} {+value}\n")

    def column(self, metric: Metric, labels: Sequence[str], values: Iterable[float]) -> None:
        """Add many samples: each has its labels as `pairs` writes them, and its value."""
        name = metric.name
        self._lines[name] += [
            f"{name}{{{text}}} {+value}\n" for text, value in zip(labels, values, strict=True)
        ]

    def known(self, metric: Metric, labels: Sequence[str], values: Iterable[float | None]) -> None:
        """Add a sample for each value that is known."""
        found = [(text, v) for text, v in zip(labels, values, strict=True) if v is not None]
        self.column(metric, [text for text, _ in found], [value for _, value in found])

    def text(self, *, openmetrics: bool) -> str:
        """Write all of it, metric by metric; those without a sample are left out."""
        head = _openmetrics_head if openmetrics else _plain_head
        parts = []
        for metric in METRICS:
            if lines := self._lines[metric.name]:
                parts += [*head(metric), *lines]
        return "".join([*parts, "# EOF\n"] if openmetrics else parts)


def _plain_head(metric: Metric) -> Iterator[str]:
    kind = Kind.GAUGE if metric.kind is Kind.INFO else metric.kind
    yield f"# HELP {metric.name} {metric.help.translate(_IN_HELP)}\n"
    yield f"# TYPE {metric.name} {kind}\n"


def _openmetrics_head(metric: Metric) -> Iterator[str]:
    yield f"# HELP {metric.family} {metric.help.translate(_IN_LABELS)}\n"
    yield f"# TYPE {metric.family} {metric.kind}\n"
    if metric.unit:
        yield f"# UNIT {metric.family} {metric.unit}\n"
