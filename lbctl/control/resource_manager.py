"""
The resource manager: collect what load agents tell, and have the last word of each at hand.

It decides which reports count.  It never decides what follows from them: that is the master
module's.  In the daemon it is one task of the event loop; the command `lbctl-resource-manager`
(`resources.command`) runs the same class on another computer.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from lbctl.control.resources.keys import Keys
from lbctl.control.resources.polling import Poller, kind_of
from lbctl.control.resources.push import Clocks, PushReceiver
from lbctl.control.resources.tracked import AgentEvent, AgentState, EventKind, Reading, Tracked
from lbctl.model import AgentKind

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lbctl.agent.wire import LoadReport
    from lbctl.model import Agent, IPAddress, SocketAddress

__all__ = ["AgentEvent", "AgentState", "EventKind", "Reading", "ResourceManager"]

LOOK = 1.0  # seconds between two looks for agents that have fallen silent
GOLDEN = (math.sqrt(5) - 1) / 2  # multiples of it, modulo 1, lie evenly however many there are
MAX_AGE = 3600.0  # seconds; what is older is no load


class _Tellers(NamedTuple):
    """The agents, and who tells of whom; replaced as a whole."""

    agents: Mapping[SocketAddress, Tracked]
    of_backend: Mapping[SocketAddress, Sequence[Tracked]]
    of_host: Mapping[IPAddress, Sequence[Tracked]]
    pushing: Mapping[str, Tracked]

    @classmethod
    def of(cls, agents: Mapping[SocketAddress, Tracked]) -> _Tellers:
        """Look up who tells of whom."""
        tellers = cls(agents, {}, {}, {})
        of_backend: dict[SocketAddress, list[Tracked]] = {}
        of_host: dict[IPAddress, list[Tracked]] = {}
        for address, tracked in agents.items():
            for backend in tracked.agent.backends:
                of_backend.setdefault(backend, []).append(tracked)
            if not tracked.agent.backends:
                of_host.setdefault(address.address, []).append(tracked)
        pushing = {str(a): t for a, t in agents.items() if t.agent.kind is AgentKind.PUSH}
        return tellers._replace(of_backend=of_backend, of_host=of_host, pushing=pushing)


class ResourceManager:
    """
    Follows agents while `run` runs.

    *on_event* hears of changes of state only, in the event loop; it must not block.
    """

    def __init__(
        self,
        on_event: Callable[[AgentEvent], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._on_event = on_event
        self._clocks = Clocks(clock, wall)
        self._keys = Keys()
        self._lock = threading.Lock()  # of what `follow` replaces
        self._tellers = _Tellers.of({})
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pollers: dict[SocketAddress, Poller] = {}
        self._started = 0  # pollers so far
        self._asking = True

    # -- from any thread -------------------------------------------------------------------

    def follow(self, agents: Sequence[Agent], *, asking: bool = True) -> None:
        """
        Follow *agents* and nobody else; one that stays keeps its reading.

        Without *asking* nobody is asked: another resource manager does, and has `take` called.
        """
        now, wall = self._clocks.monotonic(), self._clocks.wall()
        with self._lock:
            before, after = self._tellers.agents, {}
            for agent in agents:
                tracked = before.get(agent.address)
                if tracked is None or tracked.agent.kind is not agent.kind:
                    tracked = Tracked(agent, now, wall)
                tracked.agent = agent
                after[agent.address] = tracked
            self._tellers = _Tellers.of(after)
            self._asking = asking
        self._in_loop(self._reconcile)

    def reading(self, backend: SocketAddress) -> tuple[Agent, Reading] | None:
        """
        Give the newest report on *backend*, and whose it is.

        An agent tells of the back-ends that it names, or of all at its own IP address.
        """
        tellers, newest = self._tellers, None
        named = tellers.of_backend.get(backend, ())
        for tracked in chain(named, tellers.of_host.get(backend.address, ())):
            reading = tracked.reading
            if reading and (newest is None or reading.at > newest[1].at):
                newest = tracked.agent, reading
        return newest

    def states(self) -> list[AgentState]:
        """All agents as they are seen now."""
        return [tracked.state() for tracked in self._tellers.agents.values()]

    def take(self, readings: Iterable[tuple[SocketAddress, LoadReport, float]]) -> int:
        """
        Take (agent, report, age in seconds) that another resource manager collected.

        Returns how many are of agents that are configured.  Such an agent is not asked by this
        one as well, until its word is stale.
        """
        now, agents = self._clocks.monotonic(), self._tellers.agents
        known = [
            (agents[address], report, now - age)
            for address, report, age in readings
            if address in agents and 0 <= age <= MAX_AGE
        ]
        self._in_loop(self._accept, known)
        return len(known)

    # -- in the event loop -----------------------------------------------------------------

    async def run(self, push: socket.socket | None = None) -> None:
        """Ask all agents, and listen at *push*, a UDP socket, until cancelled."""
        self._loop = asyncio.get_running_loop()
        receiver = None
        try:
            if push:
                receiver = PushReceiver(push, self._keys, self._clocks, self._pushing, self._tell)
                receiver.open()
            self._reconcile()
            while True:
                await asyncio.sleep(LOOK)
                for tracked in self._tellers.agents.values():
                    self._tell(tracked)
        finally:
            self._loop = None
            if receiver:
                receiver.close()
            for poller in self._pollers.values():
                poller.close()
            self._pollers.clear()

    def _in_loop(self, what: Callable[..., None], *arguments: object) -> None:
        """Have *what* done in the event loop's thread; here, while there is none."""
        if loop := self._loop:
            with suppress(RuntimeError):  # it has just been closed: nobody is asked any more
                loop.call_soon_threadsafe(what, *arguments)
        else:
            what(*arguments)

    def _reconcile(self) -> None:
        """Ask those who are to be asked, and nobody else."""
        if self._loop is None:
            return
        wanted = self._tellers.agents if self._asking else {}
        for address, poller in list(self._pollers.items()):
            if wanted.get(address) is not poller.tracked:
                poller.close()
                del self._pollers[address]
            elif poller.agent is not poller.tracked.agent:
                poller.restart()
        for address, tracked in wanted.items():
            if address not in self._pollers and tracked.agent.kind is not AgentKind.PUSH:
                self._pollers[address] = self._poller(tracked)

    def _poller(self, tracked: Tracked) -> Poller:
        self._started += 1
        begin = self._started * GOLDEN % 1
        kind = kind_of(tracked.agent.kind, self._keys)
        return Poller(tracked, kind, self._clocks.monotonic, self._tell, begin)

    def _accept(self, readings: Sequence[tuple[Tracked, LoadReport, float]]) -> None:
        for tracked, report, at in readings:
            tracked.accept(report, at, taken=True)
            if self._loop:
                self._tell(tracked)

    def _pushing(self, name: str) -> Tracked | None:
        return self._tellers.pushing.get(name)

    def _tell(self, tracked: Tracked) -> None:
        for event in tracked.news(self._clocks.monotonic()):
            self._on_event(event)
