"""
The whole of `lbctl top`, in a terminal of its own, against a daemon that answers what it is told.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from tests.support.terminal import Terminal
from tests.unit.cli.top.switch import check, drop, pool, server, stats, status

ROOT = Path(__file__).parents[4]
WEB = pool(servers=[server(1), server(2, state="down", reason="connection refused")])
ALT, MAIN, CURSOR = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25h"


class Counting(dict):
    """Answers of a daemon whose counters grow by a second's worth from look to look."""

    looks = 0

    def get(self, call, default=None):
        """The answer to a call."""
        self.looks += call[1] in ("/v1/stats", "/v1/drops")
        if call[1] == "/v1/stats":
            return 200, stats([WEB], self.looks)
        if call[1] == "/v1/drops":
            return 200, [drop(packets=100 * self.looks)]
        return super().get(call, default)


@pytest.fixture
def switch(daemon):
    """
    A daemon that has a pool and some traffic.
    """
    daemon.answers = Counting(
        {
            ("GET", "/v1/status"): (200, status(warnings=["NIC eth1 is down"])),
            ("GET", "/v1/pools"): (200, [WEB]),
            ("GET", "/v1/pools/web"): (200, WEB),
            ("GET", "/v1/health"): (200, [check(1), check(2, up=False)]),
        }
    )
    return daemon


@pytest.fixture
def top(switch):
    """
    Run `lbctl top` in a terminal; options are words after it, size and environment are named.
    """
    opened = []

    def start(*words, columns=80, lines=24, **env):
        command = [sys.executable, "-m", "lbctl", "--socket", switch.socket, "top", *words]
        kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")}
        kept["PYTHONPATH"] = str(ROOT)
        opened.append(Terminal(command, {**kept, **env}, columns, lines))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.__exit__()


def restored(terminal):
    """Whether a terminal is as it was: its settings, the main screen, the cursor."""
    tail = after_last(ALT, terminal)
    return terminal.before == terminal.settings and MAIN in tail and CURSOR in tail


def after_last(mark, terminal):
    """What was written after *mark* came for the last time."""
    return terminal.raw[terminal.raw.rindex(mark) :]


def test_a_walk(top):
    """
    Overview, a pool, the drops, help, and the end: status 0 and the terminal as before.
    """
    terminal = top("--interval", "0.1")
    screen = terminal.until(lambda seen: "M " in seen and "k " in seen, "no rates")
    assert "1 warning: NIC eth1 is down" in screen
    assert "web" in screen

    terminal.press("\r")
    terminal.wait("back-ends of web")
    terminal.press("j")
    terminal.wait("10.0.1.2:8080 is down: connection refused")
    terminal.press("d")
    terminal.wait("lbctl capture --verdict DROP_NO_BACKEND")
    terminal.press("\x1b")
    terminal.wait("back-ends of web")
    terminal.press("\x7f")
    terminal.wait("pools: 1-1 of 1, by PKT/S")
    terminal.press("s")
    terminal.wait("by DROP/S, largest first")
    terminal.press("S")
    terminal.wait("by DROP/S, smallest first")
    terminal.press("?")
    terminal.wait("keys and columns")
    terminal.press("q")

    assert 0 == terminal.end()
    assert restored(terminal)


def test_only_what_is_shown_is_asked(top, switch):
    """
    Drops need no pools.
    """
    terminal = top("--interval", "0.1")
    terminal.press("d")
    terminal.wait("No active back-end.")
    switch.requests.clear()
    terminal.until(lambda _: len(switch.requests) > 4, "nothing is asked")

    assert {"/v1/status", "/v1/drops"} == {request.path for request in switch.requests[:4]}


def test_pause(top, switch):
    """
    Nothing is asked, and going on goes on.
    """
    terminal = top("--interval", "0.1")
    terminal.press("p")
    terminal.wait("PAUSED")
    terminal.press("jk?")
    terminal.wait("keys and columns")
    before = len(switch.requests)
    terminal.press("?")
    terminal.wait("PAUSED")
    assert before == len(switch.requests)

    terminal.press("p")
    terminal.until(lambda _: len(switch.requests) > before, "nothing is asked")


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)],
    ids=lambda value: str(int(value)),
)
def test_signals_end_it(top, number, status):
    """
    Without a word, with the terminal as before.
    """
    terminal = top()
    terminal.wait("web")
    terminal.process.send_signal(number)

    assert status == terminal.end()
    assert restored(terminal)
    assert "Error" not in terminal.screen


