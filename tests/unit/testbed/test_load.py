"""
The load generator and its server: every request is accounted for, as what it was.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from itertools import islice

import pytest

from lbctl.testbed.account import Account, Outcome
from lbctl.testbed.load import FIRST_PORT, LAST_PORT, ports
from lbctl.testbed.request import Connection, Target
from lbctl.testbed.server import Server, answer_datagrams, content, open_echo


@asynccontextmanager
async def serving(talk):
    """A server on the loopback; gives its port."""
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})


def ask(talk, path="/", *, times=1, keep=False, timeout=2.0):
    """The outcomes of requests on one connection, or on as many as it takes."""

    async def requests():
        async with serving(talk) as port:
            target = Target.parse(f"http://127.0.0.1:{port}{path}")
            connection = Connection(target, ports(), timeout)
            outcomes = [await connection.request(keep=keep) for _ in range(times)]
            connection.close()
            return outcomes

    return asyncio.run(requests())


def test_the_server_says_its_name():
    """
    Each request from a source port of its own.
    """
    first, second = ask(Server("server7").talk, times=2)

    assert ("server7", "") == (first.server, first.failure) == (second.server, second.failure)
    assert first.port != second.port


def test_a_connection_is_kept_when_both_want_it():
    """
    Then the source port stays.
    """
    first, second = ask(Server("server7").talk, times=2, keep=True)

    assert (first.port, "") == (second.port, second.failure)


@pytest.mark.parametrize(
    "path", ["/big?bytes=0", "/big?bytes=3000001", "/slow?bytes=50&seconds=0.1"]
)
def test_content_is_checked(path):
    """
    By its digest, in all its parts.
    """
    assert "" == ask(Server("x").talk, path)[0].failure


def test_content_is_the_same_everywhere_and_repeats_nowhere_near():
    """
    A segment that is lost, doubled or moved would show.
    """
    body, _ = content(10_000)

    assert body == content(20_000)[0][:10_000]
    assert body[:1448] != body[1448:2896]


@pytest.mark.parametrize(
    ("path", "failure"),
    [
        ("/nothing", "status HTTP/1.1 404 Not Found"),
        ("/big?bytes=x", "status HTTP/1.1 400 Bad Request"),
        ("/big?bytes=99999999999", "status HTTP/1.1 400 Bad Request"),
    ],
)
def test_a_refusal_is_a_failure(path, failure):
    """
    Though somebody answered.
    """
    assert failure == ask(Server("x").talk, path)[0].failure


def test_content_that_changed_on_the_way_is_a_failure():
    """
    Checksums of the network let one in 65536 through.
    """

    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-Sha256: 00\r\n\r\nabc")
        writer.close()

    assert "wrong content" == ask(talk)[0].failure


def test_an_answer_that_ends_early_is_a_failure():
    """
    Whether before it began or in the middle.
    """

    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\nabc")
        writer.close()

    assert "closed early" == ask(talk)[0].failure


def test_a_reset_is_a_failure():
    """
    As a switch would send it that forgot the connection.
    """

    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        linger = b"\1\0\0\0\0\0\0\0"
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.close()

    assert "reset while waiting" == ask(talk)[0].failure


def test_silence_is_a_failure():
    """
    After the timeout.
    """

    async def talk(reader, writer):
        await reader.read()
        writer.close()

    assert "timed out while waiting" == ask(talk, timeout=0.1)[0].failure


def test_a_closed_port_is_a_failure():
    """
    And the next request is made all the same.
    """

    async def requests():
        async with serving(Server("x").talk) as port:
            pass
        connection = Connection(Target.parse(f"http://127.0.0.1:{port}/"), ports(), 1.0)
        return [await connection.request(keep=True) for _ in range(2)]

    assert ["refused while connecting"] * 2 == [o.failure for o in asyncio.run(requests())]


def test_source_ports_are_used_once_each_before_any_is_used_again():
    """
    In no order.
    """
    every = list(islice(ports(), LAST_PORT - FIRST_PORT + 1))

    assert set(range(FIRST_PORT, LAST_PORT + 1)) == set(every)
    assert every != sorted(every)


def test_the_account_has_every_request_by_what_became_of_it():
    """
    Failures beyond those told one by one are counted too.
    """
    account = Account()
    for number in range(100):
        account.add(Outcome("server0", "", 0.001 * number, 1))
        account.add(Outcome("", "reset while waiting", 1.0, number))

    result = account.result(2.0)

    assert (200, 100, 100) == (result["requests"], result["ok"], result["failed"])
    assert {"reset while waiting": 100} == result["failures"]
    assert {"p50": 49.0, "p99": 98.0, "max": 99.0} == result["latency_ms"]
    assert 20 == len(result["first_failures"])


def test_sigterm_ends_the_load_with_its_account():
    """
    Nothing that was begun is left out of it.
    """
    with socket.socket() as closed:  # bound, but nobody listens: every request fails
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        command = [sys.executable, "-m", "lbctl.testbed.load", "--rate=200", "--interval=0.1", url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as load:
            while not (first := json.loads(load.stdout.readline()))["begun"]:
                pass
            load.send_signal(signal.SIGTERM)
            lines = [json.loads(line) for line in load.stdout]

    assert "progress" == first["type"]
    assert "result" == lines[-1]["type"]
    assert lines[-1]["begun"] == lines[-1]["failed"] == lines[-1]["requests"] > 0
    assert 1 == load.returncode


def test_datagrams_are_answered_from_the_address_that_was_asked():
    """
    With DSR that is a VIP, and not what the server would choose.
    """
    with open_echo(0) as echo, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        asked = ("127.0.0.3", echo.getsockname()[1])
        client.sendto(b"hello", asked)
        client.settimeout(2)
        select_ready(echo)
        answer_datagrams(echo, b"server1")

        assert (b"server1 hello", asked) == client.recvfrom(100)


def select_ready(echo):
    """Wait until a datagram is there."""
    echo.settimeout(2)
    echo.recv(1, socket.MSG_PEEK)
    echo.settimeout(0)
