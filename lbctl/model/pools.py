"""The pools: services with their VIPs, the back-ends behind them, and how packets get there."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from lbctl.model.addresses import (
    ANY_PORT,
    IPNetwork,
    PrefixText,
    SocketAddressText,
    VipText,
)
from lbctl.model.base import Model
from lbctl.model.health import AnyCheck, Passive
from lbctl.model.load import Balance

DEFAULT_TABLE_SIZE = 65537  # slots of a Maglev lookup table; a prime
NAME = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,62})$"
PLUGIN = r"^[a-z][a-z0-9-]{0,62}$"


class Forward(StrEnum):
    """How a packet is rewritten for its back-end."""

    NAT = "nat"  # MAC, address and port; the reply comes back through the switch
    DSR = "dsr"  # MAC only; the reply goes straight to the client


class Scheduler(StrEnum):
    """How the slots of a service are dealt to its back-ends."""

    MAGLEV = "maglev"
    RR = "rr"
    WRR = "wrr"
    LC = "lc"
    WLC = "wlc"
    SH = "sh"
    LEAST_LOAD = "least-load"
    LEAST_RESPONSE_TIME = "least-response-time"
    P2C = "p2c"


class OnUnknown(StrEnum):
    """What becomes of a packet for a service that has no connection and starts none."""

    RESET = "reset"
    DROP = "drop"
    HASH = "hash"


class OnDown(StrEnum):
    """What becomes of the connections of a server that died."""

    KEEP = "keep"  # they wait for it, until their time is over
    RESET = "reset"  # their clients get a reset, and try again at once


class State(StrEnum):
    """Life of a back-end."""

    ACTIVE = "active"
    DRAINING = "draining"  # no new connections; those it has finish
    DOWN = "down"  # no new connections; those it has are lost: see OnDown
    MAINTENANCE = "maintenance"  # the same, wanted by the administrator; it is not checked


PoolName = Annotated[str, Field(pattern=NAME)]
# Whether somebody ships a scheduler of another name only the control processor can tell.
SchedulerName = Annotated[
    Scheduler | Annotated[str, Field(pattern=PLUGIN)], Field(union_mode="left_to_right")
]


class Backend(Model):
    """One server behind a pool."""

    address: SocketAddressText
    weight: int = Field(default=1, ge=0, le=65535)
    state: State = State.ACTIVE  # as the administrator wants it


class Rule(Model):
    """Connections that only the servers of another pool can serve: from there, or to that port."""

    clients: PrefixText | None = None  # None: all
    port: int | None = Field(default=None, ge=1, le=65535)  # of a VIP with port `*`
    pool: PoolName

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.clients is None and self.port is None:
            raise ValueError(f"a rule to pool {self.pool!r} needs clients, a port, or both")
        return self

    @property
    def some_clients(self) -> IPNetwork | None:
        """Whom it is for; None: all, which 0.0.0.0/0 and ::/0 mean as well."""
        return self.clients if self.clients and self.clients.prefixlen else None

    def __str__(self) -> str:
        clients = f"clients {self.clients}" if self.clients else ""
        port = f"port {self.port}" if self.port else ""
        return " ".join(part for part in (clients, port, f"to pool {self.pool}") if part)


class Pool(Model):
    """The VIPs of a service, the back-ends behind them, and how packets get there."""

    name: str = Field(pattern=NAME)
    vips: tuple[VipText, ...] = ()
    forward: Forward = Forward.NAT
    scheduler: SchedulerName = Scheduler.MAGLEV
    on_unknown: OnUnknown = OnUnknown.RESET
    on_down: OnDown = OnDown.KEEP
    table_size: int = Field(default=DEFAULT_TABLE_SIZE, ge=1, le=1_048_573)
    backends: tuple[Backend, ...] = ()
    health: AnyCheck | None = None
    passive: Passive | None = None
    balance: Balance = Balance()
    quorum: int = Field(default=0, ge=0, le=65535)  # fewer servers that are well: the pool is down
    panic: float = Field(default=0, ge=0, le=1)  # smaller part that is well: ask all of them
    backup: PoolName | None = None  # the pool that serves while this one is down
    rules: tuple[Rule, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        addresses = [backend.address for backend in self.backends]
        if twice := {str(a) for a, count in Counter(addresses).items() if count > 1}:
            raise ValueError(f"pool {self.name!r}: back-end {min(twice)} is named twice")
        if twice := {str(v) for v, count in Counter(self.vips).items() if count > 1}:
            raise ValueError(f"pool {self.name!r}: VIP {min(twice)} is named twice")
        said = [(rule.some_clients, rule.port) for rule in self.rules]
        for rule, what in zip(self.rules, said, strict=True):
            if said.count(what) > 1:
                raise ValueError(f"pool {self.name!r}: there are two rules for the same: {rule}")
        families = {vip.address.version for vip in self.vips}
        families |= {address.address.version for address in addresses}
        families |= {rule.clients.version for rule in self.rules if rule.clients}
        if len(families) > 1:
            raise ValueError(
                f"pool {self.name!r}: VIPs, back-ends and clients in rules must be of one address "
                f"family; make one pool for IPv4 and one for IPv6"
            )
        if self.health and self.health.to_vip and self.forward is not Forward.DSR:
            raise ValueError(
                f"pool {self.name!r}: to_vip is for dsr; only there a server has the VIP"
            )
        if self.forward is Forward.DSR:
            ports = {v.port for v in self.vips} - {ANY_PORT}
            for address in addresses:
                if ports and ports != {address.port}:
                    raise ValueError(
                        f"pool {self.name!r}: dsr cannot change the port; back-end {address} "
                        f"must listen on {min(ports - {address.port})}"
                    )
        return self

    @property
    def family(self) -> int | None:
        """4 or 6; None while it has neither VIPs nor back-ends."""
        addresses = [*(v.address for v in self.vips), *(b.address.address for b in self.backends)]
        return addresses[0].version if addresses else None
