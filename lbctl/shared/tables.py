"""
Shared memory: which tables there are, how large, and how Python gets at them.

The control processor makes the tables before any program exists and pins them; the programs open
them by their pins (bpf_src/lb/tables.h has the same names).  A table that is already pinned is
taken over, and only if it has exactly the layout that is wanted.
"""

from __future__ import annotations

import mmap
import os
import sys
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from lbctl.errors import LbctlError
from lbctl.shared import abi, syscall

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lbctl.shared.arrays import Array

_KEEP_MAPPED = 4 << 20  # bytes
_START_AFRESH = "start `lbctld --fresh` to make new tables (all connections are forgotten)"


def possible_cpus() -> int:
    """CPUs that the machine may ever have, which is what bpf_get_smp_processor_id counts."""
    with open("/sys/devices/system/cpu/possible", encoding="ascii") as file:  # noqa: PTH123
        return int(file.read().strip().replace("-", ",").split(",")[-1]) + 1


@dataclass(frozen=True, slots=True)
class Capacity:
    """
    How much fits into the tables; fixed while they live.

    *connections*: how many are kept in comfort; the table has twice as many places.
    *slots*: of all services together, in one buffer.
    """

    services: int = 256
    backends: int = 4096
    slots: int = 100 * 65568
    connections: int = 262_144
    next_hops: int = 8192
    routes: int = 65_536
    rules: int = 1024

    def macros(self) -> dict[str, int]:
        """The sizes as the C sources want them."""
        directory = 4 * (self.services + self.backends)
        return {
            "LB_DIRECTORY_BITS": directory.bit_length(),
            "LB_GROUP_BITS": directory.bit_length() - 2,
            "LB_SLOT_LINES": -(-self.slots // abi.SLOTS_PER_LINE),
            "LB_SERVICES": self.services,
            "LB_BACKENDS": self.backends,
            "LB_RULES": self.rules,
            "LB_SET_BITS": max(4, (-(-2 * self.connections // abi.WAYS) - 1).bit_length()),
            "LB_NEXT_HOPS": self.next_hops,
            "LB_ROUTES": self.routes,
            "LB_CPUS": possible_cpus(),
        }

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for field in fields(self):
            if getattr(self, field.name) < 1:
                raise LbctlError(f"capacity of {field.name}: must be at least 1")
        if self.backends > 65_535 or self.services > 65_535 or self.next_hops > 65_535:
            raise LbctlError("capacity: services, backends and next_hops are at most 65535 each")


@dataclass(frozen=True, slots=True)
class _Spec:
    """One table: the type of its elements (None: not memory-mapped), and how many."""

    element: np.dtype[Any] | None
    entries: int
    info: syscall.MapInfo


def specifications(capacity: Capacity) -> dict[str, _Spec]:
    """Every table by its name."""
    m = capacity.macros()

    def array(element: np.dtype[Any], entries: int) -> _Spec:
        info = syscall.MapInfo(syscall.ARRAY, 4, element.itemsize, entries, syscall.MMAPABLE)
        return _Spec(element, entries, info)

    directory, groups = 1 << m["LB_DIRECTORY_BITS"], 1 << m["LB_GROUP_BITS"]
    places = abi.APPS_MAX * abi.NICS_MAX * abi.APP_QUEUES
    sets, cpus = 1 << m["LB_SET_BITS"], m["LB_CPUS"]
    route = syscall.MapInfo(
        syscall.LPM_TRIE, abi.ROUTE_KEY.itemsize, 4, capacity.routes, syscall.NO_PREALLOC
    )
    rule = syscall.MapInfo(
        syscall.LPM_TRIE,
        abi.RULE_KEY.itemsize,
        abi.RUN.itemsize,
        2 * capacity.rules + 1,
        syscall.NO_PREALLOC,
    )
    return {
        "control": array(abi.CONTROL, 1),
        "services": array(abi.SERVICE, 2 * directory),
        "displacements": array(np.dtype("<u8"), 2 * groups),
        "slots": array(abi.SLOTS, 2 * m["LB_SLOT_LINES"]),
        "backends": array(abi.BACKEND, 2 * capacity.backends),
        "rules": _Spec(None, 2 * capacity.rules + 1, rule),
        "connections": array(abi.CONNECTION_SET, sets),
        "details": array(abi.CONNECTION_DETAIL, sets * abi.WAYS),
        "routes": _Spec(None, capacity.routes, route),
        "next_hops": array(abi.NEXT_HOP, capacity.next_hops),
        "nics": array(abi.NIC, abi.IFINDEX_MAX),
        "exits": _Spec(None, abi.NICS_MAX, syscall.MapInfo(syscall.DEVMAP, 4, 4, abi.NICS_MAX, 0)),
        "apps": _Spec(None, places, syscall.MapInfo(syscall.XSKMAP, 4, 4, places, 0)),
        "verdicts": array(abi.COUNTER, cpus * abi.NICS_MAX * abi.VERDICTS),
        "traffic": array(abi.BACKEND_COUNTER, cpus * capacity.backends),
        "reasons": array(abi.REASONS, cpus * (capacity.services + capacity.backends)),
    }


class Tables:
    """
    The open tables: numpy arrays over the memory-mapped ones, descriptors of the others.

    Small ones stay mapped.  A large one is mapped anew each time somebody asks for it, and goes
    when that array does, for all of it counts as this process's memory.
    """

    def __init__(self, capacity: Capacity, descriptors: Mapping[str, int]) -> None:
        self.capacity = capacity
        self.fd = dict(descriptors)
        self._specs = specifications(capacity)
        self._kept: dict[str, Array] = {}

    def __getitem__(self, name: str) -> Array:
        """The memory of one table, as a structured array."""
        if name in self._kept:
            return self._kept[name]
        spec = self._specs[name]
        if spec.element is None:
            raise KeyError(name)
        size = -(-spec.element.itemsize * spec.entries // mmap.PAGESIZE) * mmap.PAGESIZE
        area = mmap.mmap(self.fd[name], size, mmap.MAP_SHARED)
        memory = np.frombuffer(area, spec.element, spec.entries)
        if size <= _KEEP_MAPPED:
            self._kept[name] = memory
        return memory

    def make_keys(self) -> None:
        """Draw the secret keys of the fingerprints, once in the life of the tables."""
        control = self["control"][0]
        if control["hash"]["base"].any():
            return
        for keys in control["hash"]:
            for name in ("base", "address", "ports", "udp"):
                keys[name] = np.frombuffer(os.urandom(keys[name].nbytes), "<u8").reshape(
                    keys[name].shape
                )
            # what the constant words of a mapped address, 0 0 0xffff, add to every IPv4 hash
            word = int.from_bytes(b"\0\0\xff\xff", sys.byteorder)
            constant = int(keys["base"]) + int(keys["address"][2]) * word
            keys["base_mapped"] = constant & 0xFFFF_FFFF_FFFF_FFFF

    def close(self) -> None:
        """Let go of the descriptors; the memory goes when its last array does."""
        self._kept.clear()
        while self.fd:
            os.close(self.fd.popitem()[1])


def create(folder: Path, capacity: Capacity) -> Tables:
    """Make all tables and pin them in *folder*, which must exist and be empty."""
    descriptors = {}
    for name, spec in specifications(capacity).items():
        descriptors[name] = syscall.map_create(spec.info, f"lb_{name}")
        syscall.pin(descriptors[name], folder / name)
    tables = Tables(capacity, descriptors)
    tables["control"]["layout"] = abi.ABI_VERSION
    return tables


def take_over(folder: Path, capacity: Capacity) -> Tables:
    """
    Open the tables that are pinned in *folder*.

    Raises LbctlError if one is missing, or is not laid out as this version wants it.
    """
    descriptors: dict[str, int] = {}
    try:
        for name, spec in specifications(capacity).items():
            descriptors[name] = _open(folder / name, spec)
    except LbctlError:
        for descriptor in descriptors.values():
            os.close(descriptor)
        raise
    tables = Tables(capacity, descriptors)
    if (layout := int(tables["control"]["layout"][0])) != abi.ABI_VERSION:
        tables.close()
        raise LbctlError(
            f"{folder}: tables of layout {layout}, this version has layout {abi.ABI_VERSION}; "
            f"{_START_AFRESH}"
        )
    return tables


def _open(path: Path, spec: _Spec) -> int:
    """Open one table and see that it is what it should be."""
    try:
        descriptor = syscall.get(path)
    except OSError as error:
        raise LbctlError(f"{path}: {error.strerror}; {_START_AFRESH}") from error
    found = syscall.map_info(descriptor)
    # the kernel adds a flag of its own to a devmap
    if found._replace(flags=found.flags & ~syscall.RDONLY_PROG) != spec.info:
        os.close(descriptor)
        raise LbctlError(
            f"{path}: the table is {_words(found)}, wanted is {_words(spec.info)}; {_START_AFRESH}"
        )
    return descriptor


def _words(info: syscall.MapInfo) -> str:
    """One map, for a message."""
    return (
        f"{info.entries} x {info.value_size} bytes with keys of {info.key_size} "
        f"(kind {info.kind}, flags {info.flags:#x})"
    )
