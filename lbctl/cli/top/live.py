"""
The live screen: ask, draw, wait for a key, a signal or the next turn; until the user has enough.

A thread asks, so that keys are obeyed at once while a daemon thinks or is silent.
"""

from __future__ import annotations

import errno
import os
import queue
import select
import signal
import sys
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.live import Live

from lbctl.cli.top import keys, pages, screen
from lbctl.cli.top.keys import HungUp
from lbctl.cli.top.look import look
from lbctl.cli.top.marks import marks_for
from lbctl.cli.top.readings import Look, Readings
from lbctl.cli.top.screen import Scene, Size
from lbctl.cli.top.view import View, press
from lbctl.errors import DaemonUnreachable, LbctlError

if TYPE_CHECKING:
    from rich.text import Text

    from lbctl.cli.client import Client
    from lbctl.cli.top.keys import Keyboard

LOOKED = b"\0"  # in the pipe, beside the numbers of signals: an answer has come


class Asker(threading.Thread):
    """Takes looks, one at a time, and tells a pipe when it has one; ends with the process."""

    def __init__(self, client: Client, told: int) -> None:
        super().__init__(daemon=True, name="asker")
        self._client = client
        self._told = told
        self._wanted: queue.SimpleQueue[View] = queue.SimpleQueue()
        self._found: queue.SimpleQueue[Look | Exception] = queue.SimpleQueue()
        self.busy = False

    def ask(self, view: View) -> None:
        """Take a look for *view*; not while it is busy."""
        self.busy = True
        self._wanted.put(view)

    def answer(self) -> Look | LbctlError:
        """What came of it.  Raises what is a bug."""
        found = self._found.get()
        self.busy = False
        if isinstance(found, Look | LbctlError):
            return found
        raise found

    def run(self) -> None:
        """Work."""
        while True:
            view = self._wanted.get()
            try:
                self._found.put(look(self._client, view))
            except Exception as err:  # noqa: BLE001 - the other thread raises it
                self._found.put(err)
            os.write(self._told, LOOKED)


class Top:
    """What is seen, and when to look again."""

    def __init__(self, client: Client, interval: float, console: Console, told: int) -> None:
        self.interval = interval
        self.console = console
        self.marks = marks_for(console.encoding)
        self.readings = Readings()
        self.view = View()
        self.away: str | None = None
        self.answered = time.time()
        self.readings.add(look(client, self.view))  # what is wrong at once is said as anywhere
        self.asker = Asker(client, told)
        self.asker.start()
        self._next = time.monotonic() + interval
        self._asked = self.view

    def turn(self, now: float) -> float:
        """Ask if it is time to; gives the seconds until it is."""
        moved = (self.view.page, self.view.pool) != (self._asked.page, self._asked.pool)
        due = now >= self._next and not self.view.paused
        if (due or moved) and not self.asker.busy:
            self._asked = self.view
            self._next = now + self.interval
            self.asker.ask(self.view)
        return max(0.0, self._next - now)

    def take(self) -> None:
        """Take in an answer, or that there is none."""
        found = self.asker.answer()
        if isinstance(found, Look):
            self.readings.add(found)
            self.answered, self.away = time.time(), None
        else:
            what = "lbctld does not answer" if _silent(found) else "lbctld refuses"
            since = time.strftime("%H:%M:%S", time.localtime(self.answered))
            self.away = f"{what} since {since}: {found}"

    def obey(self, pressed: list[str]) -> None:
        """Do what keys say."""
        for key in pressed:
            names = pages.sheet(self.readings, self.view).names
            self.view = press(self.view, key, names)

    def draw(self) -> Text:
        """Draw what there is now, as large as the terminal is."""
        size = Size(*os.get_terminal_size(sys.stdout.fileno()))
        self.console.size = size
        clock = time.strftime("%H:%M:%S", time.localtime(self.answered))
        scene = Scene(self.readings, self.view, self.marks, self.interval, clock, self.away)
        return screen.draw(scene, size)


def _silent(error: LbctlError) -> bool:
    return isinstance(error, DaemonUnreachable)


def run(client: Client, interval: float) -> None:
    """Show the switch until the user has enough.  Raises Abort after Ctrl-C, Exit for signals."""
    console = Console(highlight=False, markup=False, emoji=False)
    heard, told = _pipe()
    top = Top(client, interval, console, told)
    number = _shown(top, heard, told)
    while number == signal.SIGTSTP:
        signal.raise_signal(number)  # and here we are again, in the foreground
        number = _shown(top, heard, told)
    if number == signal.SIGINT:
        raise click.Abort
    if number:
        raise click.exceptions.Exit(128 + number)


def _shown(top: Top, heard: int, told: int) -> int:
    """Have the terminal, until the user has enough (0) or a signal ends it (its number)."""
    try:
        with ExitStack() as terminal:
            terminal.enter_context(keys.signals(told))
            keyboard = terminal.enter_context(keys.keyboard(sys.stdin.fileno()))
            live = Live(console=top.console, screen=True, auto_refresh=False)
            terminal.enter_context(live)
            return _loop(top, live, keyboard, heard)
    except HungUp:
        return signal.SIGHUP
    except OSError as err:
        if err.errno != errno.EIO:  # of a terminal whose other end is closed
            raise
        return signal.SIGHUP


def _loop(top: Top, live: Live, keyboard: Keyboard, heard: int) -> int:
    ready = [heard]
    while not top.view.done:
        wait = top.turn(time.monotonic())
        if ready:  # otherwise it was time to ask, and there is nothing new to see
            live.update(top.draw(), refresh=True)
        asleep = top.view.paused or top.asker.busy
        ready, _, _ = select.select([keyboard.descriptor, heard], [], [], None if asleep else wait)
        if heard in ready:
            for number in os.read(heard, 1024):
                if number == LOOKED[0]:
                    top.take()
                elif number != signal.SIGWINCH:
                    return number
        if keyboard.descriptor in ready:
            top.obey(keyboard.read())
    return 0


def _pipe() -> tuple[int, int]:
    """
    A pipe, its end to read and its end to write; neither waits.

    It stays open until the process ends: the asker may have an answer after the user is gone.
    """
    heard, told = os.pipe()
    os.set_blocking(heard, False)
    os.set_blocking(told, False)
    return heard, told
