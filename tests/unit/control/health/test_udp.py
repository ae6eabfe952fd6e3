"""The UDP check against real servers on loopback, and how it writes bytes."""

from __future__ import annotations

import asyncio
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.control.health.check import look
from lbctl.control.health.udp import unescape
from lbctl.model import UdpCheck
from tests.unit.control.health.servers import HOST, HOST6, closed_port, shortly, target

PATIENT = {"interval": 20, "timeout": 20}
PING = UdpCheck(send=r"ping\n", **PATIENT)


class Answering(asyncio.DatagramProtocol):
    """Answers every datagram with this, or not at all; keeps what came."""

    def __init__(self, answer):
        self.answer, self.heard = answer, []

    def connection_made(self, transport):
        """Keep the way back."""
        self.transport = transport

    def datagram_received(self, data, client):
        """Answer."""
        self.heard.append(data)
        if self.answer is not None:
            self.transport.sendto(self.answer, client)


def seen(check, answer, host=HOST):
    """The outcome of a look at such a server, and what the server heard."""

    async def main():
        loop = asyncio.get_running_loop()
        transport, server = await loop.create_datagram_endpoint(
            lambda: Answering(answer), (host, 0)
        )
        port = transport.get_extra_info("sockname")[1]
        try:
            return await look(target(check, port, host)), server.heard
        finally:
            transport.abort()
            await asyncio.sleep(0)

    return asyncio.run(main())


@pytest.mark.parametrize("host", [HOST, HOST6])
def test_any_answer_will_do(host):
    """
    Whatever it is; the server got the bytes that were meant.
    """
    outcome, heard = seen(PING, b"\0", host)

    assert (True, "answered") == shortly(outcome)
    assert [b"ping\n"] == heard


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"\x80pong\0", (True, "answered")),
        (b"pong", (False, r"an answer without '\\x80pong'")),
    ],
)
def test_an_expected_answer_must_come(answer, expected):
    """
    Somewhere in the datagram, byte by byte.
    """
    outcome, _ = seen(PING.model_copy(update={"expect": r"\x80pong"}), answer)

    assert expected == shortly(outcome)


def test_silence_is_a_failure():
    """
    Where something was sent that the server ought to answer.
    """
    outcome, _ = seen(UdpCheck(send="ping", timeout=0.05), None)

    assert (False, "no answer in 50 ms") == shortly(outcome)


def test_silence_to_nothing_is_not():
    """
    An empty datagram asks only whether the port is closed.
    """
    outcome, heard = seen(UdpCheck(timeout=0.05), None)

    assert (True, "not refused") == shortly(outcome)
    assert [b""] == heard


@pytest.mark.parametrize("check", [PING, UdpCheck(**PATIENT)], ids=["ping", "nothing"])
@pytest.mark.parametrize("host", [HOST, HOST6])
def test_a_closed_port_is_refused(check, host):
    """
    The kernel of the server says so by ICMP.
    """
    with closed_port(socket.SOCK_DGRAM, host) as port:
        outcome = asyncio.run(look(target(check, port, host)))

    assert (False, "connection refused") == shortly(outcome)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ping", b"ping"),
        (r"\xff\x00\n\r\t\0\\", b"\xff\x00\n\r\t\0\\"),
        (r"\\n", b"\\n"),
        (r"\q\x1", rb"\q\x1"),
        ("ü", b"\xc3\xbc"),
    ],
)
def test_escapes_stand_for_bytes(text, expected):
    """
    What is no escape stands for itself.
    """
    assert expected == unescape(text)


@given(st.binary())
def test_all_bytes_can_be_written(data):
    """
    As hexadecimal escapes.
    """
    assert data == unescape("".join(f"\\x{byte:02x}" for byte in data))
