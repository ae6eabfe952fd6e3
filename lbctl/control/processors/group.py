"""
The group: a cgroup of the applications, whose CPUs nobody else gets.

A cpuset partition of cgroup v2: the kernel takes its CPUs from all other processes.  The cpusets of
cgroup v1 only confine those within, which an affinity does as well, so they are not used.
"""

from __future__ import annotations

import contextlib
import errno
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lbctl.control.processors.trees import Tree

CONTROLLER_FILE = "cgroup.controllers"
CPUSET = "cpuset"
SUBTREE = "cgroup.subtree_control"
ON, OFF, NONE = "on", "off", "none"


class Group:
    """The cgroup of one instance's applications, in a cgroup v2 tree if there is one."""

    def __init__(self, tree: Tree | None, name: str) -> None:
        self._tree = tree
        self._path = f"lbctl-{name}"

    @property
    def missing(self) -> str:
        """Why there can be no such group; empty: there can."""
        if self._tree is None:
            return "cgroup v2 is not mounted"
        if CPUSET not in (self._tree.read(CONTROLLER_FILE) or "").split():
            return "cgroup v2 has no cpusets here (cgroup v1 may have them)"
        if self._tree.has("cgroup.type"):  # which the topmost alone has not
            return "this is a container's cgroup, which has no CPUs of its own to give away"
        return ""

    def controller(self) -> str | None:
        """Whether cgroups at the top have cpusets; None: they cannot."""
        if self._tree is None or self.missing:
            return None
        return ON if CPUSET in (self._tree.read(SUBTREE) or "").split() else OFF

    def set_controller(self, *, on: bool) -> None:
        """Have cpusets, or not.  Raises OSError."""
        self._mounted().write(SUBTREE, f"+{CPUSET}" if on else f"-{CPUSET}")

    def cpus(self) -> str | None:
        """The group's CPUs, "none" without a group; None: there can be none."""
        if self._tree is None or self.missing:
            return None
        if not self._tree.has(self._path):
            return NONE
        return self._tree.read(f"{self._path}/cpuset.cpus") or ""

    def set_cpus(self, value: str) -> None:
        """Make or change the group, or with "none" remove it.  Raises OSError."""
        tree = self._mounted()
        if value == NONE:
            self._dissolve(tree)
            return
        tree.make(self._path)
        tree.write(f"{self._path}/cpuset.cpus", value)
        kind = f"{self._path}/cpuset.cpus.partition"
        tree.write(kind, "root")
        told = tree.read(kind) or ""
        if told != "root":
            self._dissolve(tree)
            raise OSError(errno.EBUSY, f"the kernel makes no partition of them: {told}")

    def admit(self, process: int) -> bool:
        """Put a process into the group; False: there is none.  Raises OSError."""
        if self._tree is None or not self._tree.has(self._path):
            return False
        self._tree.write(f"{self._path}/cgroup.procs", str(process))
        return True

    def _dissolve(self, tree: Tree) -> None:
        """Send the group's processes to the top and remove it."""
        for process in (tree.read(f"{self._path}/cgroup.procs") or "").split():
            with contextlib.suppress(ProcessLookupError):  # it ends just now
                tree.write("cgroup.procs", process)
        tree.remove(self._path)

    def _mounted(self) -> Tree:
        if self._tree is None:
            raise OSError(errno.ENODEV, "cgroup v2 is not mounted")
        return self._tree
