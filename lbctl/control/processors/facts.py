"""
The facts: what a plan is told of a machine, and the names of all that can be set on it.

Values only.  What could not be found out is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

VETH = "veth"


class Kind(StrEnum):
    """What can be set; the values are texts, in the form that is given here."""

    QUEUES = "queues"  # of a NIC: "rx 4 tx 4 combined 0"
    SPREAD = "spread"  # of a NIC: queue by queue of its RSS table, "0 1 0 1"
    THREADED = "threaded"  # of a NIC: "0" or "1"
    DEFER = "defer"  # of a NIC: empty polls before its interrupts are let through again
    FLUSH = "flush"  # of a NIC: nanoseconds until the kernel polls by itself
    RPS = "rps"  # of a receive queue: a mask
    XPS = "xps"  # of a transmit queue: a mask
    THREAD = "thread"  # of a receive queue: the CPUs of the thread that polls it, a list
    IRQ = "irq"  # a list
    NEW_IRQS = "new-irqs"  # where interrupts go that come into being: a mask
    WORK = "work"  # of unbound work queues: a mask
    GOVERNOR = "governor"  # of a CPU: a name
    CONTROLLER = "controller"  # whether cgroups have cpusets: "on" or "off"
    GROUP = "group"  # the applications' cgroup: "none", or its CPUs as a list
    DAEMON = "daemon"  # lbctld's CPUs: a list
    PROCESS = "process"  # an application's CPUs: a list


MASKS = {Kind.RPS, Kind.XPS, Kind.NEW_IRQS, Kind.WORK}
LISTS = {Kind.THREAD, Kind.IRQ, Kind.GROUP, Kind.DAEMON, Kind.PROCESS}
# Changing one of these changes what else there is to set: facts are gathered anew afterwards.
FIRST = (Kind.QUEUES, Kind.THREADED)


class Place(NamedTuple):
    """
    One thing that can be set.

    *name*: of a NIC, or whose it is.  *number*: of a queue, interrupt, CPU or process.
    *identity*: the ifindex of a NIC, for another one may get its name; the start of a process.
    """

    kind: Kind
    name: str = ""
    number: int = 0
    identity: int = 0

    def __str__(self) -> str:
        """Name it in a few words."""
        if self.kind is Kind.IRQ and self.name:
            return f"{self.name} interrupts"
        return WORDS[self.kind].format(self)


WORDS = {
    Kind.QUEUES: "{0.name} queues",
    Kind.SPREAD: "{0.name} RSS table",
    Kind.THREADED: "{0.name} threaded",
    Kind.DEFER: "{0.name} napi_defer_hard_irqs",
    Kind.FLUSH: "{0.name} gro_flush_timeout",
    Kind.RPS: "{0.name} rx {0.number} RPS",
    Kind.XPS: "{0.name} tx {0.number} XPS",
    Kind.THREAD: "{0.name} rx {0.number} thread",
    Kind.IRQ: "IRQ {0.number}",
    Kind.NEW_IRQS: "new IRQs",
    Kind.WORK: "work queues",
    Kind.GOVERNOR: "CPU {0.number} governor",
    Kind.CONTROLLER: "cgroup cpusets",
    Kind.GROUP: "cgroup of applications",
    Kind.DAEMON: "lbctld",
    Kind.PROCESS: "app {0.name}, process {0.number}",
}


@dataclass(frozen=True, slots=True)
class Queues:
    """How many queues a NIC has of each kind; *most*: pairs that there could be."""

    receive: int
    transmit: int
    combined: int = 0
    most: int = 0

    @property
    def used(self) -> int:
        """Receive queues."""
        return self.receive + self.combined

    def __str__(self) -> str:
        return f"rx {self.receive} tx {self.transmit} combined {self.combined}"


class Napi(NamedTuple):
    """What polls a queue; *irq* and *thread*: 0 if it has none."""

    number: int
    irq: int = 0
    thread: int = 0


@dataclass(frozen=True, slots=True)
class Nic:
    """
    A NIC.

    *queues*: None if its driver does not tell.  *receive*, *transmit*: how many the kernel has.
    *polls*: in the order of queues; None if the kernel does not tell.  *irqs*: all of it, and
    *queue_irqs* those of each queue, where that can be told.
    """

    name: str
    index: int
    driver: str = ""
    node: int = 0
    queues: Queues | None = None
    receive: int = 1
    transmit: int = 1
    polls: tuple[Napi, ...] | None = None
    irqs: frozenset[int] = frozenset()
    queue_irqs: Mapping[int, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """
    A machine.

    *cpus*: those that are online.  *nodes*: the NUMA node of each.  *siblings*: threads of the
    same core.  *irqs*: names by number.  *nics*: those that there are of those asked for.
    *values*: what is set now.  *processes*: of applications.  *balancer*: whether irqbalance runs.
    """

    cpus: frozenset[int]
    nics: Mapping[str, Nic] = field(default_factory=dict)
    irqs: Mapping[int, str] = field(default_factory=dict)
    values: Mapping[Place, str] = field(default_factory=dict)
    processes: tuple[Place, ...] = ()
    nodes: Mapping[int, int] = field(default_factory=dict)
    siblings: Mapping[int, frozenset[int]] = field(default_factory=dict)
    cpusets: str = ""  # why applications cannot have CPUs of their own; empty: they can
    balancer: bool = False
