"""
A terminal: run a program in one of a given size, press keys, and read what is on its screen.

pyte understands what the program writes; the kernel's pseudo terminal does the rest, signals by
Ctrl-C and changes of the size included.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from typing import TYPE_CHECKING, Self

import pyte

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PATIENCE = 20.0  # seconds; for what takes a fraction of one, on a machine that has much to do


class Terminal:
    """One program in a terminal of its own; it is ended at the latest on exit."""

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        columns: int = 80,
        lines: int = 24,
    ) -> None:
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._near, self._far = pty.openpty()
        self._set_size(columns, lines)
        self.raw = b""
        self.before = termios.tcgetattr(self._far)
        # setsid makes it the terminal of the program, so that keys can be signals.
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *command],
            env={**env, "TERM": "xterm-256color"},
            stdin=self._far,
            stdout=self._far,
            stderr=self._far,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._near)
        os.close(self._far)

    @property
    def screen(self) -> str:
        """What a person would read."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    @property
    def settings(self) -> list[object]:
        """How the terminal is set now; to be compared with `before`."""
        return termios.tcgetattr(self._far)

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._near, keys.encode())

    def resize(self, columns: int, lines: int) -> None:
        """Make the window another size; the program is told."""
        self._screen.resize(lines, columns)
        self._screen.reset()
        self._set_size(columns, lines)

    def wait(self, text: str) -> str:
        """Wait until *text* is on the screen; gives the screen."""
        return self.until(lambda screen: text in screen, f"no {text!r}")

    def until(self, condition: Callable[[str], object], what: str) -> str:
        """Wait until the screen is as wanted; *what* says what is the matter if it never is."""
        deadline = time.monotonic() + PATIENCE
        while not condition(self.screen):
            left = deadline - time.monotonic()
            assert left > 0, f"{what} on the screen:\n{self.screen}"
            self._take(left)
        return self.screen

    def end(self) -> int:
        """Wait until the program has ended, reading what it says; gives its exit status."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it does not end:\n{self.screen}"
            self._take(0.02)
        while self._take(0):
            pass
        return self.process.returncode

    def _take(self, patience: float) -> bool:
        """Take in what the program writes, waiting a while for it; whether there was something."""
        if not select.select([self._near], [], [], patience)[0]:
            return False
        data = os.read(self._near, 1 << 16)
        self.raw += data
        self._stream.feed(data)
        return True

    def _set_size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._far, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
