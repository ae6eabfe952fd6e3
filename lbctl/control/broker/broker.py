"""
The broker: answer network applications, and know which of them run.

Everything here happens in the event loop, which never waits: what takes long is done by `grants`
and `routes` in threads.  `follow` and `running` may be called from any thread.  When lbctld ends,
connections are closed and sockets stay where they are: packets go on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, TypeVar

from lbctl.control.broker import routes
from lbctl.control.broker.grants import Grants, was_changed
from lbctl.control.broker.places import KernelHardware
from lbctl.control.broker.reception import Reception
from lbctl.control.broker.roster import Roster
from lbctl.control.broker.slots import Slots
from lbctl.control.broker.telling import Teller
from lbctl.control.broker.users import permit, permit_any
from lbctl.errors import Conflict, LbctlError, NotFound
from lbctl.netif import wire
from lbctl.netif.wire import BadMessage, Ended, Request

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from lbctl.control.broker.caller import Caller
    from lbctl.control.broker.places import Hardware
    from lbctl.control.broker.running import RunningApp
    from lbctl.control.controller import Controller
    from lbctl.control.program_state import AppState
    from lbctl.model import App, Configuration, IPAddress
    from lbctl.netif.wire import Message, Route

    T = TypeVar("T")

THREADS = 4  # requests that are worked on at once
GLANCE = 1.0  # seconds between two looks at applications that may hang

log = logging.getLogger(__name__)


class Broker:
    """One for each daemon; `run` is all of its life."""

    def __init__(
        self,
        controller: Controller,
        hardware: Hardware | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._controller = controller
        # puts a process of an application on its CPUs; says in a line what could not be done
        self.dedicate: Callable[[str, int], str] = lambda _app, _process: ""
        slots = Slots(controller.dataplane.configuration.app_table)
        teller = Teller(self._tell, clock)
        self._grants = Grants(controller, slots, hardware or KernelHardware())
        self._roster = Roster(controller.dataplane, slots, teller, clock)
        self._pool = ThreadPoolExecutor(THREADS, "apps")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watching = asyncio.Event()

    # -- any thread ------------------------------------------------------------------------

    def running(self, name: str) -> AppState | None:
        """How the application *name* does; None: it has not run since lbctld started."""
        return self._roster.state(name)

    def follow(self, configuration: Configuration) -> None:
        """Hear that the configuration was changed, or that NICs came or went."""
        if self._loop is not None:
            with suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._follow, configuration)

    def _tell(self, kind: str, subject: str, text: str) -> None:
        self._controller.watch.tell(kind, subject, text)  # whoever watches by then

    # -- the event loop --------------------------------------------------------------------

    async def run(self, listener: socket.socket) -> None:
        """Answer who connects to *listener*, until cancelled."""
        self._loop = asyncio.get_running_loop()
        self._roster.start(self._controller.configuration)
        self._note_watching()
        reception = Reception(listener, self._serve)
        try:
            reception.open()
            while True:
                await self._watching.wait()
                await asyncio.sleep(GLANCE)
                self._look()
        finally:
            self._loop = None
            self._roster.stop()
            await reception.close()
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _look(self) -> None:
        try:
            self._roster.look()
        except Exception:
            log.exception("broker: could not look whether applications hang")
        self._note_watching()

    def _note_watching(self) -> None:
        """Look again and again only while there is somebody to look at."""
        if self._roster.is_watching():
            self._watching.set()
        else:
            self._watching.clear()

    def _follow(self, configuration: Configuration) -> None:
        self._roster.follow(configuration)
        self._note_watching()

    async def _serve(self, caller: Caller) -> None:
        """Answer one connection until its end."""
        try:
            while True:
                message, descriptors = await caller.receive()
                try:
                    await self._answer(caller, message, descriptors)
                finally:
                    wire.close(descriptors)
        except (Ended, OSError):
            pass
        except BadMessage as error:  # whoever sends garbage is no application of ours
            caller.dismiss(wire.failure(error))
        finally:
            self._roster.end(caller)
            self._note_watching()

    async def _answer(self, caller: Caller, message: Message, descriptors: Sequence[int]) -> None:
        try:
            request = Request.decode(message)
            if request.want == wire.APP:
                await self._claim(caller, request.name)
            elif request.want == wire.BIND:
                await self._bind(caller, request.name, descriptors)
            elif request.want == wire.RESUME:
                await self._resume(caller, request.name, descriptors)
            else:
                await self._route(caller, request.address)
        except LbctlError as error:
            caller.send(wire.failure(error))
        self._note_watching()

    async def _claim(self, caller: Caller, name: str) -> None:
        app = await self._app(name, caller)
        with self._roster.starting(caller, app) as taken:
            handover = await self._in_thread(self._grants.claim, app, caller.peer, taken)
            try:
                self._admit(caller, handover.running)
                caller.send({"app": handover.grant.encode()}, handover.descriptors)
                await self._give_cpus(name, caller)
            finally:
                handover.close()

    async def _bind(self, caller: Caller, name: str, descriptors: Sequence[int]) -> None:
        running = caller.running
        if running is None or running.app.name != name:
            raise Conflict(f"app {name!r}: this connection does not have it; open it first")
        await self._in_thread(self._grants.bind, running, descriptors)
        caller.send({"bound": True})

    async def _resume(self, caller: Caller, name: str, descriptors: Sequence[int]) -> None:
        app = await self._app(name, caller)
        with self._roster.starting(caller, app, again=True) as taken:
            job = partial(self._grants.resume, app, caller.peer, descriptors, taken)
            running = await self._in_thread(job)
            self._admit(caller, running, again=True)
            caller.send({"resumed": True})
            await self._give_cpus(name, caller)

    async def _give_cpus(self, name: str, caller: Caller) -> None:
        """Put the application's process on the CPUs that are its own, if it has some."""
        if why := await self._in_thread(self.dedicate, name, caller.peer.pid):
            log.warning("%s", why)

    def _admit(self, caller: Caller, running: RunningApp, *, again: bool = False) -> None:
        self._roster.begin(caller, running, again=again)
        self._roster.follow(self._controller.configuration)  # as it may have changed meanwhile
        if caller.running is None:
            raise was_changed(running.app.name)

    async def _route(self, caller: Caller, address: str) -> None:
        found = await self._in_thread(self._way, caller, ip_address(address))
        caller.send({"route": found.encode()})

    def _way(self, caller: Caller, address: IPAddress) -> Route:
        controller, running = self._controller, caller.running
        if running is None:
            permit_any(controller.configuration.apps, caller.peer)
        return routes.find(controller.dataplane, controller.routing, address, running)

    async def _app(self, name: str, caller: Caller) -> App:
        """The application *name*, which the caller may run."""
        app = self._controller.configuration.app(name)
        if app is None:
            raise NotFound(f"there is no app {name!r}; see `lbctl app list`")
        await self._in_thread(permit, app, caller.peer)
        return app

    async def _in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        """Call what may take long."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, function, *arguments)
