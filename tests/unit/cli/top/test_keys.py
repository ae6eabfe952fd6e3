"""
Keys of a terminal, one by one; and the terminal as it was, whatever happens.
"""

from __future__ import annotations

import os
import pty
import signal
import termios

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.cli.top import keys
from lbctl.cli.top.keys import HungUp, keyboard, signals, split


@pytest.fixture
def terminal():
    """
    The two ends of a terminal: where keys are pressed, and where they are read.
    """
    near, far = pty.openpty()
    yield near, far
    os.close(near)
    os.close(far)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"jq", ["j", "q"]),
        (b"\x1b[A\x1b[B", ["up", "down"]),
        (b"\x1bOA\x1bOB", ["up", "down"]),
        (b"\x1b[5~\x1b[6~", ["page up", "page down"]),
        (b"\x1b[H\x1b[F\x1b[1~\x1b[4~", ["home", "end", "home", "end"]),
        (b"\r\n\x7f\x08", ["enter", "enter", "backspace", "backspace"]),
        (b"\x1bj", ["escape", "j"]),
        (b"\x1b[1;5Aq", ["q"]),
        (b"\x1b[<0;10;10Mq", ["q"]),
        ("ü\x00q".encode(), ["q"]),
    ],
)
def test_keys(data, expected):
    """
    Letters, arrows in both dialects; what has no meaning is left out, as a whole.
    """
    assert (expected, b"") == split(data)


@pytest.mark.parametrize("data", [b"\x1b", b"\x1b[", b"\x1b[1;", b"\x1bO"])
def test_what_may_go_on(data):
    """
    The beginning of a sequence is not a key yet.
    """
    assert (["j"], data) == split(b"j" + data)


@given(st.binary(), st.integers(0, 50))
def test_where_a_network_cuts_makes_no_difference(data, place):
    """
    Two pieces are as one.
    """
    whole = split(data)
    first, rest = split(data[:place])
    second, left = split(rest + data[place:])

    assert whole == (first + second, left)


def test_reading(terminal):
    """
    Without Enter, and without echo.
    """
    near, far = terminal
    with keyboard(far) as board:
        os.write(near, b"j\x1b[A")
        assert ["j", "up"] == board.read()
        os.set_blocking(near, False)
        with pytest.raises(BlockingIOError):
            os.read(near, 100)


def test_escape_alone(terminal):
    """
    It is one when nothing follows for a moment.
    """
    near, far = terminal
    with keyboard(far) as board:
        os.write(near, b"\x1b")
        assert ["escape"] == board.read()


def test_the_terminal_is_as_it_was(terminal):
    """
    After an error as well.
    """
    _, far = terminal
    before = termios.tcgetattr(far)

    def fail():
        with keyboard(far):
            assert before != termios.tcgetattr(far)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert before == termios.tcgetattr(far)


def test_a_terminal_that_goes_away():
    """
    A lost connection is no error, and its settings are nobody's business any more.
    """
    near, far = pty.openpty()
    with keyboard(far) as board:
        os.close(near)
        with pytest.raises(HungUp):
            board.read()
    os.close(far)


def test_the_end_of_what_is_typed(monkeypatch, terminal):
    """
    As good as a lost connection.
    """
    monkeypatch.setattr(keys.os, "read", lambda *_: b"")
    with pytest.raises(HungUp), keyboard(terminal[1]) as board:
        board.read()


def test_signals_are_told():
    """
    By their number in a pipe; afterwards they do what they did.
    """
    heard, told = os.pipe()
    os.set_blocking(told, False)
    before = [signal.getsignal(number) for number in keys.SIGNALS]
    with signals(told):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        assert bytes([signal.SIGTERM, signal.SIGINT]) == os.read(heard, 10)

    assert before == [signal.getsignal(number) for number in keys.SIGNALS]
    os.close(heard)
    os.close(told)
