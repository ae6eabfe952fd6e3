"""
The server: answer on the API's sockets until a signal says stop.

uvicorn does the HTTP.  Its own main loop wakes up ten times a second; this one waits for events
only, so that an idle switch costs nothing.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, NamedTuple

import anyio.to_thread
import uvicorn

from lbctl.control.links import AddressWatch

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Coroutine, Iterator, Sequence
    from pathlib import Path

    from starlette.types import ASGIApp

THREADS = 4  # requests that are worked on at once; the rest wait their turn
HOUR = 3600.0
GRACE = 5  # seconds in which requests under way may end

log = logging.getLogger(__name__)


class Listener(NamedTuple):
    """A socket, and what answers there; with a certificate, by TLS."""

    socket: socket.socket
    app: ASGIApp
    cert: Path | None = None
    key: Path | None = None


class Events(NamedTuple):
    """
    Whom to call when; `on_address` and `on_hour` in a thread, the others in the loop itself.

    `beside`: what else runs in the loop until the end.
    """

    on_ready: Callable[[], None]
    on_stopping: Callable[[], None]
    on_address: Callable[[], None]
    on_hour: Callable[[], None]
    beside: Sequence[Callable[[], Coroutine[object, object, None]]] = ()


async def serve(listeners: Sequence[Listener], events: Events) -> None:
    """Answer until SIGTERM or SIGINT; then finish what is under way."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop_by, number, stop)
    async with asyncio.TaskGroup() as group:
        followers = [
            group.create_task(_follow_addresses(events.on_address)),
            group.create_task(_follow_clock(events.on_hour)),
        ]
        followers += [group.create_task(run()) for run in events.beside]
        servers = [_Server(listener, stop) for listener in listeners]
        for server, listener in zip(servers, listeners, strict=True):
            group.create_task(server.serve(sockets=[listener.socket]))
        for server in servers:
            await server.up.wait()
        events.on_ready()
        await stop.wait()
        events.on_stopping()
        for follower in followers:
            follower.cancel()


def _stop_by(number: signal.Signals, stop: asyncio.Event) -> None:
    log.info("%s: stopping", number.name)
    stop.set()


async def _follow_addresses(on_address: Callable[[], None]) -> None:
    """Call *on_address*, in a thread, now and whenever addresses of this host came or went."""
    loop, changed = asyncio.get_running_loop(), asyncio.Event()
    changed.set()  # who knows what happened before anybody listened

    def hear() -> None:
        watch.clear()
        changed.set()

    with closing(AddressWatch()) as watch:
        loop.add_reader(watch, hear)
        try:
            while True:
                await changed.wait()
                changed.clear()
                await asyncio.to_thread(on_address)
        finally:
            loop.remove_reader(watch)


async def _follow_clock(on_hour: Callable[[], None]) -> None:
    """Call *on_hour*, in a thread, once an hour."""
    while True:
        await asyncio.sleep(HOUR)
        await asyncio.to_thread(on_hour)


class _Server(uvicorn.Server):
    """A server on one socket that leaves signals to others."""

    def __init__(self, listener: Listener, stop: asyncio.Event) -> None:
        config = uvicorn.Config(
            listener.app,
            http="h11",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,  # it is renewed by the loop that is not used here
            timeout_graceful_shutdown=GRACE,
            ssl_certfile=listener.cert,
            ssl_keyfile=listener.key,
        )
        super().__init__(config)
        self.up = asyncio.Event()
        self._stop = stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to answer, and say so."""
        await super().startup(sockets)
        self.up.set()

    async def main_loop(self) -> None:
        """Wait for the end."""
        await self._stop.wait()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take no signals."""
        yield
