"""
The passive watch: keep new connections from servers where they come to nothing.

Pure: it is told what the data path has counted, and when.  Inhibitions grow as those of Envoy's
outlier detection do: each time anew twice as long, up to a limit.

A server that has gone without another inhibition for as long as its last one took, and has served
connections meanwhile, starts again at the shortest: whoever behaved for as long as it was punished
is trusted as before.  A fault that comes back sooner is the same fault.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lbctl.control.health.targets import Key
    from lbctl.model import Passive

DOUBLINGS = 40  # more would be beyond any limit


class Seen(NamedTuple):
    """Connections to a server, and those that came to nothing: totals that only grow."""

    connections: int
    failures: int


class Inhibition(NamedTuple):
    """No new connections until then; *times* counts those that followed closely on each other."""

    until: float
    reason: str
    times: int


class Suspicion(NamedTuple):
    """News of a server: it is inhibited, or (None) released."""

    key: Key
    inhibition: Inhibition | None


class Sample(NamedTuple):
    """What was new at one time."""

    time: float
    connections: int
    failures: int


@dataclass(slots=True)
class _Watched:
    """What is remembered of one server."""

    last: Seen
    samples: deque[Sample] = field(default_factory=deque)  # of the window
    inhibition: Inhibition | None = None  # in force
    times: int = 0
    length: float = 0.0  # of the last inhibition, seconds
    released: float = 0.0
    began: int = 0  # connections since the release
    well: int = 0  # of them, those that did not come to nothing
    on_probation: bool = False


class PassiveWatch:
    """Watches all servers; one thread at a time."""

    def __init__(self) -> None:
        self._watched: dict[Key, _Watched] = {}

    def observe(self, now: float, seen: Mapping[Key, tuple[Seen, Passive]]) -> list[Suspicion]:
        """
        Take note of the totals at *now*, and tell who is newly inhibited or released.

        Whoever is not in *seen* any more is forgotten, and released if need be.
        """
        gone = [(key, self._watched.pop(key)) for key in self._watched.keys() - seen.keys()]
        news = [Suspicion(key, None) for key, watched in gone if watched.inhibition]
        for key, (total, passive) in seen.items():
            watched = self._watched.setdefault(key, _Watched(total))
            if _observe(watched, now, total, passive):
                news.append(Suspicion(key, watched.inhibition))
        return news

    def inhibited(self, key: Key, now: float) -> Inhibition | None:
        """The inhibition of a server, or None."""
        watched = self._watched.get(key)
        found = watched.inhibition if watched else None
        return found if found and now < found.until else None


def _observe(watched: _Watched, now: float, total: Seen, passive: Passive) -> bool:
    """Take note of one server; returns whether its inhibition began or ended."""
    connections, failures = growth(watched.last, total)
    watched.last = total
    if watched.inhibition:
        if now < watched.inhibition.until:
            return False  # what fails now began before: it has been counted for enough
        _release(watched, now)
        return True
    watched.began += connections
    watched.well += max(0, connections - failures)
    _keep(watched, now, Sample(now, connections, failures), passive)
    if _is_suspect(watched, passive):
        _inhibit(watched, now, passive)
        return True
    _trust(watched, now, passive)
    return False


def growth(before: Seen, now: Seen) -> Seen:
    """What was counted since; totals that shrank have started over at 0."""
    if now.connections < before.connections or now.failures < before.failures:
        return now
    return Seen(now.connections - before.connections, now.failures - before.failures)


def _keep(watched: _Watched, now: float, sample: Sample, passive: Passive) -> None:
    watched.samples.append(sample)
    while watched.samples[0].time <= now - passive.window and len(watched.samples) > 1:
        watched.samples.popleft()


def _sums(watched: _Watched) -> Seen:
    """
    Connections and failures within the window.

    A connection is known to have failed only a while after it began: there may be more failures
    than connections, and those were connections, too.
    """
    failures = sum(sample.failures for sample in watched.samples)
    return Seen(max(failures, sum(sample.connections for sample in watched.samples)), failures)


def _is_suspect(watched: _Watched, passive: Passive) -> bool:
    connections, failures = _sums(watched)
    enough = 1 if watched.on_probation else passive.failures
    return failures >= enough and failures >= passive.ratio * connections


def _inhibit(watched: _Watched, now: float, passive: Passive) -> None:
    connections, failures = _sums(watched)
    watched.times += 1
    doubled = passive.inhibit * 2 ** min(watched.times - 1, DOUBLINGS)
    watched.length = min(doubled, max(passive.inhibit, passive.inhibit_max))
    reason = f"{failures} of {connections} connections came to nothing"
    watched.inhibition = Inhibition(now + watched.length, reason, watched.times)
    watched.samples.clear()


def _release(watched: _Watched, now: float) -> None:
    """Try the server again, on probation: the first failures count at once."""
    watched.inhibition = None
    watched.released, watched.began, watched.well = now, 0, 0
    watched.on_probation = True


def _trust(watched: _Watched, now: float, passive: Passive) -> None:
    """End the probation after as many connections as would have convicted; see the module."""
    if watched.began >= passive.failures:
        watched.on_probation = False
    quiet = now - watched.released >= max(watched.length, passive.window)
    if watched.times and quiet and watched.well:
        watched.times = 0
        watched.on_probation = False
