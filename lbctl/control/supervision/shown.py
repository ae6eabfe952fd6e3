"""The shown supervision: turn what is known of back-ends into answers of the API.  Reads only."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING

from lbctl.control import reports
from lbctl.control.journal import iso
from lbctl.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from lbctl.agent.wire import LoadReport
    from lbctl.control.health.passive import Inhibition
    from lbctl.control.resources.tracked import AgentState
    from lbctl.control.supervision.supervisor import Supervisor
    from lbctl.model import Agent, Configuration, IPAddress, SocketAddress


def health(
    supervisor: Supervisor, configuration: Configuration, only: str | None
) -> list[reports.HealthStatus]:
    """What checks, and the data path, found of the back-ends of all pools, or of one."""
    found = []
    now, unix = time.monotonic(), time.time()
    for pool in configuration.pools:
        if only not in (None, pool.name) or not (pool.health or pool.passive):
            continue
        for backend in pool.backends:
            known = supervisor.health.health(pool.name, backend.address)
            inhibition = supervisor.inhibition((pool.name, backend.address))
            until = iso(unix + inhibition.until - now) if inhibition else None
            status = reports.HealthStatus(
                pool=pool.name,
                address=backend.address,
                check=pool.health.check if pool.health else "passive",
                up=known.up if known and known.checked else None,
                reason=_reason(known.reason if known else "", inhibition),
                since=iso(known.since) if known else "",
                successes=known.successes if known else 0,
                failures=known.failures if known else 0,
                response_seconds=known.response_seconds if known else None,
                inhibited_until=until,
            )
            found.append(status)
    return found


def _reason(reason: str, inhibition: Inhibition | None) -> str:
    return f"inhibited: {inhibition.reason}" if inhibition else reason or "not checked"


def agents(supervisor: Supervisor, configuration: Configuration) -> list[reports.AgentStatus]:
    """All agents."""
    servers = _servers(configuration)
    return [_agent(state, servers) for state in supervisor.resources.states()]


def agent(
    supervisor: Supervisor, configuration: Configuration, address: SocketAddress
) -> reports.AgentStatus:
    """One agent.  Raises NotFound."""
    for state in supervisor.resources.states():
        if state.agent.address == address:
            return _agent(state, _servers(configuration))
    raise NotFound(f"there is no agent {address}; see `lbctl agent list`")


def _servers(configuration: Configuration) -> dict[IPAddress, set[SocketAddress]]:
    """The back-ends of all pools, by host."""
    found: defaultdict[IPAddress, set[SocketAddress]] = defaultdict(set)
    for pool in configuration.pools:
        for backend in pool.backends:
            found[backend.address.address].add(backend.address)
    return found


def _agent(
    state: AgentState, servers: Mapping[IPAddress, set[SocketAddress]]
) -> reports.AgentStatus:
    agent, reading = state.agent, state.reading
    age = time.monotonic() - reading.at if reading else None
    here = servers.get(agent.address.address, set())
    return reports.AgentStatus(
        address=agent.address,
        kind=str(agent.kind),
        state=word(agent, age),
        backends=agent.backends or tuple(sorted(here)),
        age_seconds=None if age is None else round(age, 1),
        report=_report(reading.report) if reading else None,
        answers=state.answers,
        failures=state.failures,
        refused=state.refused,
        problem=state.problem,
    )


def word(agent: Agent, age: float | None) -> Literal["fresh", "silent", "waiting"]:
    """Whether what an agent said *age* seconds ago (None: nothing yet) counts."""
    if age is None:
        return "waiting"
    return "fresh" if age <= agent.stale else "silent"


def _report(report: LoadReport) -> reports.AgentReport:
    return reports.AgentReport(
        cpu=report.cpu,
        memory=report.memory,
        utilization=report.utilization,
        clients=report.clients,
        requests_per_second=report.requests_per_second,
        execution_seconds=report.execution_seconds,
        weight=report.weight,
        wish=str(report.wish) if report.wish else None,
        reason=report.reason,
    )
