"""
The routing daemon: keep the routing table of the switch equal to the kernel's routes and neighbors.

Listens to the kernel; when something changed, fetches links, routes and neighbors, works out what
the switch should know (`translation`) and writes the difference.  Has the kernel look for the
neighbors that back-ends and gateways stand for (`neighbors`), because XDP cannot wait for
ARP.  Never changes a route of the kernel.  Works in the network namespace of the thread that
starts it.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from lbctl.control.routing.mirror import KernelMirror
from lbctl.control.routing.neighbors import Request, Verb
from lbctl.control.routing.netlink import Listener
from lbctl.control.routing.reachability import neighbors_view, obstacle, routes_view
from lbctl.control.routing.records import Event, Kind, Link, Neighbor, Nud, Route

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from lbctl.control.routing.records import IPNetwork
    from lbctl.control.routing.snapshot import NeighborKey
    from lbctl.model import IPAddress
    from lbctl.shared.routing import RoutingTable
    from lbctl.switching.nics import AttachedNic

log = logging.getLogger(__name__)

SETTLE = 0.05  # seconds from the first event to the reaction: changes come in bursts
RECOVERY = 1.0  # seconds before another try after an error
GLANCE = 1.0  # seconds between two looks at whether NICs or destinations came or went
ROUND = 0.05  # seconds between two looks at neighbors that somebody waits for
PER_ROUND = 64  # requests for such neighbors, in a round
LOAD = 2  # times as long as the last reaction took, at least, to the next: a third of one CPU
EVERYTHING = frozenset({Kind.LINK, Kind.ROUTE, Kind.NEIGHBOR})


class RoutingDaemon:
    """
    One thread, and the calls of the control processor, which may come from any thread.

    `attached` tells the NICs that have a program; `on_link` hears the names of links that came,
    went, or changed their state, MAC or MTU.  What was attached, detached or added as a destination
    is noticed within a second; `refresh` and `resolve` do it at once.
    """

    def __init__(
        self,
        table: RoutingTable,
        attached: Callable[[], Sequence[AttachedNic]],
        on_link: Callable[[str], None] | None = None,
    ) -> None:
        self._mirror = KernelMirror(table, attached)
        self._on_link = on_link or (lambda _: None)
        self.on_routes: Callable[[], None] = lambda: None  # hears that `routes`, or links, changed
        self._told = 0  # the revision of the routes that it heard of
        # Guards what follows; notified when the thread has seen a change.
        self._news = threading.Condition()
        self._stale: set[Kind] = set()
        self._react_at = 0.0
        self._settle = SETTLE
        self._links_changed: list[str] = []
        self._heard: dict[int, Link] = {}  # links, as the last event of each told
        self._thread: threading.Thread | None = None
        self._wake = -1
        self._stopping = False

    # -- what the control processor calls ------------------------------------------------------

    def start(self) -> None:
        """Bring the table up to date, then keep it so."""
        with self._news:
            self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            self._open()
            self._stopping = False
            try:
                self._resync(EVERYTHING, adopt=True)
            except BaseException:
                self._close()
                raise
        self._thread = threading.Thread(target=self._run, name="routing-daemon", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; the table stays as it is."""
        if self._thread is None:
            return
        self._stopping = True
        os.eventfd_write(self._wake, 1)
        self._thread.join()
        self._thread = None
        with self._news:
            self._close()

    def refresh(self) -> None:
        """Bring the table up to date before this returns."""
        with self._news:
            self._resync(EVERYTHING, adopt=True)

    def resolve(
        self, addresses: Iterable[IPAddress], timeout: float = 2.0
    ) -> dict[IPAddress, str | None]:
        """
        Find out which hosts the switch can send to.

        None: reachable through an attached NIC.  Else one line: what is in the way, and what to
        type.  Waits until all have been found, at most *timeout* seconds.
        """
        hosts, deadline = list(addresses), time.monotonic() + timeout
        asked: dict[NeighborKey, float] = {}
        with self._news:
            self._resync(EVERYTHING)
            while True:
                kernel, slots = self._mirror.kernel, self._mirror.slots
                found = {host: obstacle(kernel, slots, host) for host in hosts}
                missing = {item.neighbor for item in found.values() if item and item.neighbor}
                left = deadline - time.monotonic()
                if not missing or left <= 0:
                    return {host: item.text if item else None for host, item in found.items()}
                self._search(missing, asked)
                self._news.wait(min(left, ROUND))
                self._resync({Kind.NEIGHBOR})

    def _search(self, missing: Collection[NeighborKey], asked: dict[NeighborKey, float]) -> None:
        """Have the kernel look for neighbors that somebody waits for, once a second each."""
        now = time.monotonic()
        overdue = [key for key in missing if now - asked.get(key, -RECOVERY) >= RECOVERY]
        for key in overdue[:PER_ROUND]:
            asked[key] = now
            self._mirror.ask(Request(Verb.USE, key))

    def routes(self) -> dict[IPNetwork, bool]:
        """The prefixes of the switch's table, and whether it can send there now."""
        with self._news:
            return self._mirror.writer.routes()

    def routes_view(self) -> list[dict[str, Any]]:
        """The routes as `lbctl route list` shows them."""
        with self._news:
            return routes_view(self._mirror.kernel, self._mirror.writer.held)

    def neighbors_view(self) -> list[dict[str, Any]]:
        """The neighbors as `lbctl neighbor list` shows them."""
        with self._news:
            self._resync({Kind.NEIGHBOR})  # not every change of their states is told
            return neighbors_view(self._mirror.kernel, self._mirror.slots, self._mirror.writer.held)

    def warnings(self, but: Collection[IPAddress] = ()) -> list[str]:
        """What keeps hosts, *but* those, from being reached now, and routes out of the table."""
        with self._news:
            kernel, slots, writer = self._mirror.kernel, self._mirror.slots, self._mirror.writer
            found = (obstacle(kernel, slots, h) for h in writer.destinations() if h not in but)
            return [
                *(item.text for item in found if item),
                *writer.failures,
                *self._mirror.complaints,
            ]

    # -- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        """Whatever goes wrong, the switch must not lose its routing daemon to it."""
        healthy = True
        while not self._stopping:
            try:
                if not healthy:
                    self._recover()
                healthy = True
                self._turn()
            except Exception:
                log.exception("routing daemon: a change of the kernel's could not be followed")
                healthy = False

    def _turn(self) -> None:
        """Wait for news or for something that is due, and deal with it."""
        poll = select.poll()
        for descriptor in (self._listener.fileno(), self._wake):
            poll.register(descriptor, select.POLLIN)
        poll.poll(self._timeout())
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake)
        with self._news:
            self._hear()
            if self._mirror.is_outdated():
                self._outdate({Kind.NEIGHBOR})
            if self._stale and time.monotonic() >= self._react_at:
                self._resync(set(self._stale))
            for request in self._mirror.keeper.due(time.monotonic()):
                self._mirror.ask(request)
            changed, self._links_changed = self._links_changed, []
            told, self._told = self._told, self._mirror.writer.revision
        for name in dict.fromkeys(changed):
            self._tell(name, partial(self._on_link, name))
        if changed or told != self._told:
            self._tell("routes", self.on_routes)

    def _tell(self, what: str, listener: Callable[[], None]) -> None:
        try:
            listener()
        except Exception:
            log.exception("routing daemon: %s: its change could not be dealt with", what)

    def _timeout(self) -> float:
        """Milliseconds until something is due."""
        now = time.monotonic()
        with self._news:
            moments = [now + GLANCE]
            if self._stale:
                moments.append(self._react_at)
            if (deadline := self._mirror.keeper.deadline()) is not None:
                moments.append(deadline)
        return max(0.0, min(moments) - now) * 1000 + 1

    def _recover(self) -> None:
        """Begin anew: other sockets, everything fetched again."""
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        poll.poll(RECOVERY * 1000)
        with self._news:
            self._close()
            self._open()
            self._mirror.writer.read()
            self._outdate(EVERYTHING)

    def _open(self) -> None:
        self._listener = Listener()
        self._mirror.open()

    def _close(self) -> None:
        self._listener.close()
        self._mirror.close()

    # -- hearing of changes --------------------------------------------------------------------

    def _hear(self) -> None:
        try:
            for event in self._listener.events():
                self._hear_of(event)
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            log.warning("routing daemon: too many changes at once; reading everything anew")
            self._outdate(EVERYTHING)

    def _hear_of(self, event: Event) -> None:
        match event.record:
            case Link() as link:
                self._hear_of_link(link, gone=event.gone)
            case Neighbor() as neighbor:
                self._hear_of_neighbor(neighbor, gone=event.gone)
            case Route():
                self._outdate({Kind.ROUTE})
            case None if event.kind in (Kind.ADDRESS, Kind.NEXT_HOP):
                self._outdate({Kind.ROUTE})

    def _hear_of_link(self, link: Link, *, gone: bool) -> None:
        # Compared with what was heard, not with what was fetched: somebody who was told of the last
        # event may have looked at the link before this one, and must look again.
        before = self._heard.pop(link.ifindex, None)
        if not gone:
            self._heard[link.ifindex] = link
            if before == link:
                return
        self._links_changed.append(link.name)
        self._outdate(EVERYTHING)  # the kernel is silent about routes that go with a link

    def _hear_of_neighbor(self, neighbor: Neighbor, *, gone: bool) -> None:
        key = (neighbor.ifindex, neighbor.address)
        state, mac = (Nud.NONE, b"") if gone else (neighbor.state, neighbor.mac)
        self._mirror.keeper.seen(key, state, time.monotonic())
        if neighbor.ifindex in self._mirror.slots and self._mirror.kernel.mac(key) != mac:
            self._outdate({Kind.NEIGHBOR})

    def _outdate(self, kinds: Collection[Kind]) -> None:
        if not self._stale:
            self._react_at = time.monotonic() + self._settle
        self._stale.update(kinds)

    # -- following them ------------------------------------------------------------------------

    def _resync(self, kinds: Collection[Kind], *, adopt: bool = False) -> None:
        begin = time.monotonic()
        self._mirror.resync(kinds, adopt=adopt)
        self._stale -= set(kinds)
        self._settle = max(SETTLE, LOAD * (time.monotonic() - begin))
        if threading.current_thread() is self._thread:
            self._news.notify_all()
        else:
            os.eventfd_write(self._wake, 1)  # what is due next may have changed
