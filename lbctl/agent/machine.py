"""
The machine: tell how much of its CPU and memory is in use.

Reads what psutil reads.  It has no opinion on who uses them: that is the cgroup probe's.
"""

from __future__ import annotations

import psutil

from lbctl.agent.readings import Average, Growth
from lbctl.agent.wire import LoadReport

INTERVAL = 0.5  # seconds between two looks
SMOOTHING = 3.0  # seconds; a share that follows every blink of the CPU would never rest
FULL = 0.95  # of the CPU in use: then requests wait
HASTE = 3.0  # times sooner a CPU that is full is believed: its server cannot wait


def used_cpu() -> tuple[float, float]:
    """Give the seconds that all CPUs were busy, and that they were, since the machine started."""
    times = psutil.cpu_times()._asdict()
    # The kernel counts a guest's time as its user's as well.
    total = sum(times.values()) - times.get("guest", 0.0) - times.get("guest_nice", 0.0)
    # Stolen time is busy: nobody can use it.
    return total - times["idle"] - times.get("iowait", 0.0), total


def used_memory() -> float:
    """Give the part of the memory in use; caches that can be dropped are not."""
    memory = psutil.virtual_memory()
    return min(1.0, max(0.0, 1 - memory.available / memory.total))


class CpuAverage:
    """The use of a CPU, averaged; quick to say that it is full, and slow to say that it is not."""

    def __init__(self) -> None:
        self._average = Average(SMOOTHING)

    def add(self, part: float, elapsed: float) -> float:
        """Take in the *part* that was in use over the last *elapsed* seconds; give the average."""
        return self._average.add(part, elapsed * (HASTE if part >= FULL else 1))


class MachineProbe:
    """CPU and memory of the whole machine."""

    def __init__(self, *, cpu: bool = True) -> None:
        self.name = "machine"
        self.interval = INTERVAL
        self._cpu = cpu
        self._busy, self._total = Growth(), Growth()
        self._average = CpuAverage()
        self._last: float | None = None

    async def sample(self) -> LoadReport:
        """Look; the first look has no CPU to tell yet."""
        if self._cpu:
            self._look()
        return LoadReport(cpu=self._last, memory=used_memory())

    def _look(self) -> None:
        busy, total = used_cpu()
        grown, elapsed = self._busy.since(busy), self._total.since(total)
        if elapsed and grown is not None:
            # Seconds of all CPUs: as a share of them it is wall-clock time that fades.
            seconds = elapsed / (psutil.cpu_count() or 1)
            self._last = self._average.add(min(1.0, grown / elapsed), seconds)
