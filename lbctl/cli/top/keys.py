"""
The keys: read a terminal key by key, and leave it as it was found, whatever happens.

Knows nothing of what keys mean; `view` does.
"""

from __future__ import annotations

import os
import re
import select
import signal
import termios
import tty
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ESCAPE = 0x1B
PATIENCE = 0.05  # seconds for the rest of a sequence: networks cut them in two
SEQUENCE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|O[ -~])")
UNFINISHED = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|O)?\Z")
NAMES = {
    b"\x1b[A": "up",
    b"\x1b[B": "down",
    b"\x1b[C": "right",
    b"\x1b[D": "left",
    b"\x1b[H": "home",
    b"\x1b[F": "end",
    b"\x1b[1~": "home",
    b"\x1b[4~": "end",
    b"\x1b[5~": "page up",
    b"\x1b[6~": "page down",
    b"\x1b": "escape",
    b"\r": "enter",
    b"\n": "enter",
    b"\x7f": "backspace",
    b"\x08": "backspace",
}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGWINCH, signal.SIGTSTP)


class HungUp(Exception):
    """Nobody is at the terminal any more."""


def split(data: bytes) -> tuple[list[str], bytes]:
    """
    Split what a terminal sent into keys, and what may be the beginning of one more.

    Sequences that mean nothing here are left out; so are bytes beyond ASCII.
    """
    keys = []
    while data and not UNFINISHED.match(data):
        found = SEQUENCE.match(data)
        # Some terminals send ESC O A for an arrow.
        key = found[0].replace(b"\x1bO", b"\x1b[") if found else data[:1]
        data = data[found.end() if found else 1 :]
        name = NAMES.get(key) or (chr(key[0]) if len(key) == 1 and 32 <= key[0] < 127 else "")
        keys += [name] if name else []
    return keys, data


class Keyboard:
    """The keys of one terminal: without waiting for Enter, and without echo."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def read(self) -> list[str]:
        """The keys that were pressed; waits for one.  Raises HungUp."""
        keys, rest = split(self._data())
        while rest and select.select([self.descriptor], [], [], PATIENCE)[0]:
            more, rest = split(rest + self._data())
            keys += more
        return keys + ["escape"] * (rest == b"\x1b")

    def _data(self) -> bytes:
        try:
            data = os.read(self.descriptor, 1024)
        except OSError as err:  # EIO: its other end is closed
            raise HungUp from err
        if not data:
            raise HungUp
        return data


@contextmanager
def keyboard(descriptor: int) -> Iterator[Keyboard]:
    """Take the keys of a terminal; afterwards it is as it was before."""
    before = termios.tcgetattr(descriptor)
    try:
        # Ctrl-C and Ctrl-Z stay signals.  What was typed ahead stays too.
        tty.setcbreak(descriptor, termios.TCSADRAIN)
        yield Keyboard(descriptor)
    finally:
        with suppress(termios.error):  # it may be gone
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextmanager
def signals(descriptor: int) -> Iterator[None]:
    """
    Have the number of each signal written to a pipe, instead of what it does otherwise.

    So nothing is interrupted half-way: whoever reads the pipe decides.
    """
    before = {number: signal.getsignal(number) for number in SIGNALS}
    told = signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
    try:
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(told)
