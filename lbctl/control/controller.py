"""
The controller: carry out what the administrator asks, all of it or nothing.

Every change takes one lock, is computed as a new configuration, checked, put on the switch step
by step and stored.  Whatever fails on the way is undone, and then nothing was changed.  Readers
take no lock: the current generation is one value that is replaced at once.
"""

from __future__ import annotations

import logging
import threading
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from pydantic import ValidationError

from lbctl.control import edits
from lbctl.control.capturing.session import Capturing
from lbctl.control.clients import lost, prompt
from lbctl.control.difference import difference
from lbctl.control.links import KernelLinks
from lbctl.control.master import Master, served_at
from lbctl.control.nic_keeper import NicKeeper
from lbctl.control.preflight.inspection import Preflight
from lbctl.control.program_state import NothingRuns
from lbctl.control.pseudo_keeper import PseudoKeeper
from lbctl.control.standing import differ
from lbctl.control.supervision.announcements import Announcer, of_change
from lbctl.control.transition import PATIENCE, Change, Current, Transition, hosts
from lbctl.control.validation import usage_error
from lbctl.control.watch import Unwatched
from lbctl.shared.connections import Filter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lbctl.control.links import Links
    from lbctl.control.program_state import Running
    from lbctl.control.routing_daemon import RoutingDaemon
    from lbctl.control.standing import Standings
    from lbctl.control.store import Store
    from lbctl.control.supervision.announcements import Announcement
    from lbctl.control.watch import Watch
    from lbctl.model import Configuration, Nic, SocketAddress
    from lbctl.switching.dataplane import Dataplane

    Edit = Callable[[Configuration], Configuration]

log = logging.getLogger(__name__)


