"""A look: whatever happens becomes an outcome, in time."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from ipaddress import ip_address

import pytest

from lbctl.control.health import check
from lbctl.control.health.check import look
from lbctl.control.health.stream import open_socket
from lbctl.control.health.target import CannotCheck, CheckFailed, Outcome
from lbctl.model import Protocol, TcpCheck, UdpCheck, Vip
from tests.unit.control.health.servers import HOST, target
from tests.unit.control.health.virtual import simulate

TARGET = target(TcpCheck(interval=2, timeout=1), 80)
VIP = Vip(ip_address("203.0.113.10"), 80, Protocol.TCP)


@pytest.fixture
def asking(monkeypatch):
    """Have the check of TARGET do something else."""

    def put(ask):
        monkeypatch.setitem(check.ASK, "tcp", ask)
        return simulate(look(TARGET))

    return put


def failing(error):
    """A kind of check that ends so."""

    async def ask(*_):
        raise error

    return ask


def test_the_time_that_it_took_is_told(asking):
    """
    In the reason, too.
    """

    async def ask(*_):
        await asyncio.sleep(0.25)
        return "200"

    assert Outcome(ok=True, reason="200 in 250 ms", seconds=0.25) == asking(ask)


def test_a_look_ends_with_its_time(asking):
    """
    What is missing is said; the time is the check's timeout.
    """

    async def ask(_, __, progress):
        progress.missing = "no TLS handshake"
        await asyncio.sleep(100)

    assert Outcome(ok=False, reason="no TLS handshake in 1 s", seconds=1) == asking(ask)


def test_silence_can_be_a_good_sign(asking):
    """
    Then the end of the time is a success.
    """

    async def ask(_, __, progress):
        progress.missing, progress.silence_is_well = "not refused", True
        await asyncio.sleep(100)

    assert Outcome(ok=True, reason="not refused in 1 s", seconds=1) == asking(ask)


@pytest.mark.parametrize(
    ("error", "reason", "conclusive"),
    [
        (CheckFailed("status 503"), "status 503", True),
        (CannotCheck("no such program"), "no such program", False),
        (ConnectionResetError(errno.ECONNRESET, "?"), "connection reset by peer", True),
        (TimeoutError(errno.ETIMEDOUT, "?"), "connection timed out", True),
        (OSError(errno.EHOSTUNREACH, "?"), "no route to host", True),
        (OSError("cannot say"), "cannot say", True),
        (OSError(errno.EMFILE, "?"), "too many open files", False),
        (OSError(errno.EADDRNOTAVAIL, "?"), "cannot assign requested address", False),
        (PermissionError(errno.EPERM, "?"), "operation not permitted", False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_errors_become_phrases(asking, error, reason, conclusive):
    """
    What this switch lacks says nothing of the server.
    """
    expected = Outcome(ok=False, reason=reason, seconds=0, conclusive=conclusive)

    assert expected == asking(failing(error))


def test_a_bug_says_nothing_of_the_server(asking, caplog):
    """
    It is logged with its traceback, and the watch goes on.
    """
    outcome = asking(failing(ZeroDivisionError()))

    assert (False, False) == (outcome.ok, outcome.conclusive)
    assert "see lbctld's log" in outcome.reason
    assert [logging.ERROR] == [record.levelno for record in caplog.records]


def test_a_switch_that_slept_does_not_blame_the_server(asking):
    """
    The process was stopped for ten seconds: every answer is late, and none of them counts.
    """

    async def ask(*_):
        asyncio.get_running_loop().now += 11
        raise CheckFailed("no answer")

    expected = Outcome(ok=False, reason="lbctld did not run for 10 s", seconds=11, conclusive=False)

    assert expected == asking(ask)


def test_a_look_can_be_cancelled(monkeypatch):
    """
    Its task ends, as any other.
    """

    async def ask(*_):
        await asyncio.sleep(100)

    async def main():
        task = asyncio.ensure_future(look(TARGET))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    monkeypatch.setitem(check.ASK, "tcp", ask)
    simulate(main())


def test_a_vip_without_a_way_cannot_be_checked():
    """
    Without a mark the packet would go to any server.
    """
    outcome = simulate(look(TARGET._replace(vip=VIP)))

    assert (False, False) == (outcome.ok, outcome.conclusive)
    assert f"no way to {VIP} on this server; see lbctld's log" == outcome.reason


def test_a_check_of_the_vip_goes_to_the_vip():
    """
    To the server's port, or to the one that the check names.
    """
    other = TARGET.check.model_copy(update={"port": 8081})
    marked = TARGET._replace(vip=VIP, mark=7)

    assert (VIP.address, 80) == (marked.host, marked.port)
    assert (VIP.address, 8081) == (marked.host, marked._replace(check=other).port)


def test_no_socket_is_left_when_it_cannot_be_marked(monkeypatch):
    """
    To mark packets takes CAP_NET_ADMIN.
    """
    made = []

    class Unmarkable(socket.socket):
        def setsockopt(self, *_):
            made.append(self)
            raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(socket, "socket", Unmarkable)
    vip = Vip(ip_address(HOST), 80, Protocol.UDP)
    marked = target(UdpCheck(send="x"), 80)._replace(vip=vip, mark=7)

    with pytest.raises(PermissionError):
        open_socket(marked, socket.SOCK_DGRAM)
    assert [-1] == [each.fileno() for each in made]
