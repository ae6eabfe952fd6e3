"""The asking: what a way of asking and a kind of agent must be able to do; opens connections."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from lbctl.agent.wire import LoadReport
    from lbctl.model import Agent, SocketAddress

OnEnd = Callable[[bytes | Exception], None]


class Unanswered(Exception):
    """The agent gave no answer; one line says why."""


class Asker(Protocol):
    """A way of asking one agent."""

    def ask(self, target: str) -> None:
        """
        Ask for *target*; the answer, or why there is none, goes to *on_end* exactly once.

        The reason is Unanswered, or BadReport for an answer that cannot be one.
        """

    def abort(self) -> None:
        """Give up what is under way, without a call of *on_end*, and close the connection."""


class Kind(Protocol):
    """What is particular to a kind of agent; one object for each agent, so it may remember."""

    def asker(self, address: SocketAddress, on_end: OnEnd) -> Asker:
        """Give the way to ask such an agent."""

    def target(self, agent: Agent) -> str:
        """Say what to ask for.  Raises LbctlError when it cannot be asked."""

    def read(self, agent: Agent, answer: bytes) -> LoadReport:
        """Read the answer to the last `target`.  Raises BadReport."""


class Dialer:
    """Opens connections to one address, one after the other."""

    def __init__(self, address: SocketAddress, on_failure: Callable[[Exception], None]) -> None:
        self._address = address
        self._on_failure = on_failure
        self._task: asyncio.Task[None] | None = None

    def dial(self, connection: asyncio.BaseProtocol) -> None:
        """Connect; *connection* hears of it by its `connection_made`."""
        self._task = asyncio.get_running_loop().create_task(self._dial(connection))

    def hang_up(self) -> None:
        """Give up a connection that is not open yet."""
        if self._task:
            self._task.cancel()
            self._task = None

    async def _dial(self, connection: asyncio.BaseProtocol) -> None:
        host, port = str(self._address.address), self._address.port
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: connection, host, port)
        except OSError as err:
            self._on_failure(Unanswered(os.strerror(err.errno) if err.errno else str(err)))
