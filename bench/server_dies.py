"""
Server dies: one of three servers ends under load; until when anybody notices, and how many do.

Its process is killed (kill -9), or its host is gone (the cable is out).  Clients make requests in
an open loop, each with a connection of its own that is busy for a while, so that some are under way
when it happens.  Checks alone, with passive checks too, and with resets for the connections that a
dead server leaves behind.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.support import live, machine
from bench.support.arrivals import Arrivals, Request
from bench.support.report import Report, Row, WrongVerdict
from lbctl.testbed.stage import wait

if TYPE_CHECKING:
    from argparse import Namespace

    from bench.support.live import Live, Look

_RATE = 60  # requests a second
_BUSY = 0.2  # seconds that each is under way
_TIMEOUT = 8.0  # seconds that a client waits
_QUIET, _AFTER = 4.0, 10.0  # seconds
_CHECK = {"check": "http", "path": "/", "interval": 1.0, "timeout": 0.5, "fall": 2}
_KNOWN = 2 * 1.0 + 1  # seconds after which nobody is sent there: fall x interval + 1
_DELAYED = 0.7  # seconds beyond its own that only a repeated SYN explains; that comes after 1 s
_PATIENCE = 30.0


class Case(NamedTuple):
    """How the server ends, and what else the pool has."""

    name: str
    host: bool = False
    pool: dict[str, Any] = {}  # noqa: RUF012 - nobody writes to it


_PASSIVE: dict[str, Any] = {"passive": {}}
_RESET = {"on_down": "reset"}
_CASES = (
    Case("process, checks"),
    Case("process, passive too", pool=_PASSIVE),
    Case("process, on_down reset", pool=_RESET),
    Case("host, checks", host=True),
    Case("host, passive too", host=True, pool=_PASSIVE),
    Case("host, on_down reset", host=True, pool=_RESET),
)


class Death(NamedTuple):
    """What was seen of one; the server ended at *time*."""

    time: float
    requests: list[Request]
    looks: list[Look]

    @property
    def failed(self) -> list[Request]:
        """The requests that failed."""
        return [request for request in self.requests if request.failure]

    @property
    def delayed(self) -> list[Request]:
        """The requests that had to ask for a connection again."""
        slow = _BUSY + _DELAYED
        return [request for request in self.requests if request.server and request.seconds > slow]

    @property
    def left(self) -> float:
        """After how long the switch was seen to give it nothing new."""
        return next(look.time for look in self.looks if look.states[0] != "active") - self.time

    def last(self, requests: list[Request]) -> float:
        """How long after the end the last of *requests* began; 0: before, or there was none."""
        return max([0.0, *(request.due - self.time for request in requests)])


def _die(switch: Live, case: Case, seed: int) -> Death:
    """One server ends, and comes back."""
    switch.configure(health=_CHECK, **case.pool)
    url, whole = f"http://{live.VIP}/slow?bytes=100&seconds={_BUSY}", _QUIET + _AFTER
    arrivals = Arrivals(switch.bed, url, whole, rate=_RATE, seed=seed, timeout=_TIMEOUT)
    end, back = (switch.unplug, switch.plug_in) if case.host else (switch.kill, switch.revive)
    with switch.watched() as looks:
        time.sleep(_QUIET)
        now = time.monotonic()
        end(0)
        try:
            requests = arrivals.finish()
        finally:
            back(0)
    if not any(look.states[0] != "active" for look in looks):
        raise WrongVerdict(f"{case.name}: nobody found out")
    wait(lambda: switch.look().states[0] == "active", _PATIENCE, "it does not come back")
    return Death(now, requests, looks)


def _rows(case: Case, deaths: list[Death]) -> list[Row]:
    """The figures of one case."""
    failed = [float(len(death.failed)) for death in deaths]
    reasons = sorted({request.failure for death in deaths for request in death.failed})
    late = [sum(r.due > d.time + _KNOWN for r in d.failed) for d in deaths]
    known = [max([0.0, *(r.end - d.time for r in d.failed)]) for d in deaths]
    delayed = [float(len(death.delayed)) for death in deaths]
    begun = len(deaths[0].requests)
    return [
        Row(f"{case.name}: failed", failed, "", note=f"of {begun}: {', '.join(reasons) or 'none'}"),
        Row("  the last of them began", [d.last(d.failed) for d in deaths], "s", _KNOWN),
        Row("  and its client knew", known, "s"),
        Row(f"  of them, begun after {_KNOWN:g} s", late, "", 0),
        Row("  the switch left it", [death.left for death in deaths], "s"),
        Row("  delayed by a repeated SYN", delayed, ""),
        Row("  the last of them began", [d.last(d.delayed) for d in deaths], "s", _KNOWN),
    ]


def run(options: Namespace) -> Report:
    """All rounds; each takes two minutes."""
    report = Report(
        f"server dies: 1 of 3, {_RATE} requests/s of {_BUSY:g} s, a check each second, fall 2",
        "native XDP on veth, NAT",
    )
    deaths: dict[int, list[Death]] = {}
    with machine.locked(), live.switch() as switch:
        for turn in range(machine.long_rounds(options.rounds)):
            for number, case in enumerate(_CASES):
                deaths.setdefault(number, []).append(_die(switch, case, turn))
    for number, case in enumerate(_CASES):
        report.rows += _rows(case, deaths[number])
    return report
