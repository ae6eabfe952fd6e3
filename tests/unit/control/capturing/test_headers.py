"""The headers in a line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.control.capturing import headers
from lbctl.control.capturing.headers import Headers
from tests.support import frames

CLIENT4, VIP4 = "198.51.100.7:40000", "203.0.113.10:80"
CLIENT6, VIP6 = "[2001:db8:c::7]:40000", "[2001:db8::10]:80"
ARP = bytes.fromhex("ffffffffffff 020000000001 0806".replace(" ", "")) + bytes(28)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (frames.tcp(CLIENT4, VIP4, "S"), Headers("tcp", CLIENT4, VIP4, "SYN")),
        (frames.tcp(CLIENT6, VIP6, "FA"), Headers("tcp", CLIENT6, VIP6, "FIN,ACK")),
        (frames.udp(CLIENT4, VIP4), Headers("udp", CLIENT4, VIP4)),
        (
            frames.echo(CLIENT4, VIP4),
            Headers("icmp", "198.51.100.7", "203.0.113.10", "echo request"),
        ),
        (
            frames.echo(CLIENT6, VIP6, reply=True),
            Headers("icmp6", "2001:db8:c::7", "2001:db8::10", "echo reply"),
        ),
        (ARP, Headers("arp", "02:00:00:00:00:01", "ff:ff:ff:ff:ff:ff")),
        (
            frames.udp(CLIENT4, VIP4, ip={"frag": 185}),
            Headers("udp", "198.51.100.7", "203.0.113.10"),
        ),
        (
            frames.tcp(CLIENT4, VIP4, ip={"proto": 132}),
            Headers("protocol 132", "198.51.100.7", "203.0.113.10"),
        ),
        (
            bytes(12) + b"\x88\xb5" + bytes(46),
            Headers("ethertype 0x88b5", "00:00:00:00:00:00", "00:00:00:00:00:00"),
        ),
    ],
    ids=lambda value: value.protocol if isinstance(value, Headers) else "",
)
def test_a_frame(frame, expected):
    """Protocol, sender, receiver, and what a TCP or ICMP packet says."""
    assert expected == headers.read(frame)


@pytest.mark.parametrize("length", [0, 6, 13, 14, 20, 33, 34, 37, 47, 54])
def test_a_frame_that_ends_too_early(length):
    """It is told as far as it goes."""
    cut = headers.read(frames.tcp(CLIENT4, VIP4, "S")[:length])

    known = [cut.protocol == "tcp", cut.source == CLIENT4, cut.more == "SYN"]
    assert [length >= 34, length >= 38, length >= 48] == known


@given(st.binary(max_size=100))
def test_anything(frame):
    """Nothing that can be on the wire is an error."""
    for kind in (b"\x08\x00", b"\x86\xdd"):
        assert headers.read(frame[:12] + kind + frame[12:]).protocol
