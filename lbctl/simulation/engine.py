"""
The engine: run a scenario with one scheduler, interval by interval.

Clients, servers and agents are models, the distributor and the slot table are those of `lbctld`.
The same seed gives the same run, and the same noise to every scheduler.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from lbctl.control import schedulers
from lbctl.control.distribution import Distributor, Member
from lbctl.control.schedulers import move
from lbctl.model import SocketAddress
from lbctl.simulation.scenario import TABLE_SIZE
from lbctl.simulation.servers import Server

if TYPE_CHECKING:
    from lbctl.control.schedulers.move import Slots
    from lbctl.simulation.scenario import Scenario

Array = npt.NDArray[np.float64]

FIRST = IPv4Address("10.0.1.1")
CHECK_NOISE = 0.2  # of a health check's time, as a standard deviation of its logarithm


class Run(NamedTuple):
    """What happened: one row for each interval, one column for each server."""

    scheduler: str
    servers: tuple[str, ...]
    times: Array  # seconds, a vector
    shares: Array  # of the new connections
    loads: Array  # part of the CPU in use
    seconds: Array  # that a request took
    rates: Array  # requests a second
    moved: npt.NDArray[np.intp]  # slots that changed hands, a vector


class Engine:
    """A scenario under way."""

    def __init__(self, scenario: Scenario, scheduler: str) -> None:
        self.scenario = scenario
        self.scheduler = scheduler
        self.rate = scenario.rate
        self.servers = [
            Server(name, capacity, scenario.weights[name])
            for name, capacity in scenario.capacities.items()
        ]
        self._background = dict.fromkeys(scenario.capacities, 0.0)
        self._trace = list(scenario.trace)
        self._random = np.random.default_rng(scenario.seed)
        self._distributor = Distributor()
        self._addresses = [SocketAddress(FIRST + i, 80) for i in range(len(self.servers))]
        backends = list(zip(self._addresses, (s.weight for s in self.servers), strict=True))
        self._base = schedulers.slots(scheduler, backends, TABLE_SIZE)
        self.table: Slots = self._base
        self.shares = self._shares()

    def run(self) -> Run:
        """Run it to its end."""
        interval = self.scenario.balance.interval
        count = max(1, round(self.scenario.seconds / interval))
        rows = [self._interval((i + 1) * interval, interval) for i in range(count)]
        columns = list(zip(*rows, strict=True))
        return Run(
            self.scheduler,
            tuple(server.name for server in self.servers),
            np.arange(1, count + 1, dtype=np.float64) * interval,
            *(np.array(column) for column in columns),
        )

    def _interval(
        self, now: float, seconds: float
    ) -> tuple[Array, list[float], list[float], list[float], int]:
        """Live through the interval that ends at *now*; gives a row of Run's columns."""
        self._disturb(now - seconds)
        shares = self.shares
        arrivals = self._random.poisson(self.rate * seconds * shares)
        noise = self._random.lognormal(0.0, CHECK_NOISE, len(self.servers))
        for server, count in zip(self.servers, arrivals.tolist(), strict=True):
            server.run(now, count, seconds)
        moved = self._balance(now, noise)
        loads = [server.busy for server in self.servers]
        taken = [server.seconds for server in self.servers]
        return shares, loads, taken, [server.rate for server in self.servers], moved

    def _disturb(self, now: float) -> None:
        """Do what the trace and the hogs say of *now*."""
        while self._trace and self._trace[0].time <= now:
            sample = self._trace.pop(0)
            self.rate = self.rate if sample.rate is None else sample.rate
            for server in self.servers:
                if server.name == sample.server and sample.cpu is not None:
                    self._background[server.name] = sample.cpu
                if server.name == sample.server and sample.memory is not None:
                    server.memory = sample.memory
        for server in self.servers:
            hog = self._background[server.name] + self.scenario.hog(server.name, now)
            server.hog = min(1.0, hog)

    def _balance(self, now: float, noise: Array) -> int:
        """Let the distributor make a step; gives the number of slots that moved."""
        members = [
            self._member(now, address, server, float(factor))
            for address, server, factor in zip(self._addresses, self.servers, noise, strict=True)
        ]
        done = self._distributor.step(now, self.scheduler, self.scenario.balance, members)
        if not done.changed:
            return 0
        before = self.table
        self.table = move.table(self._base, before, list(done.given.values()), TABLE_SIZE)
        self.shares = self._shares()
        return int((before != self.table).sum()) if len(before) == len(self.table) else 0

    def _member(self, now: float, address: SocketAddress, server: Server, noise: float) -> Member:
        report, age = server.heard(now)
        return Member(
            address=address,
            weight=server.weight,
            serving=True,
            connections=int(self._random.poisson(server.inside)),
            new_connections=server.rate,
            report=report,
            report_age=age,
            response_seconds=server.seconds * noise,
        )

    def _shares(self) -> Array:
        counts = np.bincount(self.table, minlength=len(self.servers))
        return np.asarray(counts / len(self.table))
