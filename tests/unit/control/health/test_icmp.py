"""Pings: the packets; tests/netns has them on a wire."""

from __future__ import annotations

import asyncio
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.control.health import icmp
from lbctl.control.health.check import look
from lbctl.model import IcmpCheck
from tests.unit.control.health.servers import target

TOKEN = bytes(range(16))
REPLY = b"\0\0" + bytes(6) + TOKEN
IP_HEADER = b"\x46" + bytes(23)  # with an option


def test_an_example_has_the_checksum_of_the_rfc():
    """
    RFC 1071, section 3.
    """
    assert 0xFFFF - 0xDDF2 == icmp.checksum(bytes.fromhex("0001f203f4f5f6f7"))


@given(st.binary(min_size=16, max_size=16))
def test_a_request_sums_up(token):
    """
    The sum of a packet with its checksum is 0; for IPv6 the kernel works it out.
    """
    assert 0 == icmp.checksum(icmp.request(4, token))
    assert (128, 0, 0) == struct.unpack("!BBH", icmp.request(6, token)[:4])


@pytest.mark.parametrize(
    ("version", "packet", "expected"),
    [
        (4, REPLY, True),
        (4, IP_HEADER + REPLY, True),
        (6, b"\x81" + REPLY[1:], True),
        (4, icmp.request(4, TOKEN), False),
        (4, IP_HEADER + icmp.request(4, TOKEN), False),
        (6, icmp.request(6, TOKEN), False),
        (4, REPLY[:-1] + b"?", False),
        (4, REPLY[:-1], False),
        (4, b"", False),
        (6, b"", False),
        (4, b"\x45", False),
    ],
)
def test_only_the_reply_to_our_request_counts(version, packet, expected):
    """
    Other pings, our own request on loopback, and rubbish do not.
    """
    assert expected == icmp.is_reply(version, packet, TOKEN)


def test_without_permission_it_cannot_be_checked(monkeypatch):
    """
    That is not the server's fault; the message says what to do.
    """

    def forbidden(*_):
        raise PermissionError

    monkeypatch.setattr(icmp, "open_socket", forbidden)

    outcome = asyncio.run(look(target(IcmpCheck(), 80)))

    assert (False, False) == (outcome.ok, outcome.conclusive)
    assert "CAP_NET_RAW" in outcome.reason
