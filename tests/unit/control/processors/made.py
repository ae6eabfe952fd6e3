"""A made-up machine: files under a folder as its /proc and /sys, and NICs that are none."""

# ruff: noqa: D102 - each method does what the real one says

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lbctl.control.processors import cpus, trees
from lbctl.control.processors.facts import Napi, Queues
from lbctl.control.processors.group import Group
from lbctl.control.processors.machine import Machine

if TYPE_CHECKING:
    from pathlib import Path

DAEMON = 100  # the number of its process, and of its first thread
BOOT = "sys/kernel/random/boot_id"


class Tree(trees.Tree):
    """Files, some of which refuse to be written."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.broken: set[str] = set()
        self.written: list[str] = []

    def write(self, path, text):
        """Write, unless it is broken."""
        if path in self.broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.written.append(f"{path} {text}")
        super().write(path, text)


class Cgroups(Tree):
    """A cgroup file system: a folder comes with its files."""

    partition = "root"  # what becomes of a group that asks for its own CPUs

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.folder = root

    def make(self, path):
        """Make a group."""
        super().make(path)
        for name in ("cpuset.cpus", "cpuset.cpus.partition", "cgroup.procs"):
            (self.folder / path / name).touch()

    def remove(self, path):
        """Remove a group."""
        for file in (self.folder / path).iterdir():
            file.unlink()
        super().remove(path)

    def write(self, path, text):
        """Write as the kernel takes it."""
        if path.endswith("partition"):
            text = self.partition
        super().write(path, text.removeprefix("+") if text[:1] != "-" else "")


class World:
    """
    A machine with *count* CPUs, and no NIC but those that are added.

    The first two interrupts are a disk's; each queue of a NIC has one.
    """

    def __init__(self, folder: Path, count: int = 4, *, cpusets: bool = False) -> None:
        self.all = cpus.to_list(range(count))
        self.folder = folder
        for name in ("proc", "sys", "group"):
            (folder / name).mkdir(parents=True)
        self.put(f"proc/{BOOT}", "first")
        self.put("sys/devices/system/cpu/online", self.all)
        self.put("sys/devices/virtual/workqueue/cpumask", cpus.to_mask(range(count)))
        self.put("proc/irq/default_smp_affinity", cpus.to_mask(range(count)))
        for cpu in range(count):
            self.add_cpu(cpu)
        self.add_irq(8, "disk.0")
        self.add_irq(9, "disk.1")
        self.put("group/cgroup.controllers", "cpuset cpu" if cpusets else "cpu")
        self.put("group/cgroup.subtree_control", "")
        self.put("group/cgroup.procs", "")
        self.nics: dict[str, Nic] = {}
        self.affinity = {DAEMON: frozenset(range(count)), DAEMON + 1: frozenset(range(count))}
        self.trees = {name: Tree(folder / name) for name in ("proc", "sys")}
        self.trees["group"] = Cgroups(folder / "group")

    def close(self) -> None:
        """Let go of its folders."""
        for tree in self.trees.values():
            tree.close()

    def put(self, path: str, text: str) -> None:
        """Have a file."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def add_cpu(self, number: int, node: int = 0) -> None:
        """Have a CPU of a NUMA node."""
        folder = f"sys/devices/system/cpu/cpu{number}"
        (self.folder / folder / f"node{node}").mkdir(parents=True)
        self.put(f"{folder}/cpufreq/scaling_governor", "powersave")

    def add_irq(self, number: int, user: str) -> None:
        """Have an interrupt that may go to every CPU."""
        (self.folder / f"proc/irq/{number}/{user}").mkdir(parents=True)
        self.put(f"proc/irq/{number}/smp_affinity_list", self.all)

    def add_process(self, number: int, name: str = "app") -> None:
        """Have a process that may run everywhere."""
        self.put(f"proc/{number}/stat", f"{number} ({name}) S " + "1 " * 18 + "4711 0")
        self.put(f"proc/{number}/comm", name)
        (self.folder / f"proc/{number}/task/{number}").mkdir(parents=True)
        self.affinity[number] = cpus.from_list(self.all)

    def add_nic(self, name: str, queues: int = 2, **fields) -> Nic:
        """Have a NIC with combined queues, or a veth."""
        nic = Nic(self, name, queues, **fields)
        self.nics[name] = nic
        return nic

    @contextmanager
    def machine(self):
        """The machine, as lbctl opens it."""
        proc, sys, group = self.trees.values()
        yield Machine(proc, sys, Group(group, "test"), self)

    def snapshot(self) -> dict[str, object]:
        """All that anybody could have changed."""
        files = {
            str(path.relative_to(self.folder)): path.read_text().strip()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and path.name != "processors.json"
        }
        spreads = {name: nic.table for name, nic in self.nics.items()}
        threads = {name: nic.pins() for name, nic in self.nics.items()}
        own = {number: self.affinity[number] for number in (DAEMON, DAEMON + 1)}
        return {"files": files, "spreads": spreads, "threads": threads, "own": own}

    # -- what `Devices` asks, ---------------------------------------------------------------

    def index(self, name):
        return self.nics[name].index if name in self.nics else None

    def driver(self, name):
        return self.nics[name].driver

    def queues(self, index):
        return next((nic.told() for nic in self.nics.values() if nic.index == index), None)

    def set_queues(self, index, wanted):
        next(nic for nic in self.nics.values() if nic.index == index).resize(wanted)

    def spread(self, name):
        return self.nics[name].table

    def set_spread(self, name, queues):
        if max(queues) >= self.nics[name].queues:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self.nics[name].table = tuple(queues)

    def polls(self, name, index, queues):
        nic = self.nics[name]
        return nic.polls() if nic.index == index and queues == nic.queues else None

    def cpus(self, process):
        return self.affinity.get(process)

    def set_cpus(self, process, wanted):
        if not wanted:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self.affinity[process] = frozenset(wanted)

    def threads(self):
        return [DAEMON, DAEMON + 1]


