"""The stage: a daemon of its own on a test bed, and commands as people type them."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click

from lbctl.errors import LbctlError
from lbctl.switching import pins
from lbctl.testbed.processes import environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from lbctl.testbed.testbed import Testbed

PINS = Path("/sys/fs/bpf/lbctl")
READY = " is ready: "  # what lbctld prints once
PATIENCE = 15.0  # seconds for the daemon to get ready


def wait(ready: Callable[[], bool], seconds: float, complaint: str) -> float:
    """Wait for something; returns how long it took, raises LbctlError when it takes too long."""
    begin = time.monotonic()
    while not ready():
        if time.monotonic() - begin > seconds:
            raise LbctlError(f"{complaint} (waited {seconds:g} s)")
        time.sleep(0.02)
    return time.monotonic() - begin


class Stage:
    """One instance of the switch, with everything it owns in the folder of its test bed."""

    def __init__(self, bed: Testbed) -> None:
        self.bed = bed
        self.name = bed.plan.prefix
        self.socket = bed.folder / "lbctld.sock"
        self.pin_dir = PINS / self.name
        self.log = bed.folder / "lbctld.log"
        self._daemon: subprocess.Popen[Any] | None = None
        self._starts = 0

    # -- the daemon ----------------------------------------------------------------------------

    def start(self) -> float:
        """Start lbctld; returns the seconds until it was ready."""
        shown = ["lbctld", "--name", self.name, "--netns", self.bed.switch]
        say_command(f"{shlex.join(shown)} &")
        hidden = {
            "--socket": self.socket,
            "--state-dir": self.bed.folder / "state",
            "--pin-dir": self.pin_dir,
        }
        options = ["--detach-on-exit", *(f"{key}={value}" for key, value in hidden.items())]
        command = [sys.executable, "-m", "lbctl.testbed.lbctld", *shown[1:], *options]
        self.bed.folder.mkdir(parents=True, exist_ok=True)
        self._starts += 1
        with self.log.open("ab") as log:
            self._daemon = self.bed.popen(None, command, stdout=log, stderr=log)
        return wait(self._is_ready, PATIENCE, f"lbctld does not get ready; see {self.log}")

    def _is_ready(self) -> bool:
        if self._daemon and self._daemon.poll() is not None:
            said = self.log.read_text(errors="replace").splitlines()
            raise LbctlError(f"lbctld ended: {' '.join(said[-1:])}")
        return self.log.read_text(errors="replace").count(READY) == self._starts

    def kill(self) -> None:
        """Do to the daemon what the kernel does when memory runs out."""
        if self._daemon:
            say_command(f"kill -9 {self._daemon.pid}")
            self._daemon.kill()
            self._daemon.wait()

    def last_words(self) -> str:
        """The end of the daemon's log."""
        if not self.log.exists():
            return "lbctld was not started"
        said = self.log.read_text(errors="replace").splitlines()
        return "\n".join(["the end of lbctld's log:", *said[-20:]])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the daemon and take the switching processors away."""
        if self._daemon:
            self._daemon.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._daemon.wait(PATIENCE)
        pins.remove(self.pin_dir)

    # -- commands ------------------------------------------------------------------------------

    def _lbctl(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own words
            [sys.executable, "-m", "lbctl", *words],
            env={**environment(), "LBCTL_SOCKET": str(self.socket), "LBCTL_NAME": self.name},
            capture_output=True,
            text=True,
            check=False,
        )

    def lbctl(self, *words: str, quiet: bool = False) -> str:
        """Run an lbctl command as it is typed, and show what it answers."""
        if not quiet:
            say_command(shlex.join(["lbctl", *words]))
        done = self._lbctl(list(words))
        if done.returncode:
            raise LbctlError(f"`lbctl {shlex.join(words)}` failed: {done.stderr.strip()}")
        if not quiet:
            click.echo(done.stdout, nl=False)
        return done.stdout


def say_command(line: str) -> None:
    """Show a command as it is typed."""
    click.secho(f"$ {line}", bold=True)
