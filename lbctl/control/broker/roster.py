"""
The roster: who runs, who has ended, and who hangs.

For the event loop only, but for `state`.  It takes packets away from whoever ended, hung or was
removed; it gives nothing.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from lbctl.control.broker.hung import Orphan
from lbctl.control.broker.running import FOR_GOOD, Record, RunningApp, disturbed, number_of
from lbctl.errors import Conflict
from lbctl.model import OnExit
from lbctl.shared.abi import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lbctl.control.broker.caller import Caller
    from lbctl.control.broker.grants import Taken
    from lbctl.control.broker.running import Peer, Port
    from lbctl.control.broker.slots import Slots
    from lbctl.control.broker.telling import Teller
    from lbctl.control.program_state import AppState
    from lbctl.model import App, Configuration
    from lbctl.switching.dataplane import Dataplane


_INSTEAD = {
    OnExit.RESET: "TCP is reset and the rest dropped",
    OnExit.DROP: "they are dropped",
    OnExit.KERNEL: "the kernel has them",
}


class Roster:
    """All applications that run, or have run since lbctld started."""

    def __init__(
        self, dataplane: Dataplane, slots: Slots, teller: Teller, clock: Callable[[], float]
    ) -> None:
        self._dataplane, self._slots, self._teller, self._clock = dataplane, slots, teller, clock
        self._records: dict[str, Record] = {}
        self._callers: dict[str, Caller] = {}  # of those that run
        self._starting: dict[str, Peer] = {}
        self._orphans: dict[str, Orphan] = {}
        self._stopped = False

    # -- any thread ------------------------------------------------------------------------

    def state(self, name: str) -> AppState | None:
        """How an application does; None: it has not run."""
        record = self._records.get(name)
        return record.state() if record else None

    # -- beginning -------------------------------------------------------------------------

    def start(self, configuration: Configuration) -> None:
        """Begin; applications may run already, and will come back to say so."""
        now = self._clock()
        self._orphans = {app.name: Orphan(app, now) for app in configuration.apps if app.hung_after}

    def stop(self) -> None:
        """Take nothing from anybody any more: lbctld ends, applications go on."""
        self._stopped = True

    @contextmanager
    def starting(self, caller: Caller, app: App, *, again: bool = False) -> Iterator[Taken]:
        """
        Keep an application for one who asks for it, while it is given; tells what others have.

        *again*: it comes back with sockets that it has.  Raises Conflict if it is another's.
        """
        name = app.name
        if caller.running and not (again and caller.running.app.name == name):
            raise Conflict(
                f"this connection has app {caller.running.app.name!r} already; use another"
            )
        if other := self._starting.get(name):
            raise Conflict(f"app {name!r} is being started already: {other}")
        self._make_room(caller, name, again=again)
        self._starting[name] = caller.peer
        try:
            yield self._taken(name)
        finally:
            del self._starting[name]

    def _make_room(self, caller: Caller, name: str, *, again: bool) -> None:
        """See that nobody else has the application."""
        holder = self._callers.get(name)
        if holder is None or (again and holder is caller):
            return
        if holder.is_gone():
            self.end(holder)
        elif again and holder.peer == caller.peer:  # by another connection
            self._drop(holder)
        else:
            raise Conflict(f"app {name!r} is running already: {holder.peer}; end that one first")

    def _taken(self, name: str) -> Taken:
        return {
            (port.place.ifindex, port.place.queue): other
            for other, record in self._records.items()
            if other != name and record.running
            for port in record.running.ports
        }

    def begin(self, caller: Caller, running: RunningApp, *, again: bool) -> None:
        """An application has its sockets, or has them *again*."""
        name = running.app.name
        record = self._records.setdefault(name, Record())
        before = record.running
        if before is not None:  # the same one, that was taken for hung
            running.since = before.since
            self._slots.remove(before)
        record.running, caller.running = running, running
        record.last = (running.peer.user, running.since)
        self._callers[name] = caller
        self._orphans.pop(name, None)
        how = "looks at its packets again" if before else "runs still" if again else "runs"
        running.patience.ends(
            self._clock(), running.page.heartbeat, self._delivered(running.app), 0
        )
        self._teller.tell(name, f"{how}: {running.peer}, ports: {len(running.ports)}")

    # -- ending ----------------------------------------------------------------------------

    def end(self, caller: Caller) -> None:
        """A connection has ended, and its application with it."""
        if self._stopped or (running := self._drop(caller)) is None:
            return
        record = self._records[running.app.name]
        record.exits += 1
        self._teller.tell(running.app.name, f"has ended: {running.peer}")

    def _drop(self, caller: Caller) -> RunningApp | None:
        running, caller.running = caller.running, None
        if running is not None:
            self._slots.remove(running)
            self._records[running.app.name].running = None
            del self._callers[running.app.name]
        return running

    def follow(self, configuration: Configuration) -> None:
        """Take packets from who was changed or removed, or whose NIC is gone."""
        slots = {nic.ifindex: nic.slot for nic in self._dataplane.attached()}
        for name, caller in list(self._callers.items()):
            new, running = configuration.app(name), caller.running
            if running is None:
                continue
            if new is None or disturbed(running.app, new):
                self._remove(caller, "changed" if new else "removed")
                continue
            running.app = new
            for port in running.ports:
                self._follow_nic(running, port, slots.get(port.place.ifindex))
        names = {app.name for app in configuration.apps}
        self._records = {n: record for n, record in self._records.items() if n in names}
        self._orphans = {n: orphan for n, orphan in self._orphans.items() if n in names}
        self._teller.forget_all_but(names)

    def _remove(self, caller: Caller, what: str) -> None:
        running = self._drop(caller)
        if running is not None:
            name = running.app.name
            running.page.header["evicted"] = FOR_GOOD
            self._teller.tell(name, f"was {what}: {running.peer} gets no more packets")
            caller.dismiss({"removed": f"app {name!r} was {what} by the administrator"})

    def _follow_nic(self, running: RunningApp, port: Port, slot: int | None) -> None:
        """A port ends with its NIC; where the NIC comes back, it asks for the socket again."""
        if slot == port.slot or running.hung or not running.bound:
            return
        if port.slot is not None:
            self._slots.remove_port(running, port)
            self._teller.tell(running.app.name, f"{port.place}: gone, and its port with it")
        if slot is not None:
            running.page.evicted = True

    # -- those that hang -------------------------------------------------------------------

    def is_watching(self) -> bool:
        """Whether there is anybody who might be taken for hung."""
        running = (record.running for record in self._records.values())
        return bool(self._orphans) or any(
            one is not None and one.app.hung_after and not one.hung for one in running
        )

    def look(self) -> None:
        """Take packets from who has let them wait for too long."""
        now = self._clock()
        for name, record in self._records.items():
            running = record.running
            if running is None or running.hung:
                continue
            limit, heartbeat = running.app.hung_after, running.page.heartbeat
            if running.patience.ends(now, heartbeat, self._delivered(running.app), limit):
                self._slots.remove(running)
                running.hung = running.page.evicted = True
                record.hung_count += 1
                idle = f"packets wait, and {running.peer} does not look"
                self._teller.tell(name, f"hangs: {idle}; {_instead(running.app)}")
        for name in self._orphans.keys() - self._starting.keys():
            self._look_for(self._orphans[name], now)

    def _look_for(self, orphan: Orphan, now: float) -> None:
        app, name = orphan.app, orphan.app.name
        lost = orphan.is_lost(now, self._delivered(app))
        if lost or orphan.is_old(now):
            del self._orphans[name]
        number = number_of(self._dataplane.configuration, app)
        if lost and number is not None:
            self._slots.clear(number)
            self._teller.tell(name, f"hangs: it has not come back to this lbctld; {_instead(app)}")

    def _delivered(self, app: App) -> int:
        """Packets that an application was given so far."""
        plane = self._dataplane
        indices = (plane.configuration.service_index(vip) for vip in app.vips)
        return sum(
            int(plane.counters.of_service(index)[Verdict.TO_APP])
            for index in indices
            if index is not None
        )


def _instead(app: App) -> str:
    """What becomes of its packets now."""
    return f"{_INSTEAD[app.on_exit]} from now on"
