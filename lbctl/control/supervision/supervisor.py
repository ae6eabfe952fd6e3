"""
The supervisor: watch the back-ends of a configuration, and say how they stand.

Owns the health monitor, the resource manager and one distributor a pool; asks the data path what it
has counted.  It never publishes: it wakes the controller, which asks for the standings and does.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from lbctl.control.distribution import Distributor, Member
from lbctl.control.health import targets
from lbctl.control.health.monitor import HealthMonitor
from lbctl.control.health.passive import PassiveWatch, Seen
from lbctl.control.health.record import Health
from lbctl.control.journal import SavedHealth
from lbctl.control.master import wanted_share
from lbctl.control.resource_manager import ResourceManager
from lbctl.control.standing import Shares, Standing, Standings
from lbctl.control.supervision.pools import keys_of, load_of, moves
from lbctl.control.supervision.traffic import ObservedTraffic, Totals
from lbctl.control.supervision.troubles import trouble
from lbctl.control.watch import Observation
from lbctl.model import Collector, Configuration, State

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence

    from lbctl.control.health.monitor import Change, Routes
    from lbctl.control.health.passive import Inhibition
    from lbctl.control.journal import Journal
    from lbctl.control.resources.tracked import AgentEvent
    from lbctl.control.standing import Key
    from lbctl.control.supervision.counts import Counts
    from lbctl.model import Backend, Pool, SocketAddress

log = logging.getLogger(__name__)

REST = 0.05  # seconds at least from the end of a look to the next
IDLE = 5.0  # seconds between two looks where nothing depends on them
MARGIN = 1.0  # seconds that a first look may take beyond its timeout
PATIENCE = 5.0  # the most seconds for which a change waits for first looks


class Supervisor:
    """One for each daemon; `wake` is called, in a thread, when the standings may have changed."""

    def __init__(
        self,
        counts: Counts,
        journal: Journal,
        *,
        routes: Routes | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.health = HealthMonitor(self._on_health, routes=routes)
        self.resources = ResourceManager(self._on_agent)
        self.traffic = ObservedTraffic()
        self.wake: Callable[[], None] = lambda: None
        self.journal = journal
        self._counts, self._clock = counts, clock
        self._lock = threading.Lock()  # guards what follows
        self._passive = PassiveWatch()
        self._distributors: dict[str, Distributor] = {}
        self._configuration = Configuration()
        self._served: dict[str, set[SocketAddress]] = {}  # by pool, at the last look
        self._trusted: set[Key] = set()  # served before they were checked: until they are
        self._news: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    # -- any thread ------------------------------------------------------------------------

    def start(self, configuration: Configuration) -> None:
        """Begin with what was known before a restart; nobody is out for not having been checked."""
        keys = set(keys_of(configuration))
        self.journal.forget_all_but(keys)
        saved = self.journal.health()
        self.health.restore({key: Health(s.up, s.reason, s.since) for key, s in saved.items()})
        with self._lock:
            self._trusted = keys
        self.follow(configuration)

    def follow(self, configuration: Configuration) -> None:
        """Watch the back-ends of *configuration* from now on, and no others."""
        self.health.follow(configuration)
        local = configuration.settings.resource_manager is Collector.LOCAL
        self.resources.follow(configuration.agents, asking=local)
        with self._lock:
            self._configuration = configuration
            self._trusted &= keys_of(configuration).keys()
            names = {pool.name for pool in configuration.pools}
            self._distributors = {n: d for n, d in self._distributors.items() if n in names}
            self._served = {name: who for name, who in self._served.items() if name in names}
        self._notify()

    def admit(self, old: Configuration, new: Configuration) -> None:
        """
        Wait until the back-ends that begin to be checked have been looked at; not in the loop.

        One that was active without a check stays so until its first look; any other gets nothing
        before.
        """
        begin, pools = targets.watched(new) - targets.watched(old), keys_of(new)
        active = {
            (pool.name, backend.address)
            for pool in old.pools
            for backend in pool.backends
            if backend.state is State.ACTIVE
        }
        with self._lock:
            self._trusted |= begin & active
        fresh = begin - active
        if fresh and self._loop:
            longest = max(check.timeout for key in fresh if (check := pools[key].health))
            self.health.first_look(fresh, min(longest + MARGIN, PATIENCE))

    def standings(self, configuration: Configuration) -> Standings:
        """How the back-ends of *configuration* stand now."""
        now = self._clock()
        with self._lock:
            totals = self._counts.totals(configuration)
            self.traffic.observe(now, totals)
            self._observe_failures(now, configuration, totals)
            troubles = self._troubles(now, configuration)
            return Standings(troubles, self._shares(now, configuration, troubles))

    def observations(self, pool: Pool) -> dict[SocketAddress, Observation]:
        """What was seen of a pool's back-ends, to be shown."""
        keys = [(pool.name, backend.address) for backend in pool.backends]
        now, found = self._clock(), {}
        with self._lock:
            shares = self.traffic.measured(keys)
            for key, measured in zip(keys, shares, strict=True):
                told = self.resources.reading(key[1])
                found[key[1]] = Observation(
                    measured,
                    self.traffic.rate(key),
                    load_of(told[1].report) if told else None,
                    now - told[1].at if told else None,
                )
        return found

    def tell(self, kind: str, subject: str, text: str) -> None:
        """Note an event."""
        self.journal.tell(kind, subject, text)

    def inhibition(self, key: Key) -> Inhibition | None:
        """Why a back-end gets nothing by what the data path saw; until a monotonic time."""
        return self._passive.inhibited(key, self._clock())

    # -- the loop --------------------------------------------------------------------------

    async def run(self, push: socket.socket | None = None) -> None:
        """Watch until cancelled."""
        self._loop, self._news = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.health.run())
                group.create_task(self.resources.run(push))
                group.create_task(self._turn())
        finally:
            self._loop = None

    async def _turn(self) -> None:
        """Wake the controller again and again, and at once when something was found."""
        news = self._news
        assert news  # noqa: S101 - run() has made it
        clock = asyncio.get_running_loop().time
        while True:
            begin = clock()
            await asyncio.to_thread(self._wake)
            rest = max(begin + self._interval() - clock(), REST)
            with suppress(TimeoutError):
                async with asyncio.timeout(rest):  # wait_for may lose a cancellation
                    await news.wait()
            news.clear()

    def _wake(self) -> None:
        try:
            self.wake()
        except Exception:
            log.exception("how the back-ends stand could not be followed")

    def _interval(self) -> float:
        """Seconds to the next look, if nothing is found before."""
        pools = self._configuration.pools
        busy = [pool.balance.interval for pool in pools if pool.passive or moves(pool)]
        return min(busy, default=IDLE)

    def _notify(self) -> None:
        if (loop := self._loop) and (news := self._news):
            with suppress(RuntimeError):  # it has just been closed: nobody is woken any more
                loop.call_soon_threadsafe(news.set)

    def _on_health(self, changes: Sequence[Change]) -> None:
        saved = [
            ((c.pool, c.address), SavedHealth(c.after.up, c.after.reason, c.after.since))
            for c in changes
        ]
        self.journal.save(saved)
        self._notify()

    def _on_agent(self, event: AgentEvent) -> None:
        self.journal.tell("agent", str(event.agent), event.text)
        self._notify()

    # -- what follows from what was found --------------------------------------------------

    def _observe_failures(
        self, now: float, configuration: Configuration, totals: Mapping[Key, Totals]
    ) -> None:
        seen = {
            key: (Seen(total.connections, total.retries + total.resets), pool.passive)
            for key, pool in keys_of(configuration).items()
            if pool.passive and (total := totals.get(key))
        }
        for suspicion in self._passive.observe(now, seen):
            pool, address = suspicion.key
            found = suspicion.inhibition
            text = (
                f"inhibited for {found.until - now:.0f} s: {found.reason}" if found else "released"
            )
            self.journal.tell("passive", f"{pool} {address}", text)

    def _troubles(self, now: float, configuration: Configuration) -> dict[Key, Standing]:
        found = {}
        for key in keys_of(configuration):
            health = self.health.health(*key)
            if health and health.checked:
                self._trusted.discard(key)
            elif key in self._trusted:
                health = None  # nothing is held against it
            inhibition = self._passive.inhibited(key, now)
            if it := trouble(health, inhibition, self.resources.reading(key[1]), now):
                found[key] = it
        return found

    def _shares(
        self, now: float, configuration: Configuration, troubles: Mapping[Key, Standing]
    ) -> dict[str, Shares]:
        """The shares of the pools in which they are other than the configured weights say."""
        found, opened = {}, self._counts.open_connections(configuration)
        for pool in configuration.pools:
            if not moves(pool):
                continue
            distributor = self._distributors.setdefault(pool.name, Distributor())
            members = [self._member(now, pool, b, troubles, opened) for b in pool.backends]
            self._served[pool.name] = {member.address for member in members if member.serving}
            step = distributor.step(now, str(pool.scheduler), pool.balance, members)
            found[pool.name] = Shares(step.wanted, step.given, distributor.problem)
        return found

    def _member(
        self,
        now: float,
        pool: Pool,
        backend: Backend,
        troubles: Mapping[Key, Standing],
        opened: Mapping[Key, int],
    ) -> Member:
        key = (pool.name, backend.address)
        told = self.resources.reading(backend.address)
        health = self.health.health(*key)
        serving = backend.state is State.ACTIVE and key not in troubles
        return Member(
            address=backend.address,
            weight=wanted_share(backend),
            serving=serving,
            fresh=serving and backend.address not in self._served.get(pool.name, {backend.address}),
            connections=opened.get(key, 0),
            new_connections=self.traffic.rate(key),
            report=told[1].report if told else None,
            report_age=now - told[1].at if told else None,
            stale_after=told[0].stale if told else 1.0,
            response_seconds=health.response_seconds if health else None,
        )
