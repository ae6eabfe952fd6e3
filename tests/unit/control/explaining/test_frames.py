"""Frames that are built from words, against scapy's; and any frame at all, read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from lbctl.control.explaining import frames
from lbctl.control.explaining.headers import IPV4, IPV6, decode
from lbctl.control.explaining.questions import IcmpError, Protocol, read_question
from tests.support import frames as scapys
from tests.support.sums import sums

TO, FROM = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
PLACES = {
    4: ("198.51.100.7:40000", "203.0.113.10:80"),
    6: ("[2001:db8::7]:40000", "[2001:db8::10]:80"),
}
FAMILIES = pytest.mark.parametrize("version", PLACES)


def built(protocol, version, **more):
    """Build a frame between the two places."""
    places = PLACES[version]
    if protocol == "icmp":
        places = tuple(scapys.split(place)[0] for place in places)
    return frames.build(read_question(Protocol(protocol), *places, **more), TO, FROM)


def expected(version, ttl, *layers):
    """Build the same with scapy."""
    (source, _), (target, _) = map(scapys.split, PLACES[version])
    network = (
        IP(src=source, dst=target, ttl=ttl, id=0, flags="DF")
        if version == 4
        else IPv6(src=source, dst=target, hlim=ttl)
    )
    packet = Ether(dst=TO.hex(":"), src=FROM.hex(":")) / network
    for layer in layers:
        packet /= layer
    return bytes(packet)


@FAMILIES
@pytest.mark.parametrize(
    ("words", "flags", "ack"),
    [(None, "S", 0), ("SYN,ACK", "SA", 1000), ("fin+ack psh", "FPA", 1000), ("none", "", 0)],
)
@pytest.mark.parametrize(("length", "ttl"), [(None, 64), (1500, 1)])
def test_tcp(version, words, flags, ack, length, ttl):  # noqa: PLR0913, PLR0917
    """
    Flags, length and TTL as they were said; a SYN unless something was.
    """
    tcp = TCP(sport=40000, dport=80, flags=flags, seq=1000, ack=ack, window=64240)
    filling = bytes(length - (40 if version == 4 else 60)) if length else b""

    frame = built("tcp", version, flags=words, length=length, ttl=ttl)

    assert expected(version, ttl, tcp, Raw(filling)) == frame


@FAMILIES
@pytest.mark.parametrize("length", [None, 999])
def test_udp(version, length):
    """
    Datagrams, odd lengths too.
    """
    filling = bytes(length - (28 if version == 4 else 48)) if length else b""
    udp = UDP(sport=40000, dport=80) / Raw(filling)

    assert expected(version, 64, udp) == built("udp", version, length=length)


@FAMILIES
def test_ping(version):
    """
    An echo request has no ports.
    """
    echo = ICMP(type=8, id=1, seq=1) if version == 4 else ICMPv6EchoRequest(id=1, seq=1)

    assert expected(version, 64, echo) == built("icmp", version)


@FAMILIES
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("error", IcmpError)
def test_icmp_errors(version, protocol, error):
    """
    They quote what the destination sent; turned round, that is the packet that was asked about.
    """
    frame = built(protocol, version, error=error)
    packet = decode(frame)
    turned = decode(frames.about(frame, packet))

    assert packet.is_error
    assert not packet.problem
    assert {0} == set(sums(frame).values())
    assert PLACES[version] == (turned.origin, turned.target)
    assert PLACES[version][::-1] == (packet.quoted.origin, packet.quoted.target)
    assert (1280 if error is IcmpError.TOO_BIG else 0) == packet.mtu
    assert protocol.upper() in turned.what


@pytest.mark.parametrize("version", [4, 6])
def test_an_error_that_quotes_what_another_sent(version):
    """
    There is nothing that the switch would look for.
    """
    frame = bytearray(built("tcp", version, error=IcmpError.UNREACHABLE))
    frame[33 if version == 4 else 53] ^= 1  # the last byte of its destination

    assert b"" == frames.about(bytes(frame), decode(bytes(frame)))


@given(st.binary(max_size=120), st.sampled_from([None, IPV4, IPV6]), st.booleans())
def test_any_bytes_are_read(data, kind, whole):
    """
    Nothing is raised, whatever it is; and it is told in one line.
    """
    if kind and len(data) > 15:
        first = b"\x45" if kind == IPV4 else b"\x60"
        data = data[:12] + kind.to_bytes(2) + (first if whole else data[14:15]) + data[15:]
    packet = decode(data)

    assert "\n" not in str(packet) + packet.problem
    assert isinstance(frames.about(data, packet), bytes)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"ip": {"options": b"\1" * 8}}, "it has 8 bytes of IP options"),
        ({"ip": {"flags": "MF"}}, "it is a fragment, from byte 0 on"),
        ({"ip": {"frag": 2}}, "it is a fragment, from byte 16 on"),
        ({"ip": {"len": 41}}, "its IP header says 41 bytes, and there are 40"),
        ({"ip": {"version": 5}}, "its first byte is 0x55, of IPv4 that is 0x45"),
        ({"dataofs": 4}, "its TCP header of 16 bytes is not whole"),
        ({"dataofs": 6}, "its TCP header of 24 bytes is not whole"),
    ],
)
def test_what_is_odd(fields, problem):
    """
    The sizes that contradict each other are named.
    """
    frame = scapys.tcp(*PLACES[4], **fields)

    assert problem in decode(frame).problem


@pytest.mark.parametrize(
    ("message", "what"),
    [
        (ICMP(type=3, code=4, nexthopmtu=1400), "ICMP fragmentation needed (MTU 1400)"),
        (ICMP(type=11), "ICMP time exceeded"),
        (ICMP(type=42), "ICMP type 42"),
    ],
)
def test_what_icmp_is_called(message, what):
    """
    By its type, and the size that fits.
    """
    assert what == decode(expected(4, 64, message / Raw(bytes(28)))).what