class Controller:
    """The one place from which the switch is changed."""

    def __init__(
        self,
        dataplane: Dataplane,
        store: Store,
        routing: RoutingDaemon,
        *,
        name: str = "default",
        links: Links | None = None,
    ) -> None:
        self.name = name
        self.dataplane = dataplane
        self.store = store
        self.routing = routing
        self.links = links or KernelLinks()
        self.master = Master()
        self.nics = NicKeeper(dataplane, self.links, PseudoKeeper(name, dataplane), self._tell)
        self.capturing = Capturing(self)
        self.preflight = Preflight(self)
        self.leaving = False  # the daemon is about to end
        self.watch: Watch = Unwatched()  # whoever has one puts it there, before the start
        self.programs: Running = NothingRuns()  # likewise
        self._announcer = Announcer()
        newest = store.current
        self.current = Current(newest.number, newest.configuration)
        self._transition = Transition(dataplane, routing, self.nics, self.master)
        self.publications = self._transition.publications
        self._lock = self.still = threading.Lock()  # who holds it: nothing is changed meanwhile
        self._following: set[str] = set()
        self._stopped = False

    @property
    def configuration(self) -> Configuration:
        """What the administrator wants now."""
        return self.current.configuration

    # -- life ------------------------------------------------------------------------------

    def start(self) -> None:
        """
        Take the switch over as it is found, and make it what the stored generation says.

        Packets flow meanwhile and no connection is reset.  A NIC that is not there, or that
        somebody else holds, is a warning: the others must work.
        """
        number, configuration = self.current
        with self._lock:
            self.dataplane.ensure(configuration)
            self.nics.start(configuration)
            for host in hosts(configuration):
                self.dataplane.routing.destination(host)
            self.routing.start()
            self.watch.start(configuration)
            self.master.standings = self.watch.standings(configuration)
            if self.dataplane.configuration.generation != number:
                self.routing.resolve(hosts(configuration), PATIENCE)
                self._transition.publish(configuration, number)
            self._transition.release_unused(configuration)

    def stop(self) -> None:
        """Wait for a change that is under way, and end; the switching processors go on."""
        with self._lock:
            self._stopped = True
            self.routing.stop()
            self.store.close()

    def on_link(self, name: str) -> None:
        """
        Hear that the NIC *name* came, went or changed; attach it if it ought to be and is not.

        The routing daemon's thread calls this, and a change that holds the lock may be waiting
        for that very thread.  So the work is done in another.
        """
        concerns = self.nics.concerns(name, self.configuration)
        if concerns and name not in self._following:
            self._following.add(name)
            threading.Thread(target=self._follow, args=(name,), name="follow-link").start()

    def on_address(self) -> None:
        """
        Hear that this host may have got or lost an address: a VIP may be its own, or no more.

        Called once after a start as well.  Tables that were taken over are published anew then,
        for nobody knows what has changed while there was no daemon.
        """
        with self._lock:
            number, configuration = self.current
            own = self._transition.own_vips(configuration)
            if self._stopped:
                return
            try:
                self.nics.pseudo.refresh(configuration)
                if own == self._transition.own:
                    return
                self._transition.publish(configuration, number)
            except Exception:  # nobody waits for an answer
                log.exception("generation %d: could not be published anew", number)

    def on_news(self) -> None:
        """
        Hear that back-ends may stand otherwise than they did; publish if they do.

        The generation stays the same: what the administrator wants has not changed.
        """
        with self._lock:
            if self._stopped:
                return
            number, configuration = self.current
            before, now = self.master.standings, self.watch.standings(configuration)
            if differ(before, now):
                try:
                    self._transition.publish(configuration, number, now)
                except Exception:  # nobody waits for an answer; the next news tries again
                    log.exception("generation %d: could not be published anew", number)
                    return
            self.master.standings = now
            news = self._announcer.news(configuration, before, now)
        self._tell(news)
        prompt(self.dataplane, lost(before, configuration, now, configuration))

    def on_hour(self) -> None:
        """Free what expired in the connection table: ages are counted modulo some hours."""
        with self._lock:
            if self._stopped:
                return
            try:
                self.dataplane.connections.sweep()
            except Exception:  # nobody waits for an answer
                log.exception("the connection table could not be swept")

    # -- changes ---------------------------------------------------------------------------

    def change(self, what: str, who: str, edit: Edit, *, force: bool = False) -> Change:
        """
        Carry out *edit*, which makes the next configuration of the current one.

        Nothing is changed when it raises.  *force* accepts NICs that do not exist yet and
        back-ends that cannot be reached.
        """
        with self._lock:
            number, old = self.current
            new = self._edited(old, edit)
            changes = difference(old, new)
            if not changes:
                return Change(number, ())
            before = self.master.standings
            with ExitStack() as undo:
                self._transition.prepare(old, new, undo, force=force)
                now = self._look(old, new, undo)
                with self.store.record(new, who=who, what=what) as number:
                    self._transition.switch_over(self.current, Current(number, new), now, undo)
                undo.pop_all()
            self.current = Current(number, new)
            self._tidy()
            news = self._announcer.news(new, before, now)
        self._tell([of_change(number, f"{what}, by {who}", changes), *news])
        prompt(self.dataplane, lost(before, old, now, new))
        return Change(number, changes)

    def apply(self, wanted: Configuration, who: str, *, force: bool = False) -> Change:
        """Make *wanted* the configuration."""
        return self.change("apply", who, lambda _: wanted, force=force)

    def rollback(self, number: int, who: str, *, force: bool = False) -> Change:
        """Make a new generation with the content of generation *number*."""
        old = self.store.generation(number).configuration
        return self.change(f"rollback {number}", who, lambda _: old, force=force)

    def diff(self, wanted: Configuration) -> Change:
        """Say what `apply` would change, and refuse what it would refuse without trying."""
        number, configuration = self.current
        edits.check(wanted)
        self._transition.require_nics(configuration, wanted)
        return Change(number, difference(configuration, wanted))

    def attach(self, nics: Sequence[Nic], who: str) -> Change:
        """Give *nics* switching processors: all of them, or none."""
        self._transition.require(nics)
        with self._lock:
            for nic in nics:  # configured before, but not to be had; now somebody asks for it
                missing = self.nics.is_missing(nic.name, self.configuration)
                if nic in self.configuration.nics and missing:
                    self.nics.attach(nic)
                    self.routing.refresh()
        what = f"attach {' '.join(nic.name for nic in nics)}"
        return self.change(what, who, partial(edits.put_nics, nics=nics))

    def detach(self, names: Sequence[str], who: str) -> Change:
        """Take the switching processors from NICs: from all of them, or none."""
        return self.change(
            f"detach {' '.join(names)}", who, partial(edits.remove_nics, names=names)
        )

    def remove_backend(
        self, pool: str, address: SocketAddress, who: str, *, now: bool = False
    ) -> Change:
        """Take a back-end from a pool; its connections finish, or with *now* end at once."""
        vips = self.configuration.vips_by_pool().get(pool, ())
        edit = partial(edits.remove_backend, name=pool, address=address)
        done = self.change(f"backend remove {pool} {address}", who, edit)
        if now:
            for vip in vips:
                only = Filter(vips={vip}, backend=served_at(vip, address))
                self.dataplane.connections.flush(only)
        return done

    # -- behind the curtain ----------------------------------------------------------------

    def _edited(self, old: Configuration, edit: Edit) -> Configuration:
        try:
            new = edit(old)
        except ValidationError as err:
            raise usage_error(err.errors()) from err
        edits.check(new)
        return new

    def _look(self, old: Configuration, new: Configuration, undo: ExitStack) -> Standings:
        """Have the back-ends of *new* watched; tell how they stand once all were looked at."""
        undo.callback(self.watch.follow, old)
        self.watch.follow(new)
        self.watch.admit(old, new)
        return self.watch.standings(new)

    def _tell(self, news: Iterable[Announcement]) -> None:
        for announcement in news:
            self.watch.tell(*announcement)

    def _follow(self, name: str) -> None:
        with self._lock:
            self._following.discard(name)
            if not self._stopped:
                self.nics.follow(name, self.configuration)
                self.programs.follow(self.configuration)
                self.routing.refresh()

    def _tidy(self) -> None:
        """Forget what the last generation needed and this one does not."""
        number, configuration = self.current
        self.nics.forget_all_but(configuration)
        self.programs.follow(configuration)
        self.master.forget_all_but(configuration.pools)
        try:
            self._transition.release_unused(configuration)
        except Exception:  # the change is made and stored: what is left over is no reason to fail
            log.exception("generation %d: could not give back unused next hops", number)
