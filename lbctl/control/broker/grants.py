"""
The grants: make an application's sockets, take them back in, and have packets find them.

All of it may take seconds, so that it runs in a thread; nothing stays open that was not returned.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lbctl.control.broker.places import places
from lbctl.control.broker.running import FOR_GOOD, Peer, Port, RunningApp, disturbed, number_of
from lbctl.errors import Conflict, LbctlError, NotFound
from lbctl.netif import options, sockets
from lbctl.netif.sockets import Endpoints, Place, Rings
from lbctl.netif.status import Page
from lbctl.netif.wire import Grant, PortGrant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lbctl.control.broker.places import Hardware
    from lbctl.control.broker.slots import Slots
    from lbctl.control.controller import Controller
    from lbctl.model import App

    Taken = Mapping[tuple[int, int], str]  # (ifindex, queue) -> the other application there

MTU_MAX = 65535
_BEFORE_PORTS = 2  # descriptors: the memory and the status page


@dataclass
class Handover:
    """What goes to the application; `close` when it has it, or never will."""

    running: RunningApp
    grant: Grant
    endpoints: Endpoints
    page: int

    @property
    def descriptors(self) -> list[int]:
        """In the order of the protocol."""
        umem, *plugs = self.endpoints.descriptors()
        return [umem, self.page, *plugs]

    def close(self) -> None:
        """Let go of all of them here, or the application's end would not be seen."""
        self.endpoints.close()
        os.close(self.page)


class Grants:
    """Carries out what an application asks for."""

    def __init__(self, controller: Controller, slots: Slots, hardware: Hardware) -> None:
        self._controller, self._slots, self._hardware = controller, slots, hardware

    def claim(self, app: App, peer: Peer, taken: Taken) -> Handover:
        """Make all that the application needs, and have packets go there."""
        number = self._number(app)
        attached = self._controller.dataplane.attached()
        where = places(app, attached, self._hardware.queues)
        _refuse_taken(app, where, taken)
        rings = Rings.fitting(app.frames, len(where))
        bound = sockets.mapped_when_bound()
        made = sockets.create(where, app.frames, app.frame_size, rings, name=app.name, bind=bound)
        try:
            macs = {nic.ifindex: nic.mac.hex(":") for nic in attached}
            mtus = {nic: min(self._hardware.mtu(nic), MTU_MAX) for nic, *_ in where}
            grant = _grant(app, made, rings, macs, mtus)
            descriptor, page = Page.create(len(where), app.name)
        except BaseException:
            made.close()
            raise
        zero_copy = made.zero_copy or [False] * len(where)
        ports = [Port(place, fast) for place, fast in zip(where, zero_copy, strict=True)]
        page.ports["ifindex"] = [place.ifindex for place in where]
        page.ports["queue"] = [place.queue for place in where]
        running = RunningApp(app, number, peer, page, ports, time.time(), bound=bound)
        handover = Handover(running, grant, made, descriptor)
        try:
            self._slots.clear(number)  # of one that an lbctld before this one knew
            if bound:
                self._connect(running, made.descriptors()[1:])
        except BaseException:
            self._slots.remove(running)
            handover.close()
            raise
        return handover

    def bind(self, running: RunningApp, descriptors: Sequence[int]) -> None:
        """Bind sockets whose rings the application has mapped now; have packets go there."""
        umem, _, *plugs = _checked(running.app, descriptors)
        if len(plugs) != len(running.ports):
            raise Conflict(
                f"app {running.app.name!r}: it has {len(running.ports)} ports, not {len(plugs)}"
            )
        where = [port.place for port in running.ports]
        with sockets.bind_mapped(umem, plugs, where) as made:
            for port, fast in zip(running.ports, made.zero_copy, strict=True):
                port.zero_copy = fast
            running.bound = True
            self._connect(running, plugs)

    def resume(self, app: App, peer: Peer, descriptors: Sequence[int], taken: Taken) -> RunningApp:
        """Have packets go to sockets that the application has had before."""
        umem, memory, *plugs = _checked(app, descriptors)
        page = Page(memory, len(plugs))
        size = app.frames * app.frame_size
        if page.header["evicted"][0] == FOR_GOOD or os.fstat(umem).st_size != size:
            raise was_changed(app.name)
        nics = {nic.ifindex: nic.name for nic in self._controller.dataplane.attached()}
        where = _told_places(page, nics)
        _refuse_strange(app, where)
        _refuse_taken(app, where, taken)
        ports = [Port(place, _is_zero_copy(plug)) for place, plug in zip(where, plugs, strict=True)]
        running = RunningApp(app, self._number(app), peer, page, ports, time.time())
        try:
            self._connect(running, plugs)
        except BaseException:
            self._slots.remove(running)
            raise
        page.evicted = False
        return running

    def _number(self, app: App) -> int:
        """The number that packets know it by."""
        number = number_of(self._controller.dataplane.configuration, app)
        if number is None:
            raise Conflict(f"app {app.name!r}: its VIPs are not known to packets yet; try again")
        return number

    def _connect(self, running: RunningApp, plugs: Sequence[int]) -> None:
        """Have packets of all its NICs that are attached find it, as things are at this moment."""
        app = running.app
        with self._controller.still:
            now = self._controller.configuration.app(app.name)
            if disturbed(app, now) or self._number(app) != running.number:
                raise was_changed(app.name)
            slots = {nic.ifindex: nic.slot for nic in self._controller.dataplane.attached()}
            for port, plug in zip(running.ports, plugs, strict=True):
                if (slot := slots.get(port.place.ifindex)) is not None:
                    self._slots.put(running, port, slot, plug)


