"""The TCP check against real servers on loopback."""

from __future__ import annotations

import asyncio
import errno
import socket

import pytest

from lbctl.control.health.check import look
from lbctl.model import TcpCheck
from tests.unit.control.health import servers
from tests.unit.control.health.servers import HOST, HOST6, target

CHECK = TcpCheck(interval=10, timeout=10)
HASTY = TcpCheck(timeout=0.05)


@pytest.mark.parametrize("host", [HOST, HOST6])
def test_a_server_that_listens_is_well(host):
    """
    It need not say anything.
    """
    assert (True, "connected") == servers.shortly(servers.seen(CHECK, servers.silent, host))


@pytest.mark.parametrize("host", [HOST, HOST6])
def test_a_closed_port_is_refused(host):
    """
    The kernel of the server says so at once.
    """
    with servers.closed_port(host=host) as port:
        outcome = asyncio.run(look(target(CHECK, port, host)))

    assert (False, "connection refused", True) == (outcome.ok, outcome.reason, outcome.conclusive)


def test_a_server_whose_queue_is_full_does_not_answer():
    """
    The time is up, and the outcome says how long that was.
    """
    with socket.create_server((HOST, 0), backlog=0) as server:
        address = server.getsockname()
        with socket.create_connection(address):  # the one that has a place in the queue
            outcome = asyncio.run(look(target(HASTY, address[1])))

    assert (False, "no answer in 50 ms") == servers.shortly(outcome)


def test_nothing_is_left_of_the_connection():
    """
    The server sees a reset, after which neither side keeps the connection.
    """

    async def main():
        ends = asyncio.get_running_loop().create_future()

        async def talk(reader, _):
            try:
                await reader.read()
            except ConnectionResetError as error:
                ends.set_result(error.errno)
            else:
                ends.set_result("closed")

        async with servers.serving(talk) as port:
            await look(target(CHECK, port))
            return await ends

    assert errno.ECONNRESET == asyncio.run(main())


def test_another_port_can_be_asked():
    """
    A server may tell of its health elsewhere.
    """

    async def main():
        async with servers.serving(servers.silent) as port:
            return await look(target(CHECK.model_copy(update={"port": port}), 1))

    assert asyncio.run(main()).ok
