"""The assembly: which pools a haproxy.cfg makes, with their VIPs, rules and backups."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from lbctl.cli.importing.building import Imported, Names
from lbctl.cli.importing.haproxy import (
    balance,
    binds,
    checks,
    choices,
    ignored,
    lines,
    policy,
)
from lbctl.cli.importing.haproxy.lines import Section
from lbctl.cli.importing.haproxy.servers import servers
from lbctl.cli.importing.remarks import Remarks
from lbctl.errors import LbctlError
from lbctl.model import Configuration, Pool, Rule, Settings, Timeouts, Vip

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lbctl.cli.importing.haproxy.servers import Server
    from lbctl.model import Backend, IPAddress, IPNetwork

MODES = ("tcp", "http")
UNUSED = "no frontend that was taken leads to it"
NOBODY = "no back-end is left that could serve it"
FAMILY = "no VIP of its address family leads to it"
FIRST = "all backups serve together; without allbackups HAProxy uses the first one that is well"
WAY_BACK = (
    "servers see the addresses of clients: their way back to these must lead through the switch"
)


class Fleet(NamedTuple):
    """The servers of a backend as VIPs of one family see them; port: if that depends on it."""

    backend: str
    version: int
    port: int | None


class Plan(NamedTuple):
    """What VIPs have in common that share a pool: who serves, and who serves which clients."""

    default: Fleet | None
    ways: tuple[tuple[IPNetwork, Fleet], ...]


@dataclass
class _Group:
    """VIPs with one plan, and the frontend that had the first."""

    front: Section
    vips: list[Vip] = field(default_factory=list)


def read(text: str, addresses: Sequence[IPAddress]) -> Imported:
    """
    Read *text*; *addresses* are what `*` stands for in binds.

    Raises LbctlError if there is no section of HAProxy in it.
    """
    remarks = Remarks()
    sections = lines.sections(text, remarks)
    if not sections:
        raise LbctlError("there is no frontend, backend or listen in it; give a haproxy.cfg")
    for section in sections:
        ignored.remark(section, remarks)
    assembly = _Assembly(sections, remarks)
    assembly.group(addresses)
    made = assembly.configuration()
    if made.pools:
        remarks.note(WAY_BACK)
    return Imported(made, remarks)


class _Assembly:
    """Groups VIPs by plan, then makes a pool of each group, each target of a rule, each backup."""

    def __init__(self, sections: Iterable[Section], remarks: Remarks) -> None:
        self.remarks = remarks
        self.names = Names()
        self.agents = policy.Agents(remarks)
        taken = [section for section in sections if _is_taken(section)]
        self.fronts = [section for section in taken if section.kind != "backend"]
        self.backs: dict[str, Section] = {}
        for section in taken:
            if section.kind != "frontend" and section.name in self.backs:
                remarks.not_taken(section.head.line, section.head.text, "the name is there already")
            elif section.kind != "frontend":
                self.backs[section.name] = section
        self.servers = {name: servers(back, remarks) for name, back in self.backs.items()}
        self.groups: dict[Plan, _Group] = {}
        self.backups: dict[Fleet, Pool] = {}

    def group(self, addresses: Sequence[IPAddress]) -> None:
        """Find out who serves each VIP."""
        owners: dict[Vip, int] = {}
        for front in self.fronts:
            uses = choices.uses(front, self.backs, self.remarks)
            for line, vip in binds.binds(front, addresses, self.remarks):
                if owners.setdefault(vip, line) != line:
                    why = f"line {owners[vip]} has it already"
                    self.remarks.not_taken(line, str(vip), why)
                    continue
                plan = self._plan(vip, uses)
                if plan.default is None and not plan.ways:
                    self.remarks.not_taken(line, str(vip), NOBODY)
                    continue
                group = self.groups.setdefault(plan, _Group(front))
                if vip not in group.vips:
                    group.vips.append(vip)

    def _plan(self, vip: Vip, uses: Sequence[choices.Use]) -> Plan:
        def usable(backend: str) -> bool:
            return bool(self._at(self._fleet(backend, vip)))

        choice = choices.choose(vip, uses, usable, self.remarks)
        ways = tuple((way.clients, self._fleet(way.backend, vip)) for way in choice.ways)
        return Plan(self._fleet(choice.default, vip) if choice.default else None, ways)

    def _fleet(self, backend: str, vip: Vip) -> Fleet:
        relative = any(server.relative for server in self.servers[backend])
        return Fleet(backend, vip.address.version, vip.port if relative else None)

    def _at(self, fleet: Fleet) -> list[tuple[Server, Backend]]:
        """The servers of a fleet, and the back-ends that they are for it; each address once."""
        found: dict[object, tuple[Server, Backend]] = {}
        for server in self.servers[fleet.backend]:
            if server.host.version != fleet.version:
                continue
            address = server.at(fleet.port)
            if address is None or address in found:
                why = "this server is there already" if address else "it has no such port"
                self.remarks.not_taken(server.line, server.text, why)
                continue
            found[address] = (server, server.backend(address))
        return [*found.values()]

    def configuration(self) -> Configuration:
        """Make a pool of each group, then of each other target of a rule, then of backups."""
        plain = {plan.default for plan in self.groups if not plan.ways}  # without rules
        targets = dict.fromkeys(fleet for plan in self.groups for _, fleet in plan.ways)
        others = [fleet for fleet in targets if fleet not in plain]
        fleets = [*dict.fromkeys([*(plan.default for plan in self.groups), *others])]
        used = [fleet for fleet in fleets if fleet]
        called = {f: self.names.give(_name(f, used)) for f in used if f in plain or f in targets}
        pools: list[Pool] = []
        for plan, group in self.groups.items():
            name = called.get(plan.default) if plan.default and not plan.ways else None
            if name is None:
                free = plan.default and plan.default not in called
                like = _name(plan.default, used) if plan.default and free else group.front.name
                name = self.names.give(like)
            rules = [Rule(clients=network, pool=called[fleet]) for network, fleet in plan.ways]
            pools.append(self._pool(name, plan.default, group.vips, rules))
        pools += [self._pool(called[fleet], fleet, (), ()) for fleet in others]
        self._say_unused(used)
        return Configuration(
            pools=(*pools, *self.backups.values()),
            agents=self.agents.all(),
            settings=Settings(timeouts=self._timeouts(used)),
        )

    def _timeouts(self, used: Iterable[Fleet]) -> Timeouts:
        """The timeouts of all frontends and backends that are used."""
        backs = [self.backs[name] for name in dict.fromkeys(fleet.backend for fleet in used)]
        fronts = [group.front for group in self.groups.values()]
        return policy.timeouts([*fronts, *backs], self.remarks)

    def _pool(
        self, name: str, fleet: Fleet | None, vips: Sequence[Vip], rules: Sequence[Rule]
    ) -> Pool:
        if fleet is None:
            return Pool(name=name, vips=tuple(vips), rules=tuple(rules))
        members = self._at(fleet)
        main = [member for member in members if not member[0].is_backup]
        backups = [member for member in members if member[0].is_backup]
        if backups and fleet not in self.backups:
            self._say_of_backups(fleet, [server for server, _ in backups])
            called = self.names.give(f"{name}-backup")
            self.backups[fleet] = Pool(name=called, **self._fields(fleet, backups))
        return Pool(
            name=name,
            vips=tuple(vips),
            rules=tuple(rules),
            backup=self.backups[fleet].name if backups else None,
            **self._fields(fleet, main),
        )

    def _fields(self, fleet: Fleet, members: Sequence[tuple[Server, Backend]]) -> dict[str, Any]:
        """What follows for a pool from its section and servers."""
        section = self.backs[fleet.backend]
        those = [server for server, _ in members]
        told = [self.agents.add(server, backend.address) for server, backend in members]
        return {
            "scheduler": balance.scheduler(section, self.remarks, agents=any(told)),
            "backends": tuple(backend for _, backend in members),
            "health": checks.health(section, those, self.remarks),
            **policy.policy(those, self.remarks),
        }

    def _say_of_backups(self, fleet: Fleet, backups: Sequence[Server]) -> None:
        if len(backups) > 1 and not self.backs[fleet.backend].last("option", "allbackups"):
            for server in backups:
                self.remarks.differs(server.line, server.text, FIRST)

    def _say_unused(self, fleets: Iterable[Fleet]) -> None:
        for name, back in self.backs.items():
            versions = {fleet.version for fleet in fleets if fleet.backend == name}
            if not versions and (back.kind == "backend" or self.servers[name]):
                self.remarks.not_taken(back.head.line, back.head.text, UNUSED)
            for server in self.servers[name] if versions else ():
                if server.host.version not in versions:
                    self.remarks.not_taken(server.line, server.text, FAMILY)


def _is_taken(section: Section) -> bool:
    """Whether it is a proxy with a name whose traffic can be balanced."""
    disabled = section.last("disabled")
    proxy = section.kind in lines.PROXIES and bool(section.name)
    return proxy and section.mode in MODES and not disabled


def _name(fleet: Fleet, fleets: Iterable[Fleet]) -> str:
    """Call it as its backend, with what tells it from its like."""
    alike = [other for other in fleets if other.backend == fleet.backend]
    parts = [fleet.backend]
    if fleet.version == 6 and len({other.version for other in alike}) > 1:
        parts.append("v6")
    if len({other.port for other in alike}) > 1:
        parts.append(str(fleet.port))
    return "-".join(parts)
