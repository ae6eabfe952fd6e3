"""The policy: agents, what happens to a server that is down, and timeouts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lbctl.cli.importing.haproxy import units
from lbctl.model import (
    Agent,
    AgentKind,
    Balance,
    OnDown,
    Passive,
    SocketAddress,
    Timeouts,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lbctl.cli.importing.haproxy.lines import Section
    from lbctl.cli.importing.haproxy.servers import Server
    from lbctl.cli.importing.remarks import Remarks

MOST_SLOW_START = 3600.0
AGENT_INTERVAL = 2.0
ONE = "a pool has this for all of its servers: some have it"
OBSERVED = "passive checks: connections that are refused or stay unanswered count"
WHOLE = "the longest of all proxies holds for the whole switch"
LEAST, MOST = 2, 43200


def policy(servers: Sequence[Server], remarks: Remarks) -> dict[str, Any]:
    """The fields of a pool that follow from what its servers say."""
    fields: dict[str, Any] = {}
    for word in ("slowstart", "on-marked-down", "observe"):
        said = [server for server in servers if word in server.options]
        for server in said:
            line, value = server.options[word]
            if len(said) < len(servers):
                remarks.differs(line, f"{word} {value}", ONE)
            fields |= _policy(word, value, line, remarks)
    return fields


def _policy(word: str, value: str, line: int, remarks: Remarks) -> dict[str, Any]:
    if word == "slowstart":
        found = units.seconds(value)
        if found is not None:
            return {"balance": Balance(slow_start=units.within(found, 0, MOST_SLOW_START))}
    elif word == "observe":
        remarks.differs(line, f"{word} {value}", OBSERVED)
        return {"passive": Passive()}
    elif value == "shutdown-sessions":
        return {"on_down": OnDown.RESET}
    remarks.not_taken(line, f"{word} {value}", "it makes no sense")
    return {}


class Agents:
    """The agents of all servers; one may tell of several."""

    def __init__(self, remarks: Remarks) -> None:
        self._remarks = remarks
        self._found: dict[SocketAddress, tuple[float, dict[SocketAddress, None]]] = {}

    def add(self, server: Server, address: SocketAddress) -> bool:
        """Let the agent of *server*, if it has one, tell of the back-end at *address*."""
        check = server.options.get("agent-check")
        if check is None:
            return False
        said = server.options.get("agent-port")
        port = units.number(said.value, 1, 65535) if said else None
        if port is None:
            self._remarks.not_taken(check.line, "agent-check", "it needs an agent-port")
            return False
        agent = SocketAddress(address.address, port)
        _, backends = self._found.setdefault(agent, (self._interval(server), {}))
        backends[address] = None
        return True

    def _interval(self, server: Server) -> float:
        said = server.options.get("agent-inter")
        found = units.seconds(said.value) if said else AGENT_INTERVAL
        if found is None and said:
            self._remarks.not_taken(said.line, f"agent-inter {said.value}", "it is no time")
        return units.within(round(found or AGENT_INTERVAL, 3), 0.1, 3600)

    def all(self) -> tuple[Agent, ...]:
        """The agents as the model has them; a word is fresh for three intervals."""
        return tuple(
            Agent(
                address=address,
                kind=AgentKind.HAPROXY,
                interval=interval,
                stale=units.within(3 * interval, 10, 3600),
                backends=tuple(backends),
            )
            for address, (interval, backends) in self._found.items()
        )


def timeouts(sections: Iterable[Section], remarks: Remarks) -> Timeouts:
    """How long connections may be silent, from the frontends and backends that are used."""
    sections = list(sections)
    idle = _longest(sections, ("client", "server", "tunnel"), remarks)
    closing = _longest(sections, ("client-fin", "server-fin"), remarks)
    fields = {"established": idle, "closing": closing}
    return Timeouts(**{name: value for name, value in fields.items() if value is not None})


def _longest(sections: Sequence[Section], names: Sequence[str], remarks: Remarks) -> int | None:
    """The longest of these timeouts; None if none is said."""
    found = [s for section in sections for n in names if (s := section.last("timeout", n))]
    times = {s: units.seconds(s.words[2]) if len(s.words) > 2 else None for s in found}
    longest = max((time for time in times.values() if time is not None), default=None)
    value = None if longest is None else int(units.within(round(longest), LEAST, MOST))
    for statement, time in times.items():
        if time is None:
            remarks.not_taken(statement.line, statement.text, "it is no time")
        elif time != value:
            remarks.differs(statement.line, statement.text, f"{value} s: {WHOLE}")
    return value
