"""
The polling: ask one agent once an interval, never twice at once, and never wait too long.

Timers are rounded up to ticks.  What falls due in the same tick is done together, which with many
agents is worth a third of the CPU: the process wakes up that much less.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from lbctl.agent.wire import BadReport
from lbctl.control.resources.haproxy import Haproxy
from lbctl.control.resources.node_exporter import NodeExporter
from lbctl.control.resources.orca import Orca
from lbctl.control.resources.signed import Signed
from lbctl.errors import LbctlError
from lbctl.model import AgentKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbctl.control.resources.asking import Kind
    from lbctl.control.resources.keys import Keys
    from lbctl.control.resources.tracked import Tracked

TICK = 0.02  # seconds


def kind_of(kind: AgentKind, keys: Keys) -> Kind:
    """Give what reads an agent of *kind*, any but push."""
    if kind is AgentKind.HAPROXY:
        return Haproxy()
    if kind is AgentKind.NODE_EXPORTER:
        return NodeExporter()
    if kind is AgentKind.ORCA:
        return Orca()
    return Signed(keys)


class Poller:
    """
    Asks one agent until it is closed.

    *begin*: part of an interval to wait before the first time, 0 to 1, so that the polls of many
    agents are spread.  *on_end* hears of the end of each poll, whatever it brought.
    """

    def __init__(
        self,
        tracked: Tracked,
        kind: Kind,
        clock: Callable[[], float],
        on_end: Callable[[Tracked], None],
        begin: float,
    ) -> None:
        self.tracked = tracked
        self.agent = tracked.agent  # as it was when the next poll was planned
        self._kind = kind
        self._asker = kind.asker(tracked.agent.address, self._end)
        self._clock = clock
        self._on_end = on_end
        self._begin = begin
        self._loop = asyncio.get_running_loop()
        self._asking = False
        self._plan(self._loop.time() + begin * self.agent.interval)

    def restart(self) -> None:
        """Go on by what the agent's configuration says now."""
        if not self._asking:
            self._timer.cancel()
            self._plan(self._loop.time() + self._begin * self.tracked.agent.interval)

    def close(self) -> None:
        """Ask no more."""
        self._timer.cancel()
        self._asker.abort()

    def _plan(self, due: float) -> None:
        self.agent = self.tracked.agent
        self._due = due
        self._timer = self._at(due, self._ask)

    def _at(self, when: float, what: Callable[[], None]) -> asyncio.TimerHandle:
        return self._loop.call_at(math.ceil(when / TICK) * TICK, what)

    def _ask(self) -> None:
        self.agent = self.tracked.agent
        if self.tracked.taken and self.tracked.is_fresh(self._clock()):
            self._plan_next()  # another resource manager asks it
            return
        self._asking = True
        self._timer = self._at(self._loop.time() + self.agent.timeout, self._give_up)
        try:
            target = self._kind.target(self.agent)
        except LbctlError as err:
            self._end(err)
        else:
            self._asker.ask(target)

    def _give_up(self) -> None:
        self._asker.abort()
        self._end(TimeoutError(f"no answer within {self.agent.timeout:g} s"))

    def _end(self, answer: bytes | Exception) -> None:
        self._timer.cancel()
        self._asking = False
        try:
            self._take(answer)
            self._on_end(self.tracked)
        finally:
            self._plan_next()

    def _take(self, answer: bytes | Exception) -> None:
        now = self._clock()
        try:
            if isinstance(answer, bytes):
                self.tracked.accept(self._kind.read(self.agent, answer), now)
                return
        except BadReport as err:
            answer = err
        if isinstance(answer, BadReport):
            self.tracked.refuse(str(answer), now)
        else:
            self.tracked.fail(str(answer))

    def _plan_next(self) -> None:
        """Plan the next poll; one that is due already has been missed."""
        interval, now = self.tracked.agent.interval, self._loop.time()
        due = self._due + interval
        if due <= now:
            due += math.ceil((now - due) / interval) * interval
        self._plan(due)
