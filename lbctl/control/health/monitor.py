"""
The health monitor: check every back-end in its time, and tell when one is up or down.

One task a back-end, which sleeps most of the time.  It is told what to watch by any thread, and
works in the event loop that runs it; what it has found can be read from any thread.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from threading import Condition, Lock
from typing import TYPE_CHECKING, NamedTuple, Protocol

from lbctl.control.health import check, record, targets
from lbctl.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

    from lbctl.control.health.record import Health
    from lbctl.control.health.target import Outcome, Target
    from lbctl.control.health.targets import Key
    from lbctl.model import Check, Configuration, SocketAddress

log = logging.getLogger(__name__)

PACE = 0.0005  # seconds between the first looks of many new back-ends: no burst that delays answers
QUIET = 10.0  # seconds between two complaints that this switch cannot check


class Change(NamedTuple):
    """A back-end that came up, went down, or was looked at for the first time."""

    pool: str
    address: SocketAddress
    before: Health
    after: Health


class Routes(Protocol):
    """The ways by which checks of a VIP reach one server; see `lbctl.control.health.dsr`."""

    def assign(self, wanted: Iterable[Target]) -> dict[Key, int]:
        """Make ways for these targets and no others; returns the mark of each that has one."""

    async def mend(self, target: Target) -> None:
        """Make the way of a target anew: the kernel forgets it with a link that goes down."""

    def clear(self) -> None:
        """Remove all ways."""


class HealthMonitor:
    """Watches the back-ends of a configuration; *on_change* is called in the event loop."""

    def __init__(
        self,
        on_change: Callable[[Sequence[Change]], None],
        *,
        look: Callable[[Target], Awaitable[Outcome]] = check.look,
        clock: Callable[[], float] = time.time,
        random: Callable[[], float] = random.random,
        routes: Routes | None = None,
    ) -> None:
        self._on_change = on_change
        self._look, self._clock, self._random, self._routes = look, clock, random, routes
        self._following = Lock()  # one configuration after the other
        self._known = Condition()  # guards what follows, up to _loop; notified of first looks
        self._targets: dict[Key, Target] = {}  # all that can be checked
        self._watched: dict[Key, Target] = {}  # those that are
        self._health: dict[Key, Health] = {}  # of the watched
        self._saved: dict[Key, Health] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: dict[Key, tuple[Check, asyncio.Task[None]]] = {}  # from here on: the loop's
        self._news: list[Change] = []
        self._complained = float("-inf")

    # -- for any thread --------------------------------------------------------------------

    def follow(self, configuration: Configuration) -> None:
        """
        Watch the back-ends of *configuration* from now on.

        A back-end that was watched keeps its health; under another check it counts anew.  A new
        one is looked at at once.
        """
        found = targets.targets(configuration)
        with self._following:
            marks = self._routes.assign(found.values()) if self._routes else {}
            found = targets.with_marks(found, marks)
            keys = targets.watched(configuration)
            with self._known:
                old, self._targets = self._watched, found
                self._watched = {key: target for key, target in found.items() if key in keys}
                self._health = {key: self._kept(key, old.get(key)) for key in self._watched}
                self._saved.clear()
                self._known.notify_all()
                if self._loop:
                    self._loop.call_soon_threadsafe(self._reconcile)

    def _kept(self, key: Key, old: Target | None) -> Health:
        """The health with which a back-end is watched from now on."""
        if old is None:
            return self._saved.get(key) or record.unknown(self._clock())
        health = self._health[key]
        return health if old.check == self._watched[key].check else record.restarted(health)

    def restore(self, saved: Mapping[Key, Health]) -> None:
        """Begin with what was known before a restart; before or after the first `follow`."""
        with self._known:
            self._saved = dict(saved)
            for key, health in self._health.items():
                if not health.checked and key in saved:
                    self._health[key] = saved[key]

    def health(self, pool: str, address: SocketAddress) -> Health | None:
        """What is known of a back-end; None when it is not watched."""
        return self._health.get((pool, address))

    def all(self) -> dict[Key, Health]:
        """What is known of all that are watched."""
        return dict(self._health)

    def first_look(self, targets_of: Collection[Key], patience: float) -> dict[Key, Health]:
        """
        Wait until all of these have been looked at, or for *patience* seconds; not in the loop.

        Returns the health of those that are watched.
        """
        with self._known:
            self._known.wait_for(lambda: all(map(self._is_known, targets_of)), patience)
            return {key: self._health[key] for key in targets_of if key in self._health}

    def _is_known(self, key: Key) -> bool:
        return key not in self._health or self._health[key].checked

    async def check_now(self, pool: str, address: SocketAddress) -> Outcome:
        """Look at a back-end now, for somebody who asks; it does not count."""
        target = self._targets.get((pool, address))
        if target is None:
            raise NotFound(f"back-end {address} has no check; see `lbctl pool show {pool}`")
        return await self._look(target)

    # -- in the event loop -----------------------------------------------------------------

    async def run(self) -> None:
        """Watch until cancelled."""
        with self._known:
            self._loop = asyncio.get_running_loop()
        try:
            self._reconcile()
            await self._loop.create_future()
        finally:
            with self._known:
                self._loop = None
            await self._stop(list(self._tasks))
            if self._routes:
                self._routes.clear()

    async def _stop(self, keys: Iterable[Key]) -> None:
        ending = [self._tasks.pop(key)[1] for key in keys]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    def _reconcile(self) -> None:
        """Have a task for every back-end that is watched, and none for others."""
        watched = self._watched
        for key, (by, task) in list(self._tasks.items()):
            if key not in watched or watched[key].check != by:
                task.cancel()
                del self._tasks[key]
        new = [key for key in watched if key not in self._tasks]
        for number, key in enumerate(new):
            task = asyncio.ensure_future(self._watch(key, number * PACE))
            self._tasks[key] = (watched[key].check, task)

    async def _watch(self, key: Key, delay: float) -> None:
        """Look at one back-end for as long as it is watched by the same check."""
        loop, spread = asyncio.get_running_loop(), True
        await asyncio.sleep(delay)
        while target := self._watched.get(key):
            begin = loop.time()
            outcome = await self._look(target)
            health = self._take(key, target, outcome)
            if health is None:
                return
            if target.mark and self._routes and not outcome.ok:
                await self._routes.mend(target)
            pause = self._pause(target.check, health, spread=spread)
            spread = False
            await asyncio.sleep(max(0, begin + pause - loop.time()))

    def _pause(self, by: Check, health: Health, *, spread: bool) -> float:
        """Seconds from the beginning of one look to the next."""
        if record.is_in_doubt(health):
            return by.timeout
        if spread:  # those that began together do not stay together
            return by.interval * self._random()
        return by.interval * (1 + by.jitter * (2 * self._random() - 1))

    def _take(self, key: Key, target: Target, outcome: Outcome) -> Health | None:
        """Note an outcome; None when nobody asks for it any more."""
        with self._known:
            wanted = self._watched.get(key)
            if wanted is None or wanted.check != target.check:
                return None
            before = self._health[key]
            after = record.after(before, outcome, target.check, self._clock())
            self._health[key] = after
            if after.checked and not before.checked:
                self._known.notify_all()
        if not outcome.conclusive:
            self._complain(target, outcome)
        if (before.up, before.checked) != (after.up, after.checked):
            self._tell(Change(*key, before, after))
        return after

    def _tell(self, change: Change) -> None:
        """Hand a change on, together with others of the same moment."""
        if not self._news:
            asyncio.get_running_loop().call_soon(self._hand_on)
        self._news.append(change)

    def _hand_on(self) -> None:
        news, self._news = self._news, []
        for pool, address, _, now in news:
            state = "up" if now.up else "down"
            log.debug("pool %s: back-end %s is %s: %s", pool, address, state, now.reason)
        try:
            self._on_change(news)
        except Exception:  # whoever listens, the watch goes on
            log.exception("%d changes of health could not be handed on", len(news))

    def _complain(self, target: Target, outcome: Outcome) -> None:
        """Say that this switch cannot check, but not a thousand times a second."""
        now = asyncio.get_running_loop().time()
        if now - self._complained >= QUIET:
            self._complained = now
            what = f"pool {target.pool}: back-end {target.address}"
            log.warning("%s cannot be checked: %s", what, outcome.reason)
