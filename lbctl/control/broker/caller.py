"""
The caller: one connection of an application, read and written without ever waiting for it.

Who does not read what it asked for is not waited for: its connection ends.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from lbctl.control.broker.running import Peer
from lbctl.netif import wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lbctl.control.broker.running import RunningApp
    from lbctl.netif.wire import Message

_CREDENTIALS = struct.Struct("=iII")  # struct ucred: pid, uid, gid


class Caller:
    """
    One connection; *running*: the application that lives as long as it, if there is one.

    For the event loop only.
    """

    def __init__(self, plug: socket.socket) -> None:
        plug.setblocking(False)  # noqa: FBT003 - its only argument
        raw = plug.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, _ = _CREDENTIALS.unpack(raw)
        self.peer = Peer(pid, uid)
        self.running: RunningApp | None = None
        self._plug = plug

    async def receive(self) -> tuple[Message, list[int]]:
        """Wait for a message; its descriptors are the caller's to close.  See wire.receive."""
        await asyncio.sleep(0)  # who always has something to say must not keep others waiting
        while True:
            try:
                return wire.receive(self._plug)
            except BlockingIOError:
                await self._readable()

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        loop.add_reader(self._plug, partial(_wake, ready))
        try:
            await ready
        finally:
            loop.remove_reader(self._plug)

    def send(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Send at once; OSError if it does not take it."""
        wire.send(self._plug, message, descriptors)

    def is_gone(self) -> bool:
        """Whether the other side has closed, though nobody has noticed yet."""
        with suppress(BlockingIOError):
            try:
                return not self._plug.recv(1, socket.MSG_PEEK)
            except OSError as error:
                return not isinstance(error, BlockingIOError)
        return False

    def dismiss(self, message: Message) -> None:
        """Say a last thing; whoever reads here finds the end."""
        with suppress(OSError):
            self.send(message)
        with suppress(OSError):
            self._plug.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it."""
        self._plug.close()


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
