"""The machine: what it is, and how to have a CPU of it to oneself for a while."""

from __future__ import annotations

import fcntl
import os
import platform
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_CPUS = Path("/sys/devices/system/cpu")
_LOCK = "lbctl-bench.lock"
_FIRST = -20  # nice


def describe() -> dict[str, str]:
    """CPU, cores, caches, memory, kernel: what a figure means nothing without."""
    return {
        "cpu": _cpu_model(),
        "cores": f"{os.cpu_count()}, load {os.getloadavg()[0]:.1f}",
        "caches": ", ".join(_caches()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') >> 20} MiB",
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _cpu_model() -> str:
    """Model, and family and model number: a virtual machine names its CPU coarsely."""
    lines = (line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines())
    facts = {key.strip(): value.strip() for key, _, value in lines}
    numbers = "/".join(facts.get(key, "?") for key in ("cpu family", "model"))
    virtual = ", virtual" if "hypervisor" in facts.get("flags", "") else ""
    return f"{facts.get('model name', platform.processor())} ({numbers}{virtual})"


def _caches() -> Iterator[str]:
    for index in sorted((_CPUS / "cpu0" / "cache").glob("index*")):
        level, kind, size, shared = (
            (index / name).read_text().strip()
            for name in ("level", "type", "size", "shared_cpu_list")
        )
        yield f"L{level} {kind.lower()} {size} (CPUs {shared})"


@contextmanager
def locked() -> Iterator[None]:
    """Hold the one lock that all measurements take."""
    with (Path(tempfile.gettempdir()) / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def alone(cpu: int | None = None, *, first: bool = False) -> Iterator[int]:
    """
    Hold the one lock that all measurements take, and keep to one CPU; yields which.

    By default the last CPU: interrupts like the first.  *first*: before all other processes; not
    for what waits for the kernel's own threads, a grace period above all.
    """
    before, nice = os.sched_getaffinity(0), os.getpriority(os.PRIO_PROCESS, 0)
    cpu = max(before) if cpu is None else cpu
    with locked():
        os.sched_setaffinity(0, {cpu})
        if first:
            os.setpriority(os.PRIO_PROCESS, 0, _FIRST)
        try:
            yield cpu
        finally:
            os.sched_setaffinity(0, before)
            os.setpriority(os.PRIO_PROCESS, 0, nice)


def long_rounds(rounds: int) -> int:
    """How many of a measurement of which each takes minutes."""
    return max(1, rounds // 5)
