"""
The trees: read and write the files of /proc, /sys and the cgroups.

/sys is mounted anew, nowhere: a thread that entered a network namespace by setns alone finds the
NICs of its old one under /sys/class/net, but a mount of its own has those of its namespace.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path

FSOPEN, FSCONFIG, FSMOUNT = 430, 431, 432  # alike on every architecture (Linux 5.2)
CLOEXEC, CREATE = 1, 6
MOST = 1 << 16  # bytes of a file
MOUNTS = Path("/proc/self/mountinfo")

_libc = ctypes.CDLL(None, use_errno=True)


class Tree:
    """The files below a folder; paths are relative to it."""

    def __init__(self, root: int | Path) -> None:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        self._root = root if isinstance(root, int) else os.open(root, flags)

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self._root)

    def read(self, path: str) -> str | None:
        """What a file holds, without the end of its last line; None: nobody can tell."""
        with contextlib.suppress(OSError, ValueError):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._root)
            try:
                return os.read(descriptor, MOST).decode().strip()
            finally:
                os.close(descriptor)
        return None

    def number(self, path: str, otherwise: int = 0) -> int:
        """The number that a file holds."""
        try:
            return int(self.read(path) or "")
        except ValueError:
            return otherwise

    def write(self, path: str, text: str) -> None:
        """Give *text* to a file.  Raises OSError."""
        flags = os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC
        descriptor = os.open(path, flags, dir_fd=self._root)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)

    def names(self, path: str) -> list[str]:
        """What is in a folder; nothing, if there is none."""
        with contextlib.suppress(OSError):
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
            descriptor = os.open(path, flags, dir_fd=self._root)
            try:
                return os.listdir(descriptor)  # noqa: PTH208 - no path leads there
            finally:
                os.close(descriptor)
        return []

    def folders(self, path: str) -> list[str]:
        """The folders in a folder."""
        return [name for name in self.names(path) if self.has(f"{path}/{name}/.")]

    def has(self, path: str) -> bool:
        """Whether there is such a thing."""
        return os.access(path, os.F_OK, dir_fd=self._root)

    def link(self, path: str) -> str:
        """The name of what a link leads to; empty: it is none."""
        with contextlib.suppress(OSError):
            return Path(os.readlink(path, dir_fd=self._root)).name
        return ""

    def make(self, path: str) -> None:
        """Make a folder, unless it is there.  Raises OSError."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, dir_fd=self._root)

    def remove(self, path: str) -> None:
        """Remove a folder, unless it is gone.  Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(path, dir_fd=self._root)


def open_sys() -> Tree:
    """/sys as the calling thread's network namespace has it; where that may not be, the old one."""
    try:
        return Tree(_mount(b"sysfs"))
    except OSError:
        return Tree(Path("/sys"))


def _mount(kind: bytes) -> int:
    """A file system that is mounted nowhere, as a descriptor.  Raises OSError."""
    context = _done(_libc.syscall(FSOPEN, kind, CLOEXEC))
    try:
        _done(_libc.syscall(FSCONFIG, context, CREATE, None, None, 0))
        return _done(_libc.syscall(FSMOUNT, context, CLOEXEC, 0))
    finally:
        os.close(context)


def _done(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def cgroups(mounts: Path = MOUNTS) -> Path | None:
    """Where cgroup v2 is mounted; None: nowhere."""
    for line in mounts.read_text().splitlines():
        before, _, after = line.partition(" - ")
        if after.split()[0] == "cgroup2":
            return Path(before.split()[4])
    return None
