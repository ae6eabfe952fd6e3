"""
The script check: run a program; it says by its exit status whether the server is well.

The program and all that it starts are one process group, which is killed when the time is up and
when the program has ended.  Waits for the program by a pidfd, so that no thread is needed.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import subprocess
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from lbctl.control.health.target import CannotCheck, CheckFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lbctl.control.health.target import Progress, Target
    from lbctl.model import ScriptCheck

LINE = 100  # characters of its output that are told
KEPT = 1 << 10  # bytes of its output that are kept
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
GRACE = 1.0  # seconds in which a killed program must have gone


async def ask(target: Target, check: ScriptCheck, progress: Progress) -> str:
    """Succeed when the program exits with 0."""
    progress.missing = "no end"
    words = shlex.split(check.command)
    with _output() as (output, writer):
        try:
            program = _start(words, environment(target), writer)
        except OSError as error:
            raise CannotCheck(f"{words[0]}: {(error.strerror or '').lower()}") from error
        finally:
            os.close(writer)
        await _end(program)
        output.read()
    if program.returncode == 0:
        return "exit 0"
    raise CheckFailed(ending(program.returncode, output.first_line))


def environment(target: Target) -> dict[str, str]:
    """What the program is told; of lbctld's own environment it gets nothing."""
    told = {
        "PATH": PATH,
        "LBCTL_POOL": target.pool,
        "LBCTL_ADDRESS": str(target.address.address),
        "LBCTL_PORT": str(target.port),
        "LBCTL_TIMEOUT": f"{target.check.timeout:g}",
    }
    if target.vip:
        told |= {"LBCTL_VIP": str(target.vip.address), "LBCTL_MARK": str(target.mark)}
    return told


def ending(code: int, line: str) -> str:
    """How a program ended that did not succeed: "exit 1: disk full", "killed by SIGSEGV"."""
    how = f"exit {code}"
    if code < 0:
        with suppress(ValueError):
            how = f"killed by {signal.Signals(-code).name}"
    return f"{how}: {line}" if line else how


def _start(words: list[str], told: dict[str, str], output: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - the administrator's words, never a shell
        words,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env=told,
        cwd="/",
        start_new_session=True,
    )


async def _end(program: subprocess.Popen[bytes]) -> None:
    """Wait until the program ends; whatever is left of its group is killed, also on cancelling."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    pidfd = os.pidfd_open(program.pid)
    loop.add_reader(pidfd, ended.set)
    try:
        await ended.wait()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)  # not reaped yet: the number is still its own
        with suppress(TimeoutError):  # stuck in the kernel: it is reaped by a later one
            await asyncio.wait_for(ended.wait(), GRACE)
        loop.remove_reader(pidfd)
        os.close(pidfd)
        program.poll()


class _Output:
    """The end of a pipe from which all is read and little kept, so that no writer waits."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._kept = b""

    def read(self) -> None:
        """Take some of what is there; at the end of all output, look no more."""
        with suppress(BlockingIOError):
            data = os.read(self._descriptor, 1 << 16)
            self._kept += data[: KEPT - len(self._kept)]
            if not data:
                asyncio.get_running_loop().remove_reader(self._descriptor)

    @property
    def first_line(self) -> str:
        """The first line with something in it, as much as can be printed."""
        lines = self._kept.decode(errors="replace").strip().splitlines()
        return "".join(c for c in lines[0] if c.isprintable())[:LINE] if lines else ""


@contextmanager
def _output() -> Iterator[tuple[_Output, int]]:
    """A pipe whose output is read by the event loop, and the descriptor to write to."""
    loop = asyncio.get_running_loop()
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    os.set_blocking(writer, True)
    output = _Output(reader)
    loop.add_reader(reader, output.read)
    try:
        yield output, writer
    finally:
        loop.remove_reader(reader)
        os.close(reader)