def test_ctrl_c(top):
    """
    As a key, it is the same.
    """
    terminal = top()
    terminal.wait("web")
    terminal.press("\x03")

    assert 130 == terminal.end()
    assert restored(terminal)


def test_ctrl_z_and_back(switch):
    """
    A shell gets its terminal back, and `fg` brings the screen.
    """
    typed = f"{sys.executable} -m lbctl --socket {switch.socket} top"
    with Terminal(["bash", "--norc", "-i"], {**os.environ, "PYTHONPATH": str(ROOT)}) as shell:
        shell.press(f"{typed}\n")
        shell.wait("pools: 1-1 of 1")
        shell.press("\x1a")
        shell.wait("Stopped")
        assert {MAIN, CURSOR} == {end for end in (MAIN, CURSOR) if end in after_last(ALT, shell)}
        shell.press("fg; echo status $?\n")
        shell.until(lambda _: shell.raw.count(ALT) == 2, "the screen does not come back")
        shell.press("q")
        shell.wait("status 0")


def test_another_size(top):
    """
    It follows; too small is said in words.
    """
    terminal = top(columns=60, lines=20)
    terminal.wait("The terminal has 60 columns and 20 lines; lbctl top needs 80")
    terminal.resize(120, 30)
    terminal.wait("pools: 1-1 of 1")
    terminal.resize(79, 24)
    terminal.wait("The terminal has 79 columns")


def test_a_terminal_without_unicode(top):
    """
    ASCII alone.
    """
    terminal = top(PYTHONIOENCODING="ascii")
    terminal.wait("pools: 1-1 of 1")
    terminal.press("q")

    assert 0 == terminal.end()
    assert terminal.raw.isascii()


def test_no_colour(top):
    """
    NO_COLOR is obeyed.
    """
    terminal = top(NO_COLOR="1")
    terminal.wait("pools: 1-1 of 1")
    terminal.press("q")
    terminal.end()

    assert b"\x1b[3" not in terminal.raw


def test_the_daemon_goes_away_and_comes_back(top, switch):
    """
    It says so, keeps what it knew, and goes on trying.
    """
    terminal = top("--interval", "0.1")
    terminal.wait("1 warning")
    switch.raw = b"nonsense\r\n\r\n"
    screen = terminal.wait("lbctld does not answer since ")
    assert "web" in screen

    switch.raw = None
    terminal.wait("1 warning")


def test_a_silent_daemon_does_not_keep_the_user(top, switch):
    """
    Keys are obeyed while an answer is waited for.
    """
    terminal = top("--interval", "0.1")
    terminal.wait("web")
    switch.silent = threading.Event()
    terminal.press("?")
    terminal.wait("keys and columns")
    terminal.press("q")

    assert 0 == terminal.end()


def test_a_removed_pool(top, switch):
    """
    The page says so, and Esc leads back.
    """
    terminal = top("--interval", "0.1")
    terminal.wait("web")
    terminal.press("\r")
    terminal.wait("back-ends of web")
    switch.answers["GET", "/v1/pools/web"] = (404, {"error": "no pool 'web'", "exit_code": 3})
    terminal.wait("the pool was removed")
    terminal.press("\x1b")
    terminal.wait("pools: 1-1 of 1")


def test_no_daemon_to_begin_with(top, switch):
    """
    One line, as everywhere.
    """
    switch.socket = "/nonexistent/lbctl.sock"
    terminal = top()

    assert 5 == terminal.end()
    assert "Error: no daemon answers on /nonexistent/lbctl.sock" in terminal.screen
    assert ALT not in terminal.raw


def test_no_terminal(run):
    """
    What to use instead.
    """
    result = run("top")

    assert 2 == result.exit_code
    assert "use `lbctl stats --watch`" in result.stderr


def test_a_terminal_that_can_do_nothing():
    """
    The same for one whose cursor does not move.
    """
    command = [sys.executable, "-m", "lbctl", "top"]
    with Terminal(["env", "TERM=dumb", "PYTHONPATH=" + str(ROOT), *command], os.environ) as dumb:
        assert 2 == dumb.end()
        assert "lbctl stats --watch" in " ".join(dumb.screen.split())
