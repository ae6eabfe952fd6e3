"""
The readings: what a probe is, and the little sums that all of them need.

A probe looks at one thing, the machine or an application, and tells what it saw as a LoadReport
with the rest left out.  `merge` makes one report of several.  Nothing here knows any probe.
"""

from __future__ import annotations

import math
import os
import stat
from typing import TYPE_CHECKING, Protocol

from lbctl.agent.wire import LIMITS, BadReport, LoadReport, Wish, decode_report, not_waiting
from lbctl.errors import LbctlError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

TIMEOUT = 1.0  # seconds that an application may take to answer
GRAVITY = (Wish.UP, Wish.DRAIN, Wish.MAINT, Wish.DOWN)


class SourceError(LbctlError):
    """What should tell figures is not there, or what it tells is no figures."""


class Probe(Protocol):
    """One thing that is looked at again and again."""

    name: str  # of what is looked at, for logs and metrics
    interval: float  # seconds between two looks

    async def sample(self) -> LoadReport:
        """Look now.  Raises SourceError."""


class Average:
    """An average in which what is old fades: after *seconds* an old value counts for 1/e."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._value: float | None = None

    def add(self, value: float, elapsed: float) -> float:
        """Take in what was seen over the last *elapsed* seconds; give the average."""
        if self._value is None:
            self._value = value
        self._value += (value - self._value) * (1 - math.exp(-elapsed / self._seconds))
        return self._value


class Growth:
    """How much a counter has grown between two looks."""

    def __init__(self) -> None:
        self._last: float | None = None

    def since(self, value: float | None) -> float | None:
        """Give the growth since the last look; None at first, and when it was set back."""
        last, self._last = self._last, value
        if last is None or value is None or not value >= last:
            return None
        return value - last


def merge(reports: Iterable[LoadReport]) -> LoadReport:
    """
    Make one report: of each figure the first that is told, of the wishes the gravest.

    Connections are put together port by port.
    """
    told = list(reports)
    figures = {
        name: next((v for r in told if (v := getattr(r, name)) is not None), None)
        for name in (*LIMITS, "clients")
    }
    wishes = [(GRAVITY.index(r.wish), r) for r in told if r.wish is not None]
    gravest = max(wishes, key=lambda wish: wish[0])[1] if wishes else LoadReport()
    return LoadReport(
        **figures,
        connections={port: n for r in reversed(told) for port, n in r.connections.items()},
        wish=gravest.wish,
        reason=gravest.reason,
    )


def checked(source: str, figures: Mapping[str, object]) -> LoadReport:
    """Make a report of *figures* as an application told them.  Raises SourceError."""
    try:
        return decode_report(figures)
    except BadReport as err:
        raise SourceError(f"{source}: {err}") from None


def read_small(path: Path, limit: int) -> tuple[bytes, os.stat_result]:
    """
    Read a regular file of up to *limit* bytes that others write; never wait for it.

    Raises OSError, or SourceError for what is no such file.
    """
    with open(path, "rb", opener=not_waiting) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise SourceError(f"{path}: not a regular file")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise SourceError(f"{path}: more than {limit} bytes")
    return data, status
