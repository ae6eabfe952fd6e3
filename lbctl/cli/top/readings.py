"""
The readings: make rates of counters that were read again and again, and remember some.

Pure: fed with looks, asked for figures.  A subject is a tuple: its kind and its names, such as
`("nic", "eth1")`, `("pool", "web")`, `("backend", "web", "10.0.1.11:8080")`, `("app", "voip")` and
`("drop", "DROP_NO_ROUTE", "eth1")`.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from lbctl.cli.program_tables import lost

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lbctl.cli.tables import Row

    Subject = tuple[str, ...]
    Tally = dict[str, int]  # a counter's name and how far it is

HISTORY = 120  # readings that a trend can show
PACKETS = "packets"  # the counter that has a trend
DROP = "DROP_"


class Look(NamedTuple):
    """What the API said, and when (in seconds, monotonic); None was not asked."""

    time: float
    status: Row
    pools: Sequence[Row] | None = None
    pool: Row | None = None  # {}: it was asked for, and there is none
    stats: Row | None = None
    drops: Sequence[Row] | None = None
    health: Sequence[Row] | None = None

    def over(self, before: Look | None) -> Look:
        """Fill in what was not asked with what was known before."""
        if before is None:
            return self
        known = before._asdict()
        return self._replace(**{k: known[k] for k, v in self._asdict().items() if v is None})

    def pool_of(self, name: str) -> Row | None:
        """A pool, as it was seen last; None if it is gone, or not seen yet."""
        if self.pool is not None and self.pool.get("name", name) == name:
            return self.pool or None
        return next((pool for pool in self.pools or () if pool["name"] == name), None)


class Part(NamedTuple):
    """A row of counters, and what it is a part of."""

    name: Subject
    of: tuple[Subject, ...]
    tally: Tally


@dataclass(slots=True)
class Gauge:
    """The rates of one subject now, and its packets per second so far."""

    rates: dict[str, float] = field(default_factory=dict)
    trend: deque[float] = field(default_factory=lambda: deque(maxlen=HISTORY))


class Readings:
    """All that was seen so far."""

    def __init__(self) -> None:
        self._latest: Look | None = None
        self._known: dict[str, tuple[float, Mapping[Subject, Tally]]] = {}  # by call of the API
        self._gauges: dict[str, dict[Subject, Gauge]] = {}

    def add(self, look: Look) -> None:
        """Take in one more look, later than the others."""
        if look.stats is not None:
            self._count("stats", look.time, [*_of_stats(look.stats), *_idle(look)])
        if look.drops is not None:
            self._count("drops", look.time, list(_of_drops(look.drops)))
        self._count("status", look.time, list(_of_apps(look.status)))
        self._latest = look.over(self._latest)

    @property
    def look(self) -> Look:
        """What was seen last; there must have been a look."""
        if self._latest is None:
            raise LookupError("nothing was read yet")
        return self._latest

    def rate(self, subject: Subject, counter: str = PACKETS) -> float | None:
        """How much it grows in a second; None: that takes two looks."""
        gauge = self._gauge(subject)
        return gauge.rates.get(counter, 0.0) if gauge else None

    def trend(self, subject: Subject) -> Sequence[float]:
        """Packets per second, oldest first, up to HISTORY of them."""
        gauge = self._gauge(subject)
        return gauge.trend if gauge else ()

    def _gauge(self, subject: Subject) -> Gauge | None:
        return next((some[subject] for some in self._gauges.values() if subject in some), None)

    def _count(self, call: str, when: float, parts: Sequence[Part]) -> None:
        """
        Turn the growth since the last look into rates.

        What was not there before began at 0, and so did what is less than before: its tables were
        made anew.  What is gone is forgotten.
        """
        before, then = self._known.get(call, (when, {}))
        self._known[call] = when, {part.name: part.tally for part in parts}
        if when <= before:
            return
        grown: defaultdict[Subject, Tally] = defaultdict(dict)
        for part in parts:
            old = then.get(part.name, {})
            for counter, now in part.tally.items():
                was = old.get(counter, 0)
                growth = now - was if now >= was else now
                for subject in part.of:
                    grown[subject][counter] = grown[subject].get(counter, 0) + growth
        gauges = self._gauges.get(call, {})
        self._gauges[call] = {subject: gauges.get(subject) or Gauge() for subject in grown}
        for subject, tally in grown.items():
            gauge = self._gauges[call][subject]
            gauge.rates = {name: growth / (when - before) for name, growth in tally.items()}
            gauge.trend.append(gauge.rates.get(PACKETS, 0.0))


def _of_stats(stats: Row) -> Iterator[Part]:
    """NICs, and what is counted of back-ends and VIPs."""
    for nic in stats["nics"]:
        subject = ("nic", nic["name"])
        yield Part(subject, (subject,), _of_nic(nic["verdicts"]))
    for row in stats["services"]:
        if row["pool"] is not None:  # those of applications are in the status
            tally = {"drops": _dropped(row["verdicts"])}
            yield Part(("vip", row["pool"], row["vip"]), (("pool", row["pool"]),), tally)
    for row in stats["backends"]:
        pool, address = row["pool"], row["address"]
        tally = {
            PACKETS: row["packets_in"] + row["packets_out"],
            "connections": row["connections"],
        }
        subjects = ("pool", pool), ("backend", pool, address)
        yield Part(("backend", pool, row["vip"], address), subjects, tally)


def _of_apps(status: Row) -> Iterator[Part]:
    """What applications were given, what they lost of it, and what was discarded before."""
    for app in status.get("apps", ()):
        subject = ("app", app["name"])
        drops = _dropped(app["verdicts"])
        tally = {PACKETS: app["packets"], "lost": lost(app), "drops": drops}
        yield Part(subject, (subject,), tally)


def _dropped(verdicts: Mapping[str, int]) -> int:
    return sum(n for verdict, n in verdicts.items() if verdict.startswith(DROP))


def _idle(look: Look) -> Iterator[Part]:
    """NICs that have had no packet yet: there are no counters of them."""
    busy = {nic["name"] for nic in look.stats["nics"]} if look.stats else set()
    for nic in look.status.get("nics", ()):
        if nic["name"] not in busy:
            subject = ("nic", nic["name"])
            yield Part(subject, (subject,), _of_nic({}))


def _of_nic(verdicts: Mapping[str, Row]) -> Tally:
    dropped = (tally for verdict, tally in verdicts.items() if verdict.startswith(DROP))
    return {
        PACKETS: sum(tally["packets"] for tally in verdicts.values()),
        "bytes": sum(tally["bytes"] for tally in verdicts.values()),
        "drops": sum(tally["packets"] for tally in dropped),
    }


def _of_drops(drops: Sequence[Row]) -> Iterator[Part]:
    for row in drops:
        subject = ("drop", row["reason"], row["nic"])
        yield Part(subject, (subject,), {PACKETS: row["packets"]})
