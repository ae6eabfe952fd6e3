"""
The settings: what an agent is to look at, and whom to tell.

Checks what options contradict each other and makes the probes.  Where the settings come from,
command line or file, is for the options to know.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from lbctl.agent import trees
from lbctl.agent.addresses import Address
from lbctl.agent.applications import JsonFileProbe, JsonSocketProbe, StubStatusProbe
from lbctl.agent.cgroup import CgroupProbe
from lbctl.agent.connections import ConnectionsProbe
from lbctl.agent.fetch import Url
from lbctl.agent.machine import MachineProbe
from lbctl.agent.prometheus import Metric, Metrics, PrometheusProbe
from lbctl.agent.state import DEFAULT_FILE
from lbctl.agent.wire import MAX_PORTS, Wish
from lbctl.errors import UsageError

if TYPE_CHECKING:
    from lbctl.agent.readings import Probe

JSON_MAX_AGE = 10.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Each is an option of `lbctl-agent run` and a key of its file, by the same name."""

    listen: tuple[Address, ...] = ()
    check_listen: tuple[Address, ...] = ()
    agent_check: bool = True  # on the ports of *listen* too
    metrics: bool = True
    key_file: Path | None = None
    name: str | None = None
    push: tuple[Address, ...] = ()
    interval: float = 1.0  # seconds
    ports: tuple[int, ...] = ()
    cgroup: str | None = None
    cgroup_root: Path = trees.ROOT
    state: Wish = Wish.UP
    state_file: Path = DEFAULT_FILE
    prometheus: Url | None = None
    requests_metric: Metric | None = None
    clients_metric: Metric | None = None
    execution_metric: Metric | None = None
    utilization_metric: Metric | None = None
    json_file: Path | None = None
    json_max_age: float = JSON_MAX_AGE  # seconds
    json_socket: Path | None = None
    stub_status: Url | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work together.  Raises UsageError."""
        if self.push and (self.name is None or self.key_file is None):
            raise UsageError("push: a switch believes a name and a key; give name and key_file too")
        if len(self.ports) > MAX_PORTS:
            raise UsageError(f"ports: {len(self.ports)} are too many; {MAX_PORTS} is the most")
        if any(to.host == "" or to.port == 0 for to in self.push):
            raise UsageError("push: needs HOST:PORT, such as 10.0.0.1:8408")
        chosen = [f.name for f in fields(self) if f.name.endswith("_metric")]
        chosen = [name for name in chosen if getattr(self, name) is not None]
        if chosen and self.prometheus is None:
            raise UsageError(f"{chosen[0]}: give the URL of the metrics too, as prometheus")
        if self.prometheus and not chosen:
            raise UsageError(
                "prometheus: say which metrics, such as requests_metric or clients_metric"
            )

    def probes(self) -> list[Probe]:
        """Make the probes; what the application says comes before what can be seen of it."""
        found: list[Probe] = []
        if self.prometheus:
            metrics = Metrics(
                requests=self.requests_metric,
                clients=self.clients_metric,
                execution=self.execution_metric,
                utilization=self.utilization_metric,
            )
            found.append(PrometheusProbe(self.prometheus, metrics, self.interval))
        if self.json_file:
            found.append(JsonFileProbe(self.json_file, self.interval, self.json_max_age))
        if self.json_socket:
            found.append(JsonSocketProbe(self.json_socket, self.interval))
        if self.stub_status:
            found.append(StubStatusProbe(self.stub_status, self.interval))
        if self.ports:
            found.append(ConnectionsProbe(self.ports, self.interval))
        if self.cgroup:
            found.append(CgroupProbe(self.cgroup, root=self.cgroup_root))
        # Of a machine that is shared, the CPU says nothing about the cgroup's own share.
        found.append(MachineProbe(cpu=not self.cgroup))
        return found
