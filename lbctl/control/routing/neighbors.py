"""
The neighbor keeper: decide when the kernel is to look for which neighbor.

XDP sends past the kernel, so the kernel would forget back-ends and gateways, or not notice that
one has another MAC.  Each is therefore asked about once a second whether it is still there; one
that does not answer at its old MAC is searched for on the whole link; one that cannot be found
is looked for ever more rarely.  Never more than RATE requests a second in all.

Pure: the clock is an argument, and the requests are what it returns.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from lbctl.control.routing.records import FIXED, USABLE, Nud

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from lbctl.control.routing.snapshot import NeighborKey

RATE = 64  # requests a second
TICK = 1 / 16  # seconds; what falls due in one tick is asked for together
PER_TICK = RATE // 16
PERIOD = 0.75  # seconds from one question to the next, while RATE allows it
PATIENCE = 0.25  # seconds that a neighbor has to answer before it is searched for
FIRST_RETRY, LAST_RETRY = 1.0, 8.0  # seconds between searches for one that cannot be found


class Verb(Enum):
    """What to ask of the kernel; the values are the names of Requester's methods."""

    USE = "use"
    PROBE = "probe"
    SEARCH = "search"


class Request(NamedTuple):
    """One thing to ask of the kernel."""

    verb: Verb
    neighbor: NeighborKey


@dataclass
class _Watch:
    """What is known of one neighbor."""

    state: Nud
    due: float
    asked: bool = False  # and no answer yet
    retry: float = FIRST_RETRY


class NeighborKeeper:
    """The neighbors that are kept resolved."""

    def __init__(self) -> None:
        self._watches: dict[NeighborKey, _Watch] = {}
        self._agenda: list[tuple[float, int, NeighborKey]] = []
        self._entries = (
            0  # tells entries of one moment apart: addresses of two families do not sort
        )
        self._next_tick = 0.0

    def watch(self, named: Collection[NeighborKey], now: float) -> None:
        """Watch exactly these."""
        for key in self._watches.keys() - named:
            del self._watches[key]
        for key in named - self._watches.keys():
            self._watches[key] = _Watch(Nud.NONE, now)
            self._plan(key, now)

    def seen(self, key: NeighborKey, state: Nud, now: float) -> None:
        """Hear that the kernel has the neighbor in that state (NONE: it knows no such neighbor)."""
        watch = self._watches.get(key)
        if watch is None or watch.state == state:
            return
        lost = state == Nud.NONE or (state == Nud.FAILED and bool(watch.state & USABLE))
        watch.state = state
        if state & Nud.REACHABLE:
            watch.asked, watch.retry = False, FIRST_RETRY
            self._plan(key, now + self.period)
        elif lost:
            watch.asked = False
            self._plan(key, now)

    @property
    def period(self) -> float:
        """Seconds from one question to the next: longer when there are many neighbors."""
        return max(PERIOD, len(self._watches) / (RATE / 2))

    def deadline(self) -> float | None:
        """When `due` is to be called next; None: there is nothing to watch."""
        self._drop_outdated()
        return max(self._agenda[0][0], self._next_tick) if self._agenda else None

    def due(self, now: float) -> list[Request]:
        """What to ask of the kernel now."""
        if now < self._next_tick:
            return []
        requests = list(self._due(now))
        if requests:
            self._next_tick = now + TICK
        return requests

    def _due(self, now: float) -> Iterator[Request]:
        left = PER_TICK
        while left:
            self._drop_outdated()
            if not self._agenda or self._agenda[0][0] > now:
                return
            key = heapq.heappop(self._agenda)[2]
            if verb := self._ask(key, self._watches[key], now):
                left -= 1
                yield Request(verb, key)

    def _ask(self, key: NeighborKey, watch: _Watch, now: float) -> Verb | None:
        """What to ask about one neighbor, and when to think of it again."""
        if watch.state & FIXED:
            self._plan(key, now + LAST_RETRY)
            return None
        if not watch.state & USABLE:
            self._plan(key, now + watch.retry)
            watch.retry = min(2 * watch.retry, LAST_RETRY)
            return Verb.USE
        if watch.asked:
            watch.asked, watch.state = False, Nud.INCOMPLETE
            self._plan(key, now + FIRST_RETRY)
            return Verb.SEARCH
        watch.asked = True
        self._plan(key, now + PATIENCE)
        return Verb.PROBE

    def _plan(self, key: NeighborKey, when: float) -> None:
        self._watches[key].due = when
        self._entries += 1
        heapq.heappush(self._agenda, (when, self._entries, key))

    def _drop_outdated(self) -> None:
        """Forget entries of the agenda that were planned anew, or are watched no more."""
        while self._agenda:
            when, _, key = self._agenda[0]
            watch = self._watches.get(key)
            if watch and watch.due == when:
                return
            heapq.heappop(self._agenda)
