"""
The cgroup: tell how much of its own share a container or a slice uses.

CPU is the time used over the time allowed, at whichever level from the cgroup up to the root is
nearest to its quota; without any quota, over the CPUs that it may run on.  Memory likewise.  What
the files say is for the trees to know.
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING

import psutil

from lbctl.agent import trees
from lbctl.agent.machine import INTERVAL, CpuAverage
from lbctl.agent.readings import Growth, SourceError
from lbctl.agent.wire import LoadReport

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class CgroupProbe:
    """CPU and memory of one cgroup, as parts of what it may use."""

    def __init__(
        self,
        path: str,
        *,
        root: Path = trees.ROOT,
        own: Path = trees.SELF,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = f"cgroup {path}"
        self.interval = INTERVAL
        self._path, self._root, self._own = path, root, own
        self._clock = clock
        self._elapsed = Growth()
        self._used: defaultdict[int, Growth] = defaultdict(Growth)
        self._average = CpuAverage()
        self._cpu: float | None = None

    async def sample(self) -> LoadReport:
        """Look; the first look has no CPU to tell yet.  Raises SourceError where it is gone."""
        tree = trees.find(self._path, self._root, self._own)
        levels = tree.cpu()
        self._look(levels, tree.cpus() or psutil.cpu_count() or 1)
        memory = _memory(tree.memory())
        if not (levels and levels[0]) and memory is None:
            raise SourceError(f"{self.name}: no such cgroup, or it tells neither CPU nor memory")
        return LoadReport(cpu=self._cpu, memory=memory)

    def _look(self, levels: list[trees.Share | None], cpus: int) -> None:
        """Work out the share of the last moments, at the level nearest to its quota."""
        elapsed = self._elapsed.since(self._clock())
        shares = []
        for depth, level in enumerate(levels):
            grown = self._used[depth].since(level.used if level else None)
            # Above the cgroup only quotas matter: others use the rest of the machine.
            if level and grown is not None and elapsed and (level.limit or depth == 0):
                shares.append(grown / elapsed / min(level.limit or cpus, cpus))
        self._cpu = self._average.add(max(shares), elapsed) if shares and elapsed else None


def _memory(levels: list[trees.Share | None]) -> float | None:
    """Give the part in use at the level nearest to its limit; None where nothing is told."""
    if not levels or not levels[0]:
        return None
    total = psutil.virtual_memory().total
    shares = [levels[0].used / min(levels[0].limit or total, total)]
    shares += [level.used / level.limit for level in levels[1:] if level and level.limit]
    return min(1.0, max(shares))
