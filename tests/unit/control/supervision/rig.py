"""A supervisor whose health, agents, counters and clock are what a test says."""

# ruff: noqa: D102 - each method does what the real one says

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lbctl.agent.wire import LoadReport
from lbctl.control.health.record import Health
from lbctl.control.journal import Journal
from lbctl.control.resource_manager import Reading
from lbctl.control.supervision.supervisor import Supervisor
from lbctl.control.supervision.traffic import Totals
from lbctl.model import Agent, SocketAddress, State

if TYPE_CHECKING:
    from pathlib import Path

    from lbctl.control.standing import Key, Standings
    from lbctl.model import Configuration

AGENT = Agent(address="10.0.1.11:9777", kind="haproxy", stale=10)


class FakeHealth:
    """The health monitor: what it knows is put there."""

    def __init__(self) -> None:
        self.known: dict[Key, Health] = {}
        self.followed: list[Configuration] = []
        self.waits: list[tuple[set[Key], float]] = []
        self.during_wait: Any = lambda: None

    def follow(self, configuration: Configuration) -> None:
        self.followed.append(configuration)

    def restore(self, saved: dict[Key, Health]) -> None:
        self.known |= saved

    def health(self, pool: str, address: SocketAddress) -> Health | None:
        return self.known.get((pool, address))

    def first_look(self, keys: set[Key], patience: float) -> None:
        self.waits.append((keys, patience))
        self.during_wait()


class FakeResources:
    """The resource manager: what agents said is put there."""

    def __init__(self) -> None:
        self.said: dict[SocketAddress, tuple[Agent, Reading]] = {}
        self.followed: list[Any] = []

    def follow(self, agents: Any, *, asking: bool = True) -> None:
        self.followed.append((agents, asking))

    def reading(self, backend: SocketAddress) -> tuple[Agent, Reading] | None:
        return self.said.get(backend)


class FakeCounts:
    """The counters of the data path."""

    def __init__(self) -> None:
        self.by_key: dict[Key, Totals] = {}
        self.opened: dict[Key, int] = {}

    def totals(self, _configuration: Configuration) -> dict[Key, Totals]:
        return dict(self.by_key)

    def open_connections(self, _configuration: Configuration) -> dict[Key, int]:
        return self.opened


class Rig:
    """The supervisor, and all that it looks at; *now* is its clock."""

    def __init__(self, folder: Path) -> None:
        self.now = 100.0
        self.counts, self.journal = FakeCounts(), Journal(folder)
        self.supervisor = Supervisor(self.counts, self.journal, clock=lambda: self.now)
        self.health, self.resources = FakeHealth(), FakeResources()
        self.supervisor.health, self.supervisor.resources = self.health, self.resources

    def find(self, address: SocketAddress, *, up: bool, checked: bool = True, **more: Any) -> None:
        """Have a check of the pool web find something."""
        reason = "200 in 3 ms" if up else "no answer"
        found = Health(up=up, reason=reason, since=1.0, checked=checked, **more)
        self.health.known["web", address] = found

    def say(self, address: SocketAddress, agent: Agent = AGENT, **told: Any) -> None:
        """Have an agent tell something of a back-end, now."""
        self.resources.said[address] = (agent, Reading(LoadReport(**told), self.now))

    def count(self, address: SocketAddress, *totals: int) -> None:
        """Have the data path count these totals for the pool web."""
        self.counts.by_key["web", address] = Totals(*totals)

    def look(self, configuration: Configuration, after: float = 1.0) -> Standings:
        """How the back-ends stand, some seconds later."""
        self.now += after
        return self.supervisor.standings(configuration)

    def states(self, configuration: Configuration) -> list[State]:
        """The states of the back-ends of the first pool."""
        found, pool = self.look(configuration), configuration.pools[0]
        return [found.of(pool.name, backend).state for backend in pool.backends]

    def events(self, kind: str) -> list[str]:
        """The texts of all events of a kind."""
        return [entry.text for entry in self.journal.events(kind=kind)]