class Nic:
    """A NIC: fewer queues lose what was set for the others, as with real ones."""

    def __init__(self, world, name, queues, driver="ixgbe", *, polled=True) -> None:
        self.world, self.name, self.index, self.driver = world, name, len(world.nics) + 2, driver
        self.queues, self.most, self.polled, self.frozen = 0, 8, polled, False
        self.veth = driver == "veth"
        self.table = None if self.veth else tuple(row % queues for row in range(8))
        self.folder = f"sys/class/net/{name}"
        world.put(f"{self.folder}/ifindex", str(self.index))
        for file in ("threaded", "napi_defer_hard_irqs", "gro_flush_timeout"):
            world.put(f"{self.folder}/{file}", "0")
        self._grow(queues)

    def told(self):
        """How many queues it has."""
        pairs = (self.queues, self.queues) if self.veth else (0, 0)
        return Queues(*pairs, 0 if self.veth else self.queues, self.most)

    def resize(self, wanted):
        """Have another number of queues."""
        if self.frozen or (self.table and wanted.used <= max(self.table)):
            raise OSError(errno.EBUSY if self.frozen else errno.EINVAL, "it refuses")
        self._grow(wanted.used)

    def polls(self):
        """What polls it; threads have numbers that follow from the queues'."""
        if not self.polled:
            return ()
        threaded = self.world.trees["sys"].read(f"class/net/{self.name}/threaded") == "1"
        for queue in range(self.queues):
            number = self._thread(queue)
            if not threaded:
                self.world.affinity.pop(number, None)
            else:
                self.world.affinity.setdefault(number, cpus.from_list(self.world.all))
        return tuple(
            Napi(
                100 * self.index + queue,
                0 if self.veth else self._irq(queue),
                self._thread(queue) if threaded else 0,
            )
            for queue in range(self.queues)
        )

    def pins(self):
        """Where its threads may run."""
        polls = self.polls() or ()
        return [self.world.affinity[napi.thread] for napi in polls if napi.thread]

    def _irq(self, queue):
        return 100 * self.index + queue

    def _thread(self, queue):
        return 10000 * self.index + queue

    def _grow(self, wanted):
        for queue in range(min(self.queues, wanted), max(self.queues, wanted)):
            rx, tx = f"{self.folder}/queues/rx-{queue}", f"{self.folder}/queues/tx-{queue}"
            irq = self.world.folder / f"proc/irq/{self._irq(queue)}"
            if queue < wanted:
                self.world.put(f"{rx}/rps_cpus", "0")
                self.world.put(f"{tx}/xps_cpus", "0")
                if not self.veth:
                    self.world.add_irq(self._irq(queue), f"{self.name}-TxRx-{queue}")
                    self.world.put(f"{self.folder}/device/msi_irqs/{self._irq(queue)}", "msix")
                continue
            for folder in (rx, tx):
                for file in (self.world.folder / folder).iterdir():
                    file.unlink()
                (self.world.folder / folder).rmdir()
            self.world.affinity.pop(self._thread(queue), None)
            if not self.veth:
                (irq / f"{self.name}-TxRx-{queue}").rmdir()
                (irq / "smp_affinity_list").unlink()
                irq.rmdir()
                name = f"{self.folder}/device/msi_irqs/{self._irq(queue)}"
                (self.world.folder / name).unlink()
        self.queues = wanted
