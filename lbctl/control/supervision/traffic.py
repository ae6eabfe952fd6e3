"""
The observed traffic: new connections of every back-end over the last half minute.

Pure: it is told the totals that the data path has counted, and when.  A back-end that serves
several pools is counted in each for itself.
"""

from __future__ import annotations

from collections import deque
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lbctl.control.standing import Key

WINDOW = 30.0  # seconds of the measured share
RECENT = 3.0  # seconds of the rate of new connections
ENOUGH = 20  # connections of a pool, for a share that means something


class Totals(NamedTuple):
    """What was counted of one back-end so far; numbers that only grow, or start over at 0."""

    connections: int = 0
    retries: int = 0  # SYNs that were sent again, for it was silent
    resets: int = 0  # in the place of an answer to a SYN
    answers: int = 0

    def __add__(self, other: tuple[int, ...]) -> Totals:  # type: ignore[override]
        """Both together."""
        return Totals(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class _Sample(NamedTuple):
    """What was new at one time, within so many seconds."""

    time: float
    seconds: float
    connections: int


class ObservedTraffic:
    """The new connections of all back-ends within the window."""

    def __init__(self) -> None:
        self._last: dict[Key, tuple[float, int]] = {}
        self._samples: dict[Key, deque[_Sample]] = {}
        self._sums: dict[Key, int] = {}  # of their connections

    def observe(self, now: float, totals: Mapping[Key, Totals]) -> None:
        """Take note of the totals at *now*; whoever is not there any more is forgotten."""
        for key in self._last.keys() - totals.keys():
            del self._last[key]
            self._samples.pop(key, None)
            self._sums.pop(key, None)
        for key, total in totals.items():
            known = self._last.get(key)
            self._last[key] = (now, total.connections)
            if known is None:
                continue
            grown = total.connections - known[1]
            samples = self._samples.setdefault(key, deque())
            new = grown if grown >= 0 else total.connections
            samples.append(_Sample(now, now - known[0], new))
            while samples[0].time < now - WINDOW:
                new -= samples.popleft().connections
            self._sums[key] = self._sums.get(key, 0) + new

    def rate(self, key: Key) -> float:
        """New connections a second, lately."""
        samples = self._samples.get(key)
        if not samples:
            return 0.0
        begin = samples[-1].time - RECENT
        recent = [*takewhile(lambda sample: sample.time > begin, reversed(samples))]
        seconds = sum(sample.seconds for sample in recent)
        return sum(sample.connections for sample in recent) / seconds if seconds else 0.0

    def measured(self, keys: Sequence[Key]) -> list[float | None]:
        """The part of their new connections that each of *keys* got; None: too few to tell."""
        counts = [self._sums.get(key, 0) for key in keys]
        whole = sum(counts)
        return [count / whole if whole >= ENOUGH else None for count in counts]
