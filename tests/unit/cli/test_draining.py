"""
`backend drain`: with and without waiting, and every way the waiting ends.
"""

from __future__ import annotations

from contextlib import redirect_stderr, suppress
from io import StringIO
from unittest.mock import call

import pytest

from lbctl.cli import cli, draining
from lbctl.model import SocketAddress

SERVER = SocketAddress.parse("10.0.1.11:8080")
DRAIN = ("backend", "drain", "web", str(SERVER))


def look(connections, state="draining"):
    """What the daemon says of the pool's back-ends at one moment."""
    return [
        {"address": "10.0.1.12:8080", "state": "active", "connections": 99},
        {"address": str(SERVER), "state": state, "connections": connections},
    ]


@pytest.fixture
def clock(monkeypatch):
    """
    A clock that only sleeping moves; gives the sleeps.
    """
    sleeps = []
    monkeypatch.setattr(draining.time, "sleep", sleeps.append)
    monkeypatch.setattr(draining.time, "monotonic", lambda: 1000.0 + sum(sleeps))
    return sleeps


def test_without_waiting(run, fake):
    """
    The state is set, the number of open connections told.
    """
    fake.set_backend.return_value = {"connections": 7}
    result = run(*DRAIN)

    assert "pool web: draining back-end 10.0.1.11:8080, connections left: 7\n" == result.stdout
    assert [call.set_backend("web", SERVER, {"state": "draining"})] == fake.mock_calls


def test_waiting_until_none_is_left(run, fake, clock):
    """
    Looks every half second; ends by itself.
    """
    fake.backends.side_effect = [look(7), look(3), look(3), look(0)]
    result = run(*DRAIN, "--wait")

    assert "pool web: back-end 10.0.1.11:8080 has no connections left\n" == result.stdout
    assert (0, "", [0.5] * 3) == (result.exit_code, result.stderr, clock)
    assert call.set_backend("web", SERVER, {"state": "draining"}) == fake.mock_calls[0]


def test_nothing_to_wait_for(run, fake, clock):
    """
    Idle already: done at once.
    """
    fake.backends.return_value = look(0)

    assert 0 == run(*DRAIN, "--timeout", "0").exit_code
    assert [] == clock


def test_out_of_time(run, fake, clock):
    """
    Exit status 1, how many remain, and that it goes on; --timeout waits without --wait.
    """
    fake.backends.return_value = look(3)
    result = run(*DRAIN, "--timeout", "1.2")

    assert (1, "") == (result.exit_code, result.stdout)
    assert (
        "Error: back-end 10.0.1.11:8080 of pool web: 3 connections remain after 1.2 s, still "
        "draining; see `lbctl connection list --pool web --backend 10.0.1.11:8080`\n"
    ) == result.stderr
    assert pytest.approx([0.5, 0.5, 0.2]) == clock


def test_patience_has_an_end(run, fake, clock):
    """
    Even if nobody says which.
    """
    fake.backends.return_value = look(1)

    assert 1 == run(*DRAIN, "--wait").exit_code
    assert pytest.approx(300) == sum(clock)


@pytest.mark.parametrize(
    ("then", "status", "said"),
    [(look(5, "active"), 4, "was restored meanwhile"), (look(5)[:1], 3, "was removed meanwhile")],
    ids=["restored", "removed"],
)
@pytest.mark.usefixtures("clock")
def test_somebody_else_interferes(run, fake, then, status, said):
    """
    Then it would never become idle.
    """
    fake.backends.side_effect = [look(5), then]
    result = run(*DRAIN, "--wait")

    assert status == result.exit_code
    assert f"back-end 10.0.1.11:8080 of pool web {said}; see `lbctl generations`" in result.stderr


@pytest.mark.usefixtures("clock")
def test_progress_on_a_terminal(fake, monkeypatch):
    """
    How many of the connections have gone, on standard error, and away at the end.
    """
    monkeypatch.setenv("TERM", "xterm")
    fake.backends.side_effect = [look(8), look(6), look(0)]
    screen = StringIO()
    screen.isatty = lambda: True
    with redirect_stderr(screen), suppress(SystemExit):
        cli([*DRAIN, "--wait"], obj=fake)

    assert "draining 10.0.1.11:8080" in screen.getvalue()
    assert "2/8" in screen.getvalue()
