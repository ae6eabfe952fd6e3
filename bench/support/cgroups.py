"""The cgroups: processes that share a quota of CPU; version 2, or 1 with `cpu` and `cpuacct`."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lbctl.errors import LbctlError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path("/sys/fs/cgroup")
_PERIOD = 100_000  # microseconds
_FAVOR = 8  # times the CPU of any other process, up to the quota: that is to be what limits
_PATIENCE = 5.0  # seconds for the last process to leave


class Cgroup:
    """One cgroup; *path* is as a load agent wants it."""

    def __init__(self, path: str, folders: list[Path]) -> None:
        self.path, self._folders = path, folders

    def add(self, pid: int) -> None:
        """Move a process here."""
        for folder in self._folders:
            (folder / "cgroup.procs").write_text(str(pid))

    def throttled_seconds(self) -> float:
        """How long its processes have waited for the next period."""
        lines = (self._folders[0] / "cpu.stat").read_text().splitlines()
        told = dict(line.split() for line in lines)
        if "throttled_usec" in told:
            return int(told["throttled_usec"]) / 1e6
        return int(told["throttled_time"]) / 1e9


def _settings(part: float) -> tuple[list[str], dict[str, str]]:
    """The trees that a cgroup must be in, and what to write into the first."""
    quota = round(part * _PERIOD)
    if (ROOT / "cgroup.controllers").exists():
        with suppress(OSError):  # it is on already, or there is none: then the quota fails
            (ROOT / "cgroup.subtree_control").write_text("+cpu")
        return [""], {"cpu.max": f"{quota} {_PERIOD}", "cpu.weight": str(100 * _FAVOR)}
    return ["cpu", "cpuacct"], {
        "cpu.cfs_period_us": str(_PERIOD),
        "cpu.cfs_quota_us": str(quota),
        "cpu.shares": str(1024 * _FAVOR),
    }


@contextmanager
def cgroup(name: str, part: float) -> Iterator[Cgroup]:
    """Make a cgroup that gets *part* of one CPU; nobody may be in it any more at the end."""
    trees, settings = _settings(part)
    path = f"lbctl-bench-{os.getpid()}-{name}"
    with ExitStack() as cleanup:
        folders = []
        for tree in trees:
            folder = (ROOT / tree).resolve() / path
            if folder in folders:  # both controllers in one tree
                continue
            try:
                folder.mkdir()
            except OSError as err:
                raise LbctlError(f"{folder}: {err.strerror}; needs the cpu controller") from err
            cleanup.callback(_remove, folder)
            folders.append(folder)
        for key, value in settings.items():
            (folders[0] / key).write_text(value)
        yield Cgroup(path, folders)


def _remove(folder: Path) -> None:
    """Remove a cgroup as soon as its last process, which has ended, is gone."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return folder.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
