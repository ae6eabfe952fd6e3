"""
The answers: what the API says, as models whose names and types are the documented JSON.

What it is told is in lbctl.model; here is what only it knows: shares, counters, states.
"""

from __future__ import annotations

from typing import Literal

from lbctl.control.program_answers import (  # noqa: TC001 - pydantic reads them
    AppStatus,
    PseudoStatus,
)
from lbctl.model import (
    AnyCheck,
    Balance,
    Configuration,
    Forward,
    Model,
    OnDown,
    OnUnknown,
    Passive,
    Protocol,
    Rule,
    SocketAddressText,
    State,
    VipText,
)


class Problem(Model):
    """Why a request was refused; nothing was changed."""

    error: str
    exit_code: int


class Changed(Model):
    """The generation that a request led to, and what is different in it."""

    generation: int
    changes: tuple[str, ...]


class Changes(Model):
    """What would be different."""

    changes: tuple[str, ...]


class NicStatus(Model):
    """A NIC of the switch; `detached` when it is wanted but has no switching processor."""

    name: str
    mode: Literal["native", "generic", "detached"]
    program_tag: str
    packets: int
    drops: int


class ConnectionUse(Model):
    """How full the connection table is."""

    used: int
    size: int


class BackendStates(Model):
    """How many back-ends are in each state."""

    active: int
    draining: int
    down: int
    maintenance: int


class Status(Model):
    """The switch at a glance; `warnings` says what keeps it from doing its work."""

    name: str
    version: str
    generation: int
    active_buffer: Literal["A", "B"]
    nics: tuple[NicStatus, ...]
    connections: ConnectionUse
    pools: int
    backends: BackendStates
    pseudo: tuple[PseudoStatus, ...]
    apps: tuple[AppStatus, ...]
    warnings: tuple[str, ...]


class BackendStatus(Model):
    """
    A back-end; shares are parts of the pool's new connections, 0 to 1.

    `state` is how it stands, and `reason` why that is not what its administrator wants.  `wanted`
    is the share that the scheduler asks for, `share` what it was given, `measured` what it got
    lately (null: too few connections to tell).  `load` is what its agent last said, 0 to 1 and
    more, `report_age_seconds` how long ago.
    """

    address: SocketAddressText
    weight: int
    state: State
    share: float
    connections: int
    reason: str = ""
    wanted: float = 0.0
    measured: float | None = None
    new_connections_per_second: float = 0.0
    load: float | None = None
    report_age_seconds: float | None = None


class PooledBackend(BackendStatus):
    """A back-end, and whose it is."""

    pool: str


class PoolStatus(Model):
    """
    A pool with its back-ends.

    `served_by`: the pool whose back-ends get its new connections: itself, a backup, or null while
    nobody does.  `panicking`: too few are well, so that all are asked.
    `problem`: why the scheduler cannot do its work.
    """

    name: str
    vips: tuple[VipText, ...]
    forward: Forward
    scheduler: str
    on_unknown: OnUnknown
    on_down: OnDown
    table_size: int
    health: AnyCheck | None
    passive: Passive | None
    balance: Balance
    quorum: int
    panic: float
    backup: str | None
    rules: tuple[Rule, ...]
    served_by: str | None
    panicking: bool
    problem: str | None
    backends: tuple[BackendStatus, ...]


class VipStatus(Model):
    """
    A VIP, whose it is, and its connections now.

    Either `pool` or `app` says whose; the other is null.  The switch knows no connections of
    network applications (null).
    """

    vip: VipText
    pool: str | None
    app: str | None
    connections: int | None


class GenerationStatus(Model):
    """One entry of the history."""

    generation: int
    time: str
    who: str
    what: str
    active: bool


class GenerationContent(GenerationStatus):
    """One entry of the history with all it held."""

    configuration: Configuration


class RouteStatus(Model):
    """A route of the kernel, and what the switching processors make of it."""

    prefix: str
    next_hop: str | None
    nic: str | None
    mac: str | None
    state: str


class NeighborStatus(Model):
    """A host or gateway on a link, and which routes and back-ends need it."""

    address: str
    nic: str | None
    mac: str | None
    state: str
    used_by: tuple[str, ...]


class ConnectionStatus(Model):
    """One row of the connection table."""

    protocol: Protocol
    client: SocketAddressText
    vip: VipText
    backend: SocketAddressText
    state: str
    idle_seconds: float
    pool: str


class Count(Model):
    """How many connections match."""

    count: int


class Flushed(Model):
    """How many connections were forgotten."""

    flushed: int


class Tally(Model):
    """Packets and their bytes."""

    packets: int
    bytes: int


class NicVerdicts(Model):
    """What became of the packets that a NIC received; the keys are the names of verdicts."""

    name: str
    verdicts: dict[str, Tally]


class BackendTraffic(Model):
    """
    What one VIP sent to one back-end, and what came back.

    `connections`: new ones that it was given.  `answers`, `resets`: what it said to them, where its
    replies come through the switch.  `retries`: SYNs that were sent again because it was silent.
    `verdicts`: packets that had another end than the usual, by the name of the verdict.
    """

    pool: str
    address: SocketAddressText
    vip: VipText
    packets_in: int
    bytes_in: int
    packets_out: int
    bytes_out: int
    connections: int
    answers: int
    resets: int
    retries: int
    verdicts: dict[str, int]


class ServiceTraffic(Model):
    """
    Packets for one VIP by the name of the verdict; those that went to back-ends are with these.

    Either `pool` or `app` says whose the VIP is; the other is null.
    """

    pool: str | None
    app: str | None
    vip: VipText
    verdicts: dict[str, int]


class Stats(Model):
    """All counters since the tables were made."""

    nics: tuple[NicVerdicts, ...]
    services: tuple[ServiceTraffic, ...]
    backends: tuple[BackendTraffic, ...]


class Drop(Model):
    """Packets that were discarded on a NIC, and the verdict that says why."""

    reason: str
    packets: int
    bytes: int
    nic: str
