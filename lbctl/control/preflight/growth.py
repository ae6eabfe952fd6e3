"""
The growth: which unusual ends packets have right now, by whom they concern.

Compares the counters with what they were some seconds ago; whoever looks leaves a sample for the
next look.  Not safe for several threads.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lbctl.control.master import served_at
from lbctl.control.preflight.facts import Growth
from lbctl.control.preflight.finding import Told, error, note, warning
from lbctl.shared.abi import VERDICT_NOTES, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lbctl.control.controller import Controller
    from lbctl.model import Vip
    from lbctl.shared.arrays import Array

Who = tuple[str, str]  # subject, pool
Counts = dict[tuple[Who, Verdict], int]

REST = 1.0  # seconds from one sample to the next, at least
WINDOW = 10.0  # seconds that a look goes back, where there are samples
OLDEST = 60.0  # seconds; what grew before is not happening now
TROUBLE = {
    Verdict.TO_BACKEND_UNTRACKED: (warning, "lbctl connection list --limit 100"),
    Verdict.TOO_BIG_REPLY: (note, "lbctl capture --verdict TOO_BIG_REPLY --count 10"),
    Verdict.DROP_FRAGMENT: (warning, "lbctl capture --verdict DROP_FRAGMENT --count 10"),
    Verdict.DROP_NO_BACKEND: (error, "lbctl pool show {pool}"),
    Verdict.DROP_TTL_EXPIRED: (note, "lbctl capture --verdict DROP_TTL_EXPIRED --count 10"),
    Verdict.DROP_NO_ROUTE: (error, "lbctl route list"),
    Verdict.DROP_NO_NEIGHBOR: (error, "lbctl neighbor list"),
    Verdict.DROP_NOT_ATTACHED: (error, "lbctl route list"),
    Verdict.DROP_TOO_BIG: (warning, "lbctl capture --verdict DROP_TOO_BIG --count 10"),
    Verdict.DROP_TUPLE_CLASH: (warning, "lbctl capture --verdict DROP_TUPLE_CLASH --count 10"),
    Verdict.DROP_RESET_WITHHELD: (warning, "lbctl backend list {pool}"),
    Verdict.DROP_APP_GONE: (error, "lbctl app list"),
    Verdict.DROP_INTERNAL: (error, "lbctl status -o json"),
}
# What says the same with the cause.
EXPLAINED_BY = {
    Verdict.TO_BACKEND_UNTRACKED: "table-room",
    Verdict.DROP_NO_BACKEND: "nobody-serves",
    Verdict.DROP_NO_ROUTE: "no-route",
    Verdict.DROP_NO_NEIGHBOR: "no-neighbor",
    Verdict.DROP_NOT_ATTACHED: "route-not-attached",
    Verdict.DROP_RESET_WITHHELD: "backend-refuses",
    Verdict.DROP_APP_GONE: "app-stopped",
}


class Sample(NamedTuple):
    """What was counted at one moment."""

    time: float
    counts: Counts


class GrowthWatch:
    """The last samples of one switch."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._samples: deque[Sample] = deque()

    @property
    def age(self) -> float:
        """Seconds since the oldest sample that counts."""
        return self._clock() - self._samples[0].time if self._samples else 0.0

    def look(self, counts: Counts) -> list[Growth]:
        """What has grown since the oldest sample that counts; *counts* becomes one."""
        now = self._clock()
        self._drop_old(now)
        before = self._samples[0] if self._samples else None
        if before is None or now - self._samples[-1].time >= REST:
            self._samples.append(Sample(now, counts))
        if before is None:
            return []
        seconds, old = now - before.time, before.counts
        return [
            Growth(subject, verdict, count - old.get(((subject, pool), verdict), 0), seconds, pool)
            for ((subject, pool), verdict), count in counts.items()
            if count > old.get(((subject, pool), verdict), 0)
        ]

    def _drop_old(self, now: float) -> None:
        """Keep one sample that is older than WINDOW, unless that is too old to mean anything."""
        while len(self._samples) > 1 and now - self._samples[1].time >= WINDOW:
            self._samples.popleft()
        while self._samples and now - self._samples[0].time > OLDEST:
            self._samples.popleft()


def count(controller: Controller) -> Counts:
    """What was counted so far of the verdicts in TROUBLE, by the narrowest subject there is."""
    plane, found = controller.dataplane, Counts()
    services, backends = plane.counters.reasons()
    left = np.zeros(len(Verdict), np.int64)
    for one in plane.counters.by_nic():
        left[one.verdict] += one.packets
    for pool in controller.configuration.pools:
        for vip in pool.vips:
            index = plane.configuration.service_index(vip)
            if index is None:
                continue
            row = services[index].astype(np.int64)
            left -= row[: len(left)]
            for member in controller.configuration.stand_ins(pool):
                for backend in member.backends:
                    record = plane.configuration.backend_index(vip, served_at(vip, backend.address))
                    if record is not None:
                        _add(found, f"back-end {backend.address}", member.name, backends[record])
                        row -= backends[record].astype(np.int64)
            _add(found, f"VIP {vip}", pool.name, row)
    apps = controller.configuration.apps
    for app, vip in ((one, vip) for one in apps for vip in one.vips):
        row = _of_service(controller, services, vip)
        left -= row[: len(left)]
        _add(found, f"VIP {vip} of application {app.name}", "", row)
    _add(found, "the switch", "", left)
    return found


def _of_service(controller: Controller, services: Array, vip: Vip) -> Array:
    """Packets by verdict of one VIP; none of one that is not published."""
    index = controller.dataplane.configuration.service_index(vip)
    row = np.zeros(services.shape[1]) if index is None else services[index]
    return row.astype(np.int64)


def _add(found: Counts, subject: str, pool: str, row: Array) -> None:
    """Add the verdicts of *row*, packets by verdict, to *found*."""
    who = (f"{subject} of pool {pool}" if pool else subject, pool)
    for verdict in TROUBLE:
        if row[verdict] > 0:
            found[who, verdict] = found.get((who, verdict), 0) + int(row[verdict])


def told(growth: Growth) -> Told:
    """What is to be said of it."""
    severity, cure = TROUBLE[growth.verdict]
    span = f"{growth.seconds:.0f} s" if growth.seconds >= 1 else "moment"
    packets = "1 packet" if growth.packets == 1 else f"{growth.packets} packets"
    return severity(
        f"has {growth.verdict.name} of {packets} in the last {span}",
        VERDICT_NOTES[growth.verdict],
        cure.format(pool=growth.pool),
    )


def unexplained(growths: Iterable[Growth], explained: Callable[[str], bool]) -> Iterator[Growth]:
    """Leave out what a check has said with its cause; *explained* tells whether one did."""
    for growth in growths:
        if not explained(EXPLAINED_BY.get(growth.verdict, "")):
            yield growth