def was_changed(name: str) -> NotFound:
    """What an application hears that has sockets of a configuration that is no more."""
    return NotFound(f"app {name!r} was changed or removed since it was opened; open it anew")


def _grant(
    app: App, made: Endpoints, rings: Rings, macs: Mapping[int, str], mtus: Mapping[str, int]
) -> Grant:
    """What the application is told; *macs* by ifindex, *mtus* by name."""
    zero_copy = made.zero_copy or [False] * len(made.places)
    ports = tuple(
        PortGrant(
            **place._asdict(),
            mac=macs[place.ifindex],
            mtu=mtus[place.nic],
            **rings._asdict(),
            zero_copy=fast,
            multi_buffer=made.multi_buffer,
        )
        for place, fast in zip(made.places, zero_copy, strict=True)
    )
    vips = tuple(str(vip) for vip in app.vips)
    return Grant(app.name, vips, app.frame_size, app.frames, ports, made.bound)


def _checked(app: App, descriptors: Sequence[int]) -> Sequence[int]:
    """Refuse descriptors that are not memory, status page and AF_XDP sockets."""
    if len(descriptors) <= _BEFORE_PORTS:
        raise LbctlError(
            f"app {app.name!r}: {len(descriptors)} descriptors came; it takes the memory, the "
            f"status page and a socket for each port"
        )
    for plug in descriptors[_BEFORE_PORTS:]:
        if not _is_xdp(plug):
            raise LbctlError(f"app {app.name!r}: a descriptor that came is no AF_XDP socket")
    return descriptors


def _is_xdp(descriptor: int) -> bool:
    with suppress(OSError), sockets.adopt(os.dup(descriptor)) as plug:
        return plug.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN) == options.AF_XDP
    return False


def _is_zero_copy(descriptor: int) -> bool:
    with suppress(OSError), sockets.adopt(os.dup(descriptor)) as plug:
        return options.is_zero_copy(plug)
    return False


def _told_places(page: Page, nics: Mapping[int, str]) -> list[Place]:
    """
    Where the sockets are, as the status page says.

    Who lies here gets nothing by it: the kernel gives a socket no packet of another NIC or queue.
    """
    found = []
    for row in page.ports:
        ifindex = int(row["ifindex"])
        name = nics.get(ifindex, "")
        if not name:
            with suppress(OSError, OverflowError):
                name = socket.if_indextoname(ifindex)
        found.append(Place(name or f"({ifindex})", ifindex, int(row["queue"])))
    return found


def _refuse_strange(app: App, where: Sequence[Place]) -> None:
    """Refuse places that are not, or no longer, the application's."""
    keys = {(place.ifindex, place.queue) for place in where}
    known = all(
        (not app.nics or place.nic in app.nics) and (not app.queues or place.queue in app.queues)
        for place in where
    )
    if len(keys) < len(where) or not known:
        raise was_changed(app.name)


def _refuse_taken(app: App, where: Sequence[Place], taken: Taken) -> None:
    for place in where:
        if other := taken.get((place.ifindex, place.queue)):
            raise Conflict(
                f"app {app.name!r}: {place} belongs to app {other!r}; give each its own with "
                f"`lbctl app set {app.name} --queue N`, or another NIC"
            )
