"""
The trees: read the cgroup file systems of version 2 and of version 1 as if they were one.

A *level* is the cgroup itself, its parent and so on up to the root.  Reads files, writes none, and
says None of what a file does not tell.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

ROOT = Path("/sys/fs/cgroup")
SELF = Path("/proc/self/cgroup")  # where in the trees the agent itself is
AUTO = "auto"
NO_LIMIT = 1 << 60  # version 1 says "none" with a number about as large as addresses go


class Share(NamedTuple):
    """What a level uses, and what it may use; None is "no limit"."""

    used: float
    limit: float | None


def read(path: Path) -> str | None:
    """Give what a file of a cgroup says, None where there is no such file."""
    with suppress(OSError, UnicodeDecodeError):
        return path.read_text().strip()
    return None


def number(path: Path, key: str = "") -> int | None:
    """Give the number in a file, of the line that begins with *key* where one is given."""
    match = re.search(rf"^{key} ?(\d+)$", read(path) or "", re.MULTILINE)
    return int(match[1]) if match else None


def count_cpus(text: str | None) -> int | None:
    """Count the CPUs of a list such as ``0-3,8``; None where there are none."""
    spans = re.findall(r"(\d+)(?:-(\d+))?", text or "")
    return sum(int(last or first) - int(first) + 1 for first, last in spans) or None


def working_set(used: int | None, idle: int | None) -> float | None:
    """Leave out the pages of files that nobody used lately: they are free to be taken."""
    return None if used is None else float(max(0, used - (idle or 0)))


class Tree:
    """One cgroup and the levels above it; the controllers may have folders of their own."""

    def __init__(self, root: Path, places: dict[str, str]) -> None:
        self._levels = {name: _levels(root / name, place) for name, place in places.items()}

    def cpus(self) -> int | None:
        """CPUs that the cgroup may run on; None where that is not told."""
        raise NotImplementedError

    def cpu(self) -> list[Share | None]:
        """Seconds of CPU used so far and CPUs allowed, per level from the cgroup up."""
        raise NotImplementedError

    def memory(self) -> list[Share | None]:
        """Bytes in use and bytes allowed, per level from the cgroup up."""
        raise NotImplementedError


class Tree2(Tree):
    """Version 2: one folder has it all."""

    def __init__(self, root: Path, place: str) -> None:
        super().__init__(root, {"": place})

    def cpus(self) -> int | None:
        """See Tree."""
        told = (read(level / "cpuset.cpus.effective") for level in self._levels[""])
        return next(filter(None, map(count_cpus, told)), None)

    def cpu(self) -> list[Share | None]:
        """See Tree."""
        return [self._cpu(level) for level in self._levels[""]]

    def memory(self) -> list[Share | None]:
        """See Tree."""
        return [self._memory(level) for level in self._levels[""]]

    def _cpu(self, level: Path) -> Share | None:
        used = number(level / "cpu.stat", "usage_usec")
        if used is None:
            return None
        quota = re.fullmatch(r"(\d+) (\d+)", read(level / "cpu.max") or "")
        return Share(used / 1e6, int(quota[1]) / int(quota[2]) if quota else None)

    def _memory(self, level: Path) -> Share | None:
        idle = number(level / "memory.stat", "inactive_file")
        used = working_set(number(level / "memory.current"), idle)
        return None if used is None else Share(used, number(level / "memory.max"))


class Tree1(Tree):
    """Version 1: a folder for each controller."""

    def cpus(self) -> int | None:
        """See Tree."""
        told = (read(level / "cpuset.effective_cpus") for level in self._levels.get("cpuset", ()))
        return next(filter(None, map(count_cpus, told)), None)

    def cpu(self) -> list[Share | None]:
        """See Tree; the controllers that count and that limit may put a cgroup elsewhere."""
        used = [number(level / "cpuacct.usage") for level in self._levels.get("cpuacct", ())]
        quotas = [self._quota(level) for level in self._levels.get("cpu", ())]
        quotas += [None] * (len(used) - len(quotas))
        return [
            None if nanoseconds is None else Share(nanoseconds / 1e9, quota)
            for nanoseconds, quota in zip(used, quotas, strict=False)
        ]

    def memory(self) -> list[Share | None]:
        """See Tree."""
        return [self._memory(level) for level in self._levels.get("memory", ())]

    def _quota(self, level: Path) -> float | None:
        quota = number(level / "cpu.cfs_quota_us")  # -1 is none, and no number to us
        period = number(level / "cpu.cfs_period_us")
        return quota / period if quota and period else None

    def _memory(self, level: Path) -> Share | None:
        idle = number(level / "memory.stat", "total_inactive_file")
        used = working_set(number(level / "memory.usage_in_bytes"), idle)
        limit = number(level / "memory.limit_in_bytes")
        if used is None:
            return None
        return Share(used, limit if limit is not None and limit < NO_LIMIT else None)


def find(path: str, root: Path = ROOT, own: Path = SELF) -> Tree:
    """
    Find the cgroup *path*, which is named from the root down, or ``auto``: the agent's own.

    Whether it is there shows when it is read: a container comes and goes.
    """
    place = _place(path, root)
    if (root / "cgroup.controllers").exists():
        return Tree2(root, _own(own).get("", "/") if path == AUTO else place)
    names = [name for name in ("cpu", "cpuacct", "cpuset", "memory") if (root / name).is_dir()]
    mine = _own(own) if path == AUTO else {}
    return Tree1(root, {name: mine.get(name, place) for name in names})


def _own(file: Path) -> dict[str, str]:
    """Read where this process is: controller -> place; version 2 has no name."""
    lines = (line.split(":", 2) for line in (read(file) or "").splitlines())
    return {name: place for _, names, place in lines for name in names.split(",")}


def _place(path: str, root: Path) -> str:
    """Write *path* from the root down; it may be given with the root, and a controller's folder."""
    if path == AUTO:
        return "/"
    with suppress(ValueError):
        path = str(Path(path).relative_to(root))
        first, _, rest = path.partition("/")
        if {"cpu", "cpuacct", "memory"} & set(first.split(",")):
            path = rest
    return path.strip("/")


def _levels(root: Path, place: str) -> list[Path]:
    """
    List the folders from the cgroup up to the root.

    A container is told the host's names, which begin with a slash, and sees only its own cgroup:
    there it is the root.
    """
    folder = root / place.strip("/")
    if place.startswith("/") and not folder.is_dir():
        folder = root
    return [folder, *(parent for parent in folder.parents if parent.is_relative_to(root))]
