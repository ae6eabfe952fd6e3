"""
The reception: accept connections, and keep anybody from taking all that there are.

For the event loop only.  Each connection is served by a task of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from lbctl.control.broker.caller import Caller
from lbctl.errors import Conflict
from lbctl.netif import wire

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Coroutine

    Serve = Callable[[Caller], Coroutine[object, object, None]]

MOST = 1024  # connections; root may have more
MOST_OF_USER = 64
AT_ONCE = 16  # connections that are accepted before others have their turn
REST = 0.5  # seconds before the next try after one could not be accepted

log = logging.getLogger(__name__)


class Reception:
    """Everybody who is connected to one listening socket."""

    def __init__(self, listener: socket.socket, serve: Serve) -> None:
        self._listener, self._serve = listener, serve
        self._tasks: dict[asyncio.Task[None], int] = {}  # and whose each is
        self._users: Counter[int] = Counter()
        self._later: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Accept from now on."""
        self._later = None
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    async def close(self) -> None:
        """Accept no more, and end all connections."""
        asyncio.get_running_loop().remove_reader(self._listener)
        if self._later:
            self._later.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                plug, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:  # no descriptor is free, say
                log.warning("an application could not be accepted: %s", error.strerror)
                loop = asyncio.get_running_loop()
                loop.remove_reader(self._listener)
                self._later = loop.call_later(REST, self.open)
                return
            self._receive(plug)

    def _receive(self, plug: socket.socket) -> None:
        """Give a connection its task, unless there are too many."""
        try:
            caller = Caller(plug)
        except OSError:  # it is gone already
            plug.close()
            return
        uid = caller.peer.uid
        full = len(self._tasks) >= MOST or self._users[uid] >= MOST_OF_USER
        if uid and full:
            with suppress(OSError):
                caller.send(wire.failure(Conflict("lbctld: too many connections; close some")))
            caller.close()
            return
        task = asyncio.get_running_loop().create_task(self._tend(caller))
        self._tasks[task] = uid
        self._users[uid] += 1
        task.add_done_callback(self._forget)

    async def _tend(self, caller: Caller) -> None:
        """Serve a connection; what goes wrong with one is nobody else's business."""
        try:
            await self._serve(caller)
        except Exception:
            log.exception("%s: an application could not be served", caller.peer)
        finally:
            caller.close()

    def _forget(self, task: asyncio.Task[None]) -> None:
        uid = self._tasks.pop(task)
        self._users[uid] -= 1
        if not self._users[uid]:
            del self._users[uid]
