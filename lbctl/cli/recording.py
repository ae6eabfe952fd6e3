"""
The recording: put what is captured into a file or lines, and end in good order.

A file is complete to the last block at any moment: blocks are written whole, or not at all.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import click

from lbctl.control.capturing.pcapng import Blocks
from lbctl.errors import Conflict, LbctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lbctl.cli.calls import Row

STDOUT = "-"
EVERY = 0.2  # seconds between two times that a terminal is told


def refuse_unusable(path: str, *, force: bool) -> None:
    """
    Raise LbctlError if no such file can be made, Conflict if there is one and *force* is not said.

    Before anything begins: for a capture all programs are swapped.
    """
    if path == STDOUT or _is_special(path):
        return
    if Path(path).exists() and not force:
        raise Conflict(f"{path}: exists already; choose another name, or --force")
    if not Path(path).parent.is_dir():
        raise LbctlError(f"{path}: there is no such folder; choose another FILE")


@contextmanager
def opened(path: str, *, force: bool) -> Iterator[IO[bytes]]:
    """Open the file to write to, without a buffer; `-` is standard output."""
    if path == STDOUT:
        yield sys.stdout.buffer
        return
    made = not force and not _is_special(path)  # by us, or it is not touched
    try:
        file = Path(path).open("xb" if made else "wb", buffering=0)  # noqa: SIM115 - see below
    except OSError as err:
        raise LbctlError(f"{path}: {err.strerror}; choose another FILE") from err
    with file:
        yield file


class Tally:
    """How many packets are captured and missed; standard error hears of the begin and the end."""

    def __init__(self, *, live: bool) -> None:
        self.captured = self.missed = 0
        self._live = live and sys.stderr.isatty()
        self._told = 0.0

    def update(self, captured: int, missed: int) -> None:
        """Learn the numbers; a terminal is told now and then."""
        self.captured, self.missed = captured, missed
        if self._live and time.monotonic() - self._told >= EVERY:
            self._told = time.monotonic()
            click.echo(f"\r{self}", nl=False, err=True)

    def __enter__(self) -> Self:
        click.echo("capturing; Ctrl-C ends it", err=True)  # for it takes a moment to begin
        return self

    def __exit__(self, *_: object) -> None:
        click.echo(f"\r{self}" if self._live else str(self), err=True)

    def __str__(self) -> str:
        return f"captured {self.captured}, missed {self.missed}"


def write(parts: Iterable[bytes], file: IO[bytes], tally: Tally) -> None:
    """Write what comes, in whole blocks."""
    blocks, size = Blocks(), 0
    try:
        for part in parts:
            whole = blocks.feed(part)
            _write_all(file, whole)
            size += len(whole)
            tally.update(blocks.packets, blocks.missed)
    except BrokenPipeError:
        raise
    except OSError as err:
        with suppress(OSError):  # a pipe has no end to cut off
            os.ftruncate(file.fileno(), size)
        name = getattr(file, "name", STDOUT)
        raise LbctlError(f"{name}: {err.strerror}; what it has so far is complete") from err


def rows(parts: Iterable[bytes], tally: Tally) -> Iterator[Row]:
    """The packets that come, one by one."""
    rest = b""
    for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            row: dict[str, Any] = json.loads(line)
            if "captured" in row:
                tally.update(row["captured"], row["missed"])
            else:
                tally.update(row["number"], tally.missed)
                yield row


@contextmanager
def asked_to_end(stop: Callable[[], object]) -> Iterator[None]:
    """At Ctrl-C or SIGTERM call *stop*, once and in a thread; a second time is a plain Ctrl-C."""
    asked = threading.Event()

    def ask(*_: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        threading.Thread(target=_quietly, args=(stop,), daemon=True).start()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _quietly(stop: Callable[[], object]) -> None:
    with suppress(LbctlError):  # it has ended by itself, or the daemon has
        stop()


def _write_all(file: IO[bytes], data: bytes) -> None:
    """Write all of it: a file without a buffer may take a part."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
    file.flush()


def _is_special(path: str) -> bool:
    """Whether it is a pipe or a device."""
    with suppress(OSError):
        return not stat.S_ISREG(Path(path).stat().st_mode)
    return False
