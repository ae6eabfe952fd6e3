"""
A console: type the commands of a page into one shell, as a reader would, and read what it says.

Background jobs may speak at any time, so a command's answer is complete when the shell is ready
for the next *and* as many lines have come as the page shows.
"""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

READY = "@@ready@@"
BIN = Path(__file__).parents[2] / ".venv" / "bin"


class Step(NamedTuple):
    """One command of a page, and the lines that the page shows after it."""

    line: int
    command: str
    output: tuple[str, ...]


def steps(text: str) -> list[Step]:
    """Read the blocks fenced as `console`: commands after `$ `, output below."""
    found: list[Step] = []
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            inside = line == "```console"
        elif inside and line.startswith("$ "):
            found.append(Step(number, line[2:], ()))
        elif inside and found:
            found[-1] = found[-1]._replace(output=(*found[-1].output, line))
    return found


def shape(line: str) -> str:
    """Reduce a line to what is the same on every run: no figures, no widths of columns."""
    line = re.sub(r"\b[0-9a-f]{16}\b", "TAG", line)
    line = re.sub(r"\d{4}-\d\d-\d\dT[\d:]+Z", "TIME", line)
    line = re.sub(r"\d+(\.\d+)?", "0", line)
    return " ".join(line.split())


def agrees(shown: tuple[str, ...], answer: list[str]) -> bool:
    """Compare what a page shows with an answer, by shape; a line `...` stands for any lines."""
    pattern = "".join(
        r"(?:.*\n)*?" if line == "..." else re.escape(shape(line)) + r"\n" for line in shown
    )
    return re.fullmatch(pattern, "".join(shape(line) + "\n" for line in answer)) is not None


class Console:
    """A shell that is kept open; what it does not answer within *patience* is a failure."""

    def __init__(self, environment: Mapping[str, str], patience: float = 30.0) -> None:
        inherited = {key: value for key, value in os.environ.items() if key != "SUDO_USER"}
        path = f"{BIN}:{os.environ['PATH']}"
        self.patience = patience
        self._shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**inherited, **environment, "PATH": path},
            start_new_session=True,  # so that its background jobs can be found when it is over
        )
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End the shell and what it left in the background."""
        self._shell.stdin.close()
        self._shell.wait(self.patience)
        self._shell.stdout.close()
        deadline = time.monotonic() + self.patience
        with suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGTERM)
            while time.monotonic() < deadline:
                os.killpg(self._shell.pid, 0)
                time.sleep(0.02)

    def type(self, command: str, lines: int = 0) -> list[str]:
        """Type *command*; return what came until the shell was ready and *lines* had come."""
        self._shell.stdin.write(f"{command}\necho {READY}\n".encode())
        self._shell.stdin.flush()
        answer: list[str] = []
        deadline = time.monotonic() + self.patience
        ready = False
        while not ready or len(answer) < lines:
            line = self._line(deadline)
            assert line is not None, f"{command}: waited in vain; so far: {answer}"
            if line == READY:
                ready = True
            else:
                answer.append(line)
        return answer

    def _line(self, deadline: float) -> str | None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._shell.stdout, selectors.EVENT_READ)
            while b"\n" not in self._rest:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    return None
                more = os.read(self._shell.stdout.fileno(), 65536)
                if not more:
                    return None
                self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()
