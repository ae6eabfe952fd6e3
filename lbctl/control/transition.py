"""
The transition: take the switch from one configuration to another, with a way back at every step.

What each step did is put on a stack of undo actions before the next one is tried.  The caller
unwinds it when anything fails, and drops it when the new configuration is stored.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from lbctl.control.master import wanted_share
from lbctl.errors import LbctlError, NotFound
from lbctl.model import Mode
from lbctl.shared.programs import AppService, Programs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import ExitStack

    from lbctl.control.master import Master
    from lbctl.control.nic_keeper import NicKeeper
    from lbctl.control.routing_daemon import RoutingDaemon
    from lbctl.control.standing import Standings
    from lbctl.model import Backend, Configuration, IPAddress, Nic, Pool, SocketAddress
    from lbctl.switching.dataplane import Dataplane
    from lbctl.switching.nics import AttachedNic

PATIENCE = 3.0  # seconds in which a new back-end's neighbour must answer

log = logging.getLogger(__name__)


class Current(NamedTuple):
    """A generation: the one that the switch works by, or is to."""

    number: int
    configuration: Configuration


class Change(NamedTuple):
    """What became of a request: the generation it led to, and every difference in a line."""

    generation: int
    changes: tuple[str, ...]


@dataclass
class Publications:
    """How often packets were given a buffer to read; when last, and how long it took."""

    count: int = 0
    time: float = 0.0  # seconds since 1970
    seconds: float = 0.0


class Transition:
    """The steps of a change; the caller holds the lock."""

    def __init__(
        self, dataplane: Dataplane, routing: RoutingDaemon, nics: NicKeeper, master: Master
    ) -> None:
        self._dataplane = dataplane
        self._routing = routing
        self._links, self._pseudo = nics.links, nics.pseudo
        self._master = master
        self.own: frozenset[IPAddress] | None = None  # of the VIPs, as published; None: not yet
        self.publications = Publications()

    def prepare(
        self, old: Configuration, new: Configuration, undo: ExitStack, *, force: bool
    ) -> None:
        """Do all that comes before the tables: program, NICs, the ways to the back-ends."""
        if not force:
            self.require_nics(old, new)
        undo.callback(_quietly, self._dataplane.ensure, old)
        self._dataplane.ensure(new)
        undo.callback(_quietly, self._routing.refresh)  # when all else has been put back
        for nic in new.nics:
            self._attach(nic, _named(old, nic.name), undo)
        undo.callback(_quietly, self._pseudo.put_back, old)
        self._pseudo.ensure(new)
        undo.callback(_quietly, self.release_unused, old)
        self._reach(old, new, force=force)

    def require_nics(self, old: Configuration, new: Configuration) -> None:
        """Refuse a NIC that is new in *new* and does not exist."""
        self.require([nic for nic in new.nics if not _named(old, nic.name)])

    def require(self, nics: Iterable[Nic]) -> None:
        """Refuse a NIC that does not exist."""
        for nic in nics:
            if self._links.index(nic.name) is None:
                raise NotFound(f"there is no NIC {nic.name!r} here; see `ip link`")

    def publish(
        self, configuration: Configuration, number: int, found: Standings | None = None
    ) -> None:
        """
        Make *configuration* the one that the switching processors read.

        *found*: how its back-ends stand, if not as the master module knows already.
        """
        begin = time.monotonic()
        found = found or self._master.standings
        table = self._dataplane.routing
        services = self._master.services(configuration, table.destination, found)
        own = self.own_vips(configuration)
        timeouts = configuration.settings.timeouts
        apps = tuple(AppService(app.vips, app.on_exit) for app in configuration.apps)
        pseudo = {address: table.destination(address) for address in _own(configuration)}
        programs = Programs(apps, pseudo)
        self._dataplane.configuration.publish(services, timeouts, number, own, programs)
        done = self.publications
        done.count, done.time, done.seconds = done.count + 1, time.time(), time.monotonic() - begin
        self.own = own
        self._master.standings = found  # shown from now on

    def own_vips(self, configuration: Configuration) -> frozenset[IPAddress]:
        """The addresses of VIPs that the kernel of the switch has too."""
        vips = [vip for pool in configuration.pools for vip in pool.vips]
        vips += [vip for app in configuration.apps for vip in app.vips]
        return self._links.own({vip.address for vip in vips})

    def switch_over(self, old: Current, new: Current, found: Standings, undo: ExitStack) -> None:
        """Publish *new*, standing as *found*; then let go of the NICs that it has no more."""
        before = self._master.standings
        undo.callback(_quietly, self.publish, old.configuration, old.number, before)
        self.publish(new.configuration, new.number, found)
        kept = {nic.name for nic in new.configuration.nics}
        unwanted = (nic for nic in old.configuration.nics if nic.name not in kept)
        gone = [nic for nic in unwanted if self._found(nic.name)]
        for nic in gone:
            undo.callback(_quietly, self._dataplane.attach, nic)
            self._dataplane.detach(nic.name)
        if old.configuration.pseudo != new.configuration.pseudo:
            self._pseudo.trim(new.configuration)
        if gone:
            self._routing.refresh()

    def release_unused(self, configuration: Configuration) -> None:
        """Give back the next hops of hosts that no pool names and no connection needs."""
        table = self._dataplane.routing
        # A removed back-end keeps its record, and that its next hop, for its last connections.
        records = self._dataplane.configuration.backends()
        needed = {record.address.address for record in records.values()}
        needed |= hosts(configuration)
        for address in table.destinations():
            if address not in needed:
                table.release(address)

    def _attach(self, nic: Nic, before: Nic | None, undo: ExitStack) -> None:
        if nic == before or self._links.index(nic.name) is None:
            return
        found = self._found(nic.name)
        if found and before:
            if found.mode == nic.mode or (found.mode == Mode.NATIVE and nic.mode is Mode.AUTO):
                return
            undo.callback(_quietly, self._dataplane.attach, before)
            self._dataplane.detach(nic.name)  # a NIC has one mode at a time
        self._dataplane.attach(nic)
        undo.callback(_quietly, self._dataplane.detach, nic.name)

    def _reach(self, old: Configuration, new: Configuration, *, force: bool) -> None:
        """Prove that there is a way to every back-end that begins to get connections."""
        for host in hosts(new):
            self._dataplane.routing.destination(host)
        self._routing.refresh()
        known = _serving(old)
        fresh = {key: host for key, host in _serving(new).items() if key not in known}
        if not fresh or force:
            return
        if not self._dataplane.attached():
            pool, address = next(iter(fresh))
            raise LbctlError(
                f"back-end {address} of pool {pool!r} cannot be reached: no NIC is attached; "
                f"run `lbctl attach IFACE...` first"
            )
        reasons = self._routing.resolve(set(fresh.values()), PATIENCE)
        failed = [(key, reason) for key, host in fresh.items() if (reason := reasons[host])]
        if failed:
            (pool, address), reason = failed[0]
            more = f" (and {len(failed) - 1} more back-ends)" if len(failed) > 1 else ""
            raise LbctlError(
                f"back-end {address} of pool {pool!r} cannot be reached: {reason}{more}"
            )

    def _found(self, name: str) -> AttachedNic | None:
        return next((nic for nic in self._dataplane.attached() if nic.name == name), None)


def _named(configuration: Configuration, name: str) -> Nic | None:
    return next((nic for nic in configuration.nics if nic.name == name), None)


def _backends(configuration: Configuration) -> Iterator[tuple[Pool, Backend]]:
    return ((pool, backend) for pool in configuration.pools for backend in pool.backends)


def hosts(configuration: Configuration) -> set[IPAddress]:
    """Where packets are sent: the servers of all pools, and the addresses of pseudo interfaces."""
    return {b.address.address for _, b in _backends(configuration)} | _own(configuration)


def _own(configuration: Configuration) -> set[IPAddress]:
    """The addresses of all pseudo interfaces."""
    return {address.ip for pseudo in configuration.pseudo for address in pseudo.addresses}


def _serving(configuration: Configuration) -> dict[tuple[str, SocketAddress], IPAddress]:
    """Pool and address of every back-end that gets new connections, and its host."""
    return {
        (pool.name, backend.address): backend.address.address
        for pool, backend in _backends(configuration)
        if wanted_share(backend)
    }


def _quietly(action: Callable[..., object], *arguments: object) -> None:
    """Put something back; when even that fails, the log says so and the rest goes on."""
    try:
        action(*arguments)
    except Exception:
        log.exception("%s: could not put back what was", getattr(action, "__name__", action))
