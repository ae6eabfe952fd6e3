"""
The SYN that asks, and what answers it.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from lbctl.control.explaining.headers import decode
from lbctl.control.preflight.facts import Answer
from lbctl.control.preflight.segments import SEQUENCE, Heard, Probe, read
from lbctl.model import SocketAddress

HERE, THERE = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
ENDS = {
    4: ("192.0.2.1:50000", "10.0.1.11:8080"),
    6: ("[2001:db8::1]:50000", "[2001:db8:a::11]:8080"),
}


def probe(version):
    """A probe from an address that is nobody's."""
    source, destination = map(SocketAddress.parse, ENDS[version])
    return Probe("eth0", HERE, THERE, source, destination, hops=2)


def answer(asked, flags):
    """What a server would say to it."""
    network = IP if asked.source.address.version == 4 else IPv6
    ends = {"src": str(asked.destination.address), "dst": str(asked.source.address)}
    segment = TCP(sport=asked.destination.port, dport=asked.source.port, flags=flags)
    return bytes(Ether(dst=HERE, src=THERE) / network(**ends) / segment)


@pytest.mark.parametrize("version", [4, 6])
def test_frames(version):
    """
    Every field in its place, every checksum right.
    """
    asked = probe(version)
    syn, reset = decode(asked.syn()), decode(asked.reset())

    for packet in (syn, reset):
        assert "" == packet.problem
        assert set(packet.checksums.values()) == {True}
        assert (HERE.hex(":"), THERE.hex(":")) == (packet.source_mac, packet.destination_mac)
        assert (str(asked.source), str(asked.destination)) == (packet.origin, packet.target)
        assert 2 == packet.ttl
    assert ("TCP SYN", SEQUENCE) == (syn.what, syn.sequence)
    assert ("TCP RST", SEQUENCE + 1) == (reset.what, reset.sequence)
    assert [("MSS", 1300)] == Ether(asked.syn())[TCP].options


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("flags", "expected"),
    [("SA", Answer.ACCEPTED), ("RA", Answer.REFUSED), ("R", Answer.REFUSED), ("A", None)],
)
def test_answers(version, flags, expected):
    """
    Who says what to whom.
    """
    asked = probe(version)
    heard = read(answer(asked, flags))

    wanted = Heard(asked.destination, asked.source, expected) if expected else None
    assert wanted == heard


def test_a_question_is_no_answer():
    """
    Nor is UDP, or ARP.
    """
    asked = probe(4)
    datagram = bytearray(answer(asked, "SA"))
    datagram[23] = 17

    assert [None] * 3 == [
        read(frame)
        for frame in (asked.syn(), bytes(datagram), HERE + THERE + b"\x08\x06" + b"x" * 40)
    ]


@given(st.binary(max_size=100), st.sampled_from([b"", b"\x08\x00", b"\x86\xdd"]))
def test_whatever_comes_is_read(data, kind):
    """
    A frame may end anywhere.
    """
    assert read(HERE + THERE + kind + data) is None or data[6:10].count(6)
