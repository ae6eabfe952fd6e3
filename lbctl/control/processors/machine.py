"""
The machine: read what can be set on it, set it, and gather the facts for a plan.

Decides nothing.  A place that is not there reads as None; what cannot be set raises OSError.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lbctl.control.processors import cpus, trees
from lbctl.control.processors.devices import KernelDevices
from lbctl.control.processors.facts import LISTS, MASKS, Facts, Kind, Napi, Nic, Place, Queues
from lbctl.control.processors.group import CONTROLLER_FILE, Group
from lbctl.control.processors.trees import Tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lbctl.control.processors.devices import Devices

NIC = "class/net/{0.name}"
SYS = {
    Kind.THREADED: f"{NIC}/threaded",
    Kind.DEFER: f"{NIC}/napi_defer_hard_irqs",
    Kind.FLUSH: f"{NIC}/gro_flush_timeout",
    Kind.RPS: f"{NIC}/queues/rx-{{0.number}}/rps_cpus",
    Kind.XPS: f"{NIC}/queues/tx-{{0.number}}/xps_cpus",
    Kind.WORK: "devices/virtual/workqueue/cpumask",
    Kind.GOVERNOR: "devices/system/cpu/cpu{0.number}/cpufreq/scaling_governor",
}
PROC = {
    Kind.IRQ: "irq/{0.number}/smp_affinity_list",
    Kind.NEW_IRQS: "irq/default_smp_affinity",
}
# "eth1-TxRx-3", "virtio2-input.3", "mlx5_comp3@pci:...", "ena-mgmnt@..." has no queue.
QUEUE_OF_IRQ = re.compile(r"(?:rx|tx|input|output|comp|queue|fp)\D{0,2}(\d+)", re.IGNORECASE)
BALANCER = "irqbalance"


class Machine:
    """A machine; the trees are /proc and /sys, *group* is the applications' cgroup."""

    def __init__(self, proc: Tree, sys: Tree, group: Group, devices: Devices) -> None:
        self._proc = proc
        self._sys = sys
        self._group = group
        self._devices = devices

    # -- places ----------------------------------------------------------------------------

    def read(self, place: Place) -> str | None:
        """What is set there, in the one form that it has here; None: it is not there."""
        if place.identity and place.kind is not Kind.PROCESS and not self._is_nic(place):
            return None
        text = self._read(place)
        with contextlib.suppress(ValueError):
            if text is not None and place.kind in MASKS:
                return cpus.to_mask(cpus.from_mask(text))
            if text is not None and place.kind in LISTS:
                return cpus.to_list(cpus.from_list(text))
        return text

    def write(self, place: Place, value: str) -> None:
        """Set *value* there.  Raises OSError."""
        if place.kind in SYS:
            self._sys.write(SYS[place.kind].format(place), value)
        elif place.kind in PROC:
            self._proc.write(PROC[place.kind].format(place), value)
        elif place.kind is Kind.QUEUES:
            self._devices.set_queues(place.identity, queues_of(value))
        elif place.kind is Kind.SPREAD:
            self._devices.set_spread(place.name, [int(queue) for queue in value.split()])
        elif place.kind is Kind.CONTROLLER:
            self._group.set_controller(on=value == "on")
        elif place.kind is Kind.GROUP:
            self._group.set_cpus(value)
        else:
            self._set_cpus(place, cpus.from_list(value))

    def admit(self, process: int) -> bool:
        """Put a process into the applications' cgroup; False: there is none.  Raises OSError."""
        return self._group.admit(process)

    def process(self, name: str, number: int) -> Place | None:
        """The place of a process; None: it has ended."""
        started = self._started(number)
        return Place(Kind.PROCESS, name, number, started) if started else None

    def _read(self, place: Place) -> str | None:
        if place.kind in SYS:
            return self._sys.read(SYS[place.kind].format(place))
        if place.kind in PROC:
            return self._proc.read(PROC[place.kind].format(place))
        if place.kind in (Kind.QUEUES, Kind.SPREAD):
            return self._read_queues(place)
        if place.kind in (Kind.CONTROLLER, Kind.GROUP):
            group = self._group
            return group.controller() if place.kind is Kind.CONTROLLER else group.cpus()
        found_cpus = [self._devices.cpus(task) for task in self._tasks(place)]
        return cpus.to_list(found_cpus[0]) if found_cpus and found_cpus[0] else None

    def _read_queues(self, place: Place) -> str | None:
        if place.kind is Kind.QUEUES:
            found = self._devices.queues(place.identity)
            return None if found is None else str(found)
        table = self._devices.spread(place.name)
        return None if table is None else " ".join(map(str, table))

    def _set_cpus(self, place: Place, wanted: Iterable[int]) -> None:
        tasks = self._tasks(place)
        if not tasks:
            raise OSError(errno.ESRCH, os.strerror(errno.ESRCH))
        for task in tasks:
            with contextlib.suppress(ProcessLookupError):  # a thread that ends just now
                self._devices.set_cpus(task, wanted)

    def _tasks(self, place: Place) -> list[int]:
        """The threads that a place is about."""
        if place.kind is Kind.DAEMON:
            return self._devices.threads()
        if place.kind is Kind.PROCESS:
            if self._started(place.number) != place.identity:
                return []
            return sorted(map(int, self._proc.names(f"{place.number}/task")))
        polls = self._polls(place.name, place.identity) or ()
        thread = polls[place.number].thread if place.number < len(polls) else 0
        return [thread] if thread else []

    def _started(self, process: int) -> int:
        """When a process was started, in ticks; 0: it has ended."""
        fields = (self._proc.read(f"{process}/stat") or "").rpartition(")")[2].split()
        return int(fields[19]) if len(fields) > 19 else 0

    def _is_nic(self, place: Place) -> bool:
        """Whether /sys and the kernel mean the same NIC as *place*."""
        seen = self._sys.number(f"class/net/{place.name}/ifindex")
        return place.identity == seen == self._devices.index(place.name)

    def _polls(self, name: str, index: int) -> tuple[Napi, ...] | None:
        return self._devices.polls(name, index, len(self._queues(name, "rx-")))

    def _queues(self, name: str, kind: str) -> list[str]:
        names = self._sys.names(f"class/net/{name}/queues")
        return [queue for queue in names if queue.startswith(kind)]

    # -- facts -----------------------------------------------------------------------------

    @property
    def boot(self) -> str:
        """What is another one after each start of the machine."""
        return self._proc.read("sys/kernel/random/boot_id") or ""

    def facts(self, nics: Iterable[str], processes: Iterable[Place] = ()) -> Facts:
        """What a plan for these NICs, and processes of applications, needs to know."""
        online = cpus.from_list(self._sys.read("devices/system/cpu/online") or "0")
        irqs = dict(self._irqs())
        found = {nic.name: nic for name in nics if (nic := self._nic(name, irqs))}
        running = tuple(place for place in processes if self.read(place) is not None)
        places = [*_machine_places(online, irqs), *_nic_places(found.values()), *running]
        values = {place: value for place in places if (value := self.read(place)) is not None}
        return Facts(
            cpus=online,
            nics=found,
            irqs=irqs,
            values=values,
            processes=running,
            nodes={cpu: self._node(cpu) for cpu in online},
            siblings={cpu: self._siblings(cpu) for cpu in online},
            cpusets=self._group.missing,
            balancer=self._runs(BALANCER),
        )

    def _nic(self, name: str, irqs: dict[int, str]) -> Nic | None:
        index = self._devices.index(name)
        if index is None or not self._is_nic(Place(Kind.QUEUES, name, identity=index)):
            return None
        polls, own = self._polls(name, index), self._irqs_of(name) & set(irqs)
        return Nic(
            name,
            index,
            driver=self._devices.driver(name),
            node=max(0, self._sys.number(f"class/net/{name}/device/numa_node")),
            queues=self._devices.queues(index),
            receive=len(self._queues(name, "rx-")),
            transmit=len(self._queues(name, "tx-")),
            polls=polls,
            irqs=frozenset(own),
            queue_irqs=_queue_irqs(polls or (), {irq: irqs[irq] for irq in own}),
        )

    def _irqs(self) -> Iterator[tuple[int, str]]:
        """Interrupts that somebody uses, with the names of who does."""
        for number in sorted(int(name) for name in self._proc.names("irq") if name.isdecimal()):
            if users := sorted(self._proc.folders(f"irq/{number}")):
                yield number, ",".join(users)

    def _irqs_of(self, name: str) -> set[int]:
        device = f"class/net/{name}/device"
        if self._sys.link(device).startswith("virtio"):  # the interrupts are the PCI function's
            device = f"{device}/.."
        found = {int(irq) for irq in self._sys.names(f"{device}/msi_irqs") if irq.isdecimal()}
        return found or {irq for irq in (self._sys.number(f"{device}/irq"),) if irq > 0}

    def _node(self, cpu: int) -> int:
        names = self._sys.names(f"devices/system/cpu/cpu{cpu}")
        nodes = [name.removeprefix("node") for name in names if re.fullmatch(r"node\d+", name)]
        return int(nodes[0]) if nodes else 0

    def _siblings(self, cpu: int) -> frozenset[int]:
        told = self._sys.read(f"devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        return cpus.from_list(told or "") | {cpu}

    def _runs(self, program: str) -> bool:
        numbers = (name for name in self._proc.names(".") if name.isdecimal())
        return any(self._proc.read(f"{number}/comm") == program for number in numbers)


def _queue_irqs(polls: Iterable[Napi], own: dict[int, str]) -> dict[int, tuple[int, ...]]:
    """The interrupts of each queue: as the kernel tells, else as their names do."""
    found: dict[int, set[int]] = {}
    for queue, napi in enumerate(polls):
        if napi.irq in own:
            found.setdefault(queue, set()).add(napi.irq)
    for irq, name in own.items():
        match = QUEUE_OF_IRQ.search(name)
        if match and not any(irq in known for known in found.values()):
            found.setdefault(int(match[1]), set()).add(irq)
    return {queue: tuple(sorted(irqs)) for queue, irqs in sorted(found.items())}


def _machine_places(online: Iterable[int], irqs: Iterable[int]) -> Iterator[Place]:
    """All that can be set and is no NIC's."""
    for kind in (Kind.DAEMON, Kind.CONTROLLER, Kind.GROUP, Kind.NEW_IRQS, Kind.WORK):
        yield Place(kind)
    yield from (Place(Kind.IRQ, number=irq) for irq in irqs)
    yield from (Place(Kind.GOVERNOR, number=cpu) for cpu in online)


def _nic_places(nics: Iterable[Nic]) -> Iterator[Place]:
    for nic in nics:
        for kind in (Kind.QUEUES, Kind.SPREAD, Kind.THREADED, Kind.DEFER, Kind.FLUSH):
            yield Place(kind, nic.name, identity=nic.index)
        for queue in range(nic.receive):
            yield Place(Kind.RPS, nic.name, queue, nic.index)
            yield Place(Kind.THREAD, nic.name, queue, nic.index)
        for queue in range(nic.transmit):
            yield Place(Kind.XPS, nic.name, queue, nic.index)


def queues_of(text: str) -> Queues:
    """Read "rx 4 tx 4 combined 0"."""
    words = text.split()
    return Queues(*(int(words[at]) for at in (1, 3, 5)))


@contextmanager
def open_machine(name: str) -> Iterator[Machine]:
    """The real one, in the network namespace of the calling thread; *name*: of the instance."""
    with ExitStack() as cleanup:
        proc, sys = Tree(Path("/proc")), trees.open_sys()
        cleanup.callback(sys.close)
        cleanup.callback(proc.close)
        mounted = trees.cgroups()
        tree = None
        if mounted and (mounted / CONTROLLER_FILE).exists():
            tree = Tree(mounted)
            cleanup.callback(tree.close)
        yield Machine(proc, sys, Group(tree, name), KernelDevices())
