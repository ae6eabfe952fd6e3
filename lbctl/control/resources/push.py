"""
The push kind: listen to lbctl agents that send their load by themselves, as sealed UDP datagrams.

A datagram counts if a configured agent of this kind sealed it less than half a minute ago, later
than the last one of it that counted, and later than we began to listen: none counts twice.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from lbctl.agent import wire
from lbctl.agent.wire import BadReport
from lbctl.errors import LbctlError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from lbctl.agent.wire import Statement
    from lbctl.control.resources.keys import Keys
    from lbctl.control.resources.tracked import Tracked

WINDOW = 30.0  # seconds that the clocks of agent and switch may differ
BATCH = 64  # datagrams that are read before others have their turn
PAUSE = 0.01  # seconds for the others when there are more: a flood has a tenth of a core at most
# Who says it is read before anything is proved, only to know whose key to try.
CLAIM = re.compile(rb'"agent"\s*:\s*"([\x21-\x7e]{1,100}?)"')


class Clocks(NamedTuple):
    """What time it is."""

    monotonic: Callable[[], float]
    wall: Callable[[], float]  # Unix seconds


class PushReceiver:
    """
    Reads *door*, a UDP socket, from `open` to `close`.

    *find* gives the agent of kind push with that name; *on_end* hears whose datagram came.
    """

    def __init__(
        self,
        door: socket.socket,
        keys: Keys,
        clocks: Clocks,
        find: Callable[[str], Tracked | None],
        on_end: Callable[[Tracked], None],
    ) -> None:
        self._door = door
        self._keys = keys
        self._clocks = clocks
        self._find = find
        self._on_end = on_end
        self._since = clocks.wall()
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Begin to listen."""
        self._door.settimeout(0)
        self._loop.add_reader(self._door, self._read)

    def close(self) -> None:
        """Listen no more; the socket is the caller's to close."""
        self._loop.remove_reader(self._door)
        if self._pause:
            self._pause.cancel()

    def _read(self) -> None:
        with suppress(OSError):  # nothing more to read, or an error that an earlier send left
            for _ in range(BATCH):
                self._hear(self._door.recv(wire.MAX_BYTES + 1))
            self._loop.remove_reader(self._door)
            self._pause = self._loop.call_later(PAUSE, self.open)

    def _hear(self, datagram: bytes) -> None:
        claim = CLAIM.search(datagram)
        tracked = self._find(claim[1].decode()) if claim else None
        if tracked is None or tracked.agent.key_file is None:
            return  # a stranger: there is nobody to blame
        now = self._clocks.monotonic()
        try:
            statement = wire.open_(self._keys.key(tracked.agent.key_file), datagram)
            self._require_fresh(tracked, statement)
        except BadReport as err:
            tracked.refuse(str(err), now)
        except LbctlError as err:
            tracked.fail(str(err))
        else:
            tracked.sealed_after = statement.time
            tracked.accept(statement.report, now)
        self._on_end(tracked)

    def _require_fresh(self, tracked: Tracked, statement: Statement) -> None:
        """Refuse what may be a copy of an older datagram.  Raises BadReport."""
        if statement.agent != str(tracked.agent.address):
            raise BadReport(f"the statement is by {statement.agent}, not {tracked.agent.address}")
        off = statement.time - self._clocks.wall()
        if abs(off) > WINDOW:
            raise BadReport(
                f"the statement is {off:+.0f} s off, more than {WINDOW:g} s; set both clocks"
            )
        if statement.time <= max(tracked.sealed_after, self._since):
            raise BadReport(
                "the statement is not later than the last one, or our start: it may be a copy"
            )
