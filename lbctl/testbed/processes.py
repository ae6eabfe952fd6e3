"""
The processes: know again what was started, even from another process, and end exactly that.

A number alone does not tell a process: it is used again.  The time of its start does.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import lbctl

if TYPE_CHECKING:
    from collections.abc import Sequence

START_TIME = 19  # field of /proc/PID/stat behind the name
GRACE = 3.0  # seconds from SIGTERM to SIGKILL


class Process(NamedTuple):
    """A process: its number, when it started (in ticks since boot), where, and what it is."""

    pid: int
    started: int
    role: str
    name: str

    @classmethod
    def of(cls, pid: int, role: str, command: Sequence[str]) -> Self:
        """A process that runs now; of `python -m MODULE` the module is what people call it."""
        name = command[2] if command[1:2] == ["-m"] else Path(command[0]).name
        return cls(pid, _start_time(pid) or 0, role, name)

    def is_alive(self) -> bool:
        """Whether it still runs, and is the same."""
        return _start_time(self.pid) == self.started

    def end(self) -> None:
        """Ask it to end; insist after a moment."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if not self.is_alive():
                return
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            for signal_number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, signal_number)
                if poll.poll(GRACE * 1000):
                    return
        finally:
            os.close(handle)


def _start_time(pid: int) -> int | None:
    """When a process started; None if there is none, or only what its parent has not collected."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[START_TIME])


def environment() -> dict[str, str]:
    """The environment in which another Python finds this very lbctl."""
    package = str(Path(lbctl.__file__).parents[1])
    path = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (package, path)))}
