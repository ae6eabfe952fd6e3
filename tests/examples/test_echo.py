"""The echo: what it answers, and that scapy finds its packets right."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from examples.echo.__main__ import step
from lbctl.netif import testing

MACS = {"src": "02:00:00:00:00:aa", "dst": "02:00:00:00:00:01"}
FRAMES, RING = 256, 64
CLIENT, VIP = {4: "198.51.100.11", 6: "2001:db8:1::11"}, {4: "203.0.113.20", 6: "2001:db8:f::20"}


def packet(family=4, data=b"hello", port=40000, ttl=33, **fields):
    """A client's datagram."""
    network = (
        IP(src=CLIENT[4], dst=VIP[4], ttl=ttl, **fields)
        if family == 4
        else IPv6(src=CLIENT[6], dst=VIP[6], hlim=ttl)
    )
    return bytes(Ether(**MACS) / network / UDP(sport=port, dport=7) / Raw(data))


def answer(family=4, data=b"hello", port=40000, **fields):
    """What the echo has to make of it, by scapy."""
    network = (
        IP(src=VIP[4], dst=CLIENT[4], ttl=64, **fields)
        if family == 4
        else IPv6(src=VIP[6], dst=CLIENT[6], hlim=64)
    )
    ether = Ether(src=MACS["dst"], dst=MACS["src"])
    return bytes(ether / network / UDP(sport=7, dport=port) / Raw(data))


def echoed(*packets, **options):
    """What is sent when these packets have come."""
    with testing.interface(frames=FRAMES, ring=RING, **options) as fake:
        (port,) = fake.ports
        assert len(packets) == fake.deliver(port, packets)
        step(fake, timeout=0)
        sent = fake.sent(port)
        port.flush()
        assert FRAMES == fake.umem.free + RING  # none is lost
    return sent


@pytest.mark.parametrize("family", [4, 6])
def test_a_datagram_comes_back(family):
    """
    Addresses and ports change places, and it has all its hops before it.
    """
    assert [answer(family)] == echoed(packet(family))


def test_a_batch_is_answered_in_its_order():
    """
    Both families side by side, and what it does not answer between them.
    """
    others = [
        bytes(Ether(**MACS) / IP(dst=VIP[4]) / ICMP()),
        bytes(Ether(**MACS) / IP(dst=VIP[4]) / TCP(dport=7)),
        packet(frag=1),
        b"\xff" * 14,
    ]
    mixed = [packet(), others[0], packet(6, b"6"), *others[1:], packet(data=b"4")]

    assert [answer(), answer(6, b"6"), answer(data=b"4")] == echoed(*mixed)


def test_another_service_gets_no_answer():
    """
    Two echoes would talk for ever.
    """
    assert [] == echoed(packet(port=7), packet(6, port=1023))


def test_a_large_packet_comes_back_whole():
    """
    In as many frames as it came in, while small ones pass by.
    """
    data = bytes(range(256)) * 15

    assert [answer(), answer(data=data), answer()] == echoed(
        packet(), packet(data=data), packet(), mtu=4000
    )


def test_what_is_too_long_for_the_nic_is_dropped():
    """
    However it could come; what came beside it is answered.
    """
    assert [answer(), answer()] == echoed(packet(), packet(data=bytes(1500)), packet())


def test_what_there_is_no_room_for_is_dropped():
    """
    The frames are free again, and the echo goes on.
    """
    with testing.interface(ring=4) as fake:
        (port,) = fake.ports
        fake.nics[0].paused = True
        for _ in range(3):
            fake.deliver(port, [packet()] * 4)
            step(fake, timeout=0)
        assert 8 == port.statistics().refused
        fake.nics[0].paused = False
        port.flush()
        assert 4 == len(fake.sent(port))
        fake.deliver(port, [packet(6)])
        step(fake, timeout=0)
        assert [answer(6)] == fake.sent(port)
