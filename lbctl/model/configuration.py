"""The configuration: everything that a user wants of a switch, as one value: one generation."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from lbctl.model.base import Model
from lbctl.model.load import Agent
from lbctl.model.pools import Pool
from lbctl.model.processors import Processor
from lbctl.model.programs import App, Pseudo

if TYPE_CHECKING:
    from lbctl.model.addresses import Vip


class Mode(StrEnum):
    """How the program sits on a NIC."""

    AUTO = "auto"
    NATIVE = "native"
    GENERIC = "generic"


class Nic(Model):
    """A NIC that a switching processor serves."""

    name: str = Field(min_length=1, max_length=15)
    mode: Mode = Mode.AUTO


class Timeouts(Model):
    """Seconds without a packet after which a connection is forgotten, by state."""

    half_open: int = Field(default=10, ge=2, le=3600)
    established: int = Field(default=3600, ge=2, le=43200)
    closing: int = Field(default=120, ge=2, le=43200)
    closed: int = Field(default=10, ge=2, le=3600)
    udp: int = Field(default=60, ge=2, le=43200)


class Collector(StrEnum):
    """Where the resource manager runs."""

    LOCAL = "local"  # in lbctld
    REMOTE = "remote"  # on another computer, which reports to the API


class Settings(Model):
    """What holds for the whole switch."""

    timeouts: Timeouts = Timeouts()
    resource_manager: Collector = Collector.LOCAL


class Configuration(Model):
    """Everything a user wants: one generation."""

    version: int = Field(default=1, ge=1, le=1)
    nics: tuple[Nic, ...] = ()
    pools: tuple[Pool, ...] = ()
    agents: tuple[Agent, ...] = ()
    pseudo: tuple[Pseudo, ...] = ()
    apps: tuple[App, ...] = ()
    processors: tuple[Processor, ...] = ()
    settings: Settings = Settings()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [pool.name for pool in self.pools]
        if twice := {n for n in names if names.count(n) > 1}:
            raise ValueError(f"pool {min(twice)!r} is named twice")
        nics = [nic.name for nic in self.nics]
        if twice := {n for n in nics if nics.count(n) > 1}:
            raise ValueError(f"NIC {min(twice)!r} is named twice")
        self._check_vips()
        self._check_programs()
        agents = [agent.address for agent in self.agents]
        if twice_told := {a for a in agents if agents.count(a) > 1}:
            raise ValueError(f"agent {min(twice_told)} is named twice")
        for pool in self.pools:
            self._check_references(pool)
        return self

    def _check_vips(self) -> None:
        """A VIP has one owner, be it a pool or an application."""
        owner: dict[Vip, str] = {}
        owners = [(f"pool {pool.name!r}", pool.vips) for pool in self.pools]
        owners += [(f"app {app.name!r}", app.vips) for app in self.apps]
        for who, vips in owners:
            for vip in vips:
                other = owner.setdefault(vip, who)
                if other != who:
                    raise ValueError(f"VIP {vip} is in {other} and in {who}")

    def _check_programs(self) -> None:
        """What runs on the switch itself: names, addresses and CPUs are given once."""
        names = {
            "app": [app.name for app in self.apps],
            "pseudo interface": [pseudo.name for pseudo in self.pseudo],
            "processor": [processor.name for processor in self.processors],
            "address": [str(i.ip) for pseudo in self.pseudo for i in pseudo.addresses],
            "NIC of processors": [nic for each in self.processors for nic in each.nics],
        }
        for what, given in names.items():
            if twice := {name for name in given if given.count(name) > 1}:
                raise ValueError(f"{what} {min(twice)!r} is named twice")
        if attached := {nic.name for nic in self.nics} & set(names["pseudo interface"]):
            raise ValueError(f"{min(attached)!r} is a pseudo interface: it is not for attaching")
        known = set(names["app"])
        for processor in self.processors:
            if unknown := set(processor.apps) - known:
                raise ValueError(f"processor {processor.name!r}: there is no app {min(unknown)!r}")

    def _check_references(self, pool: Pool) -> None:
        """Refuse other pools that could not serve in the place of *pool*."""
        uses = [("backup", pool.backup)] if pool.backup else []
        uses += [("rule to", rule.pool) for rule in pool.rules]
        for use, name in uses:
            other = self.pool(name)
            where = f"pool {pool.name!r}: {use} pool {name!r}"
            if other is None:
                raise ValueError(f"{where}: there is no such pool")
            if other is pool:
                raise ValueError(f"{where}: that is the pool itself")
            if pool.family and other.family and pool.family != other.family:
                raise ValueError(f"{where}: is of the other address family")
            if other.forward is not pool.forward:
                raise ValueError(
                    f"{where}: forwards by {other.forward}, this one by {pool.forward}"
                )
            if use == "backup" and pool.name in self._backups_of(name):
                raise ValueError(f"{where}: would in the end be a backup of itself")
            if use != "backup" and other.rules:
                raise ValueError(f"{where}: has rules of its own, which would not be followed")
        if any(rule.port for rule in pool.rules) and any(vip.port for vip in pool.vips):
            raise ValueError(
                f"pool {pool.name!r}: rules with a port need VIPs with port *, "
                f"for any other has one port only"
            )

    def stand_ins(self, pool: Pool) -> tuple[Pool, ...]:
        """*pool* and all pools whose back-ends may serve its VIPs: by its rules, or as a backup."""
        found: dict[str, Pool] = {}
        names = [pool.name, *(rule.pool for rule in pool.rules)]
        while names:
            name = names.pop(0)
            other = self.pool(name)
            if other and name not in found:
                found[name] = other
                names += [other.backup] if other.backup else []
        return tuple(found.values())

    def vips_by_pool(self) -> dict[str, tuple[Vip, ...]]:
        """Which VIPs may lead to the back-ends of each pool: its own, by rules, as a backup."""
        found: dict[str, tuple[Vip, ...]] = {pool.name: () for pool in self.pools}
        for pool in self.pools:
            for member in self.stand_ins(pool):
                found[member.name] += pool.vips
        return found

    def _backups_of(self, name: str) -> set[str]:
        """The backup of the pool *name*, the backup of that, and so on."""
        found: set[str] = set()
        while (pool := self.pool(name)) and pool.backup and pool.backup not in found:
            found.add(pool.backup)
            name = pool.backup
        return found

    def app(self, name: str) -> App | None:
        """The network application of that name, or None."""
        return next((app for app in self.apps if app.name == name), None)

    def pool(self, name: str) -> Pool | None:
        """The pool of that name, or None."""
        return next((pool for pool in self.pools if pool.name == name), None)
