"""The rewriting: columns change as asked, and scapy finds every checksum right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from lbctl import netif
from lbctl.errors import UsageError
from lbctl.netif import headers, testing
from lbctl.netif.frames import FrameError
from lbctl.netif.headers import TCP4, TCP6, UDP4, UDP6

KINDS = {"UDP4": UDP4, "TCP4": TCP4, "UDP6": UDP6, "TCP6": TCP6}
PORTS, BYTES = st.integers(0, 65535), st.integers(0, 255)
MACS = ("02:00:00:00:00:01", "02:00:00:00:00:02")
MANY = settings(max_examples=50)


def packet(name, data=b"data", ports=(1000, 2000), **fields):
    """One packet of a kind, by scapy, checksums and all; *fields*: of the transport header."""
    network = {
        "4": IP(src="198.51.100.7", dst="203.0.113.10", id=77),
        "6": IPv6(src="2001:db8::7", dst="2001:db8:1::10"),
    }[name[3]]
    transport = {"UDP": UDP, "TCP": TCP}[name[:3]](sport=ports[0], dport=ports[1], **fields)
    return bytes(Ether(src=MACS[0], dst=MACS[1]) / network / transport / Raw(data))


def again(frame):
    """The same packet with lengths and checksums made anew by scapy."""
    parsed = Ether(frame)
    for layer in (IP, UDP, TCP):
        if layer in parsed:
            del parsed[layer].chksum
    return bytes(parsed)


def received(*packets, **options):
    """A batch of these packets, and the interface that it came by."""
    fake = testing.interface(frame_size=4096, **options)
    assert len(packets) == fake.deliver(fake.ports[0], packets)
    return fake.ports[0].receive(), fake


@pytest.mark.parametrize("name", KINDS)
def test_packets_turn_around(name):
    """
    MACs, addresses and ports change places, and nothing else does.
    """
    batch, _fake = received(packet(name), packet(name, b"odd", (5, 6)))

    netif.turn_around(lines := batch.lines(KINDS[name]))
    batch.write(lines)

    for content, before in zip(batch.contents(), ((1000, 2000), (5, 6)), strict=True):
        parsed, layer = Ether(content), {"4": IP, "6": IPv6}[name[3]]
        assert MACS == (parsed.dst, parsed.src)
        assert before == (parsed[layer].dport, parsed[layer].sport)
        assert packet(name)[26:30] == content[30:34] or layer is IPv6
        assert again(content) == content


@pytest.mark.parametrize("name", KINDS)
@MANY
@given(
    data=st.binary(max_size=40),
    ports=st.tuples(PORTS, PORTS),
    ttl=BYTES,
    mac=st.binary(min_size=6, max_size=6),
)
def test_checksums_follow_what_is_assigned(name, data, ports, ttl, mac):
    """
    By what changed alone; scapy computes the same from the whole packet.
    """
    batch, _fake = received(packet(name, data), packet(name, data[:3], (0, 65535)))
    lines = batch.lines(KINDS[name])
    address = 0xC0000263 if name[3] == "4" else np.void(bytes(range(16)))

    netif.assign(
        lines,
        destination_mac=np.void(mac),
        destination=address,
        source_port=ports,
        destination_port=ports[0],
        ttl=ttl,
    )
    batch.write(lines)

    assert list(ports) == lines["source_port"].tolist()
    for content in batch.contents():
        assert mac == content[:6]
        assert again(content) == content
    assert netif.checksums_hold(batch, KINDS[name]).all()


@pytest.mark.parametrize("name", KINDS)
@MANY
@given(st.lists(st.binary(max_size=1400), min_size=1, max_size=5), PORTS)
def test_checksums_are_made_anew(name, payloads, port):
    """
    Of packets of different lengths, odd ones too, at once; wrong ones are seen before.
    """
    packets = [packet(name, data, (port, 7)) for data in payloads]
    batch, _fake = received(*packets)
    lines = batch.lines(KINDS[name])
    right = lines["checksum"].copy()
    lines["checksum"] ^= 0x5A5A
    batch.write(lines)
    assert not netif.checksums_hold(batch, KINDS[name])[right != 0x5A5A].any()

    netif.fill_checksums(batch, KINDS[name])

    assert packets == batch.contents()
    assert netif.checksums_hold(batch, KINDS[name]).all()


def test_the_last_frame_of_the_memory_is_summed_like_the_others():
    """
    However long another packet of the batch is.
    """
    fake = testing.interface(frames=2, ring=2)
    long, short = packet("UDP4", bytes(range(256)) * 5), packet("UDP4", bytes(200))
    fake.deliver(fake.ports[0], [long, short])
    batch = fake.ports[0].receive()
    addresses, lengths = batch.addresses.copy(), batch.lengths.copy()
    (end,) = np.flatnonzero(addresses > fake.umem.size)
    batch.release()
    size = int(lengths[end])
    content = fake.umem.octets[int(addresses[end]) :][:size].copy()
    fake.umem.octets[-size:] = content
    addresses[end] = len(fake.umem.octets) - size
    moved = fake.batch(addresses, lengths)

    assert [long, short] == moved.contents()
    assert [True, True] == netif.checksums_hold(moved, UDP4).tolist()


def test_no_checksum_stays_none():
    """
    UDP over IPv4 may go without; a patch must not invent one.
    """
    batch, _fake = received(packet("UDP4", chksum=0))

    netif.assign(lines := batch.lines(UDP4), destination_port=9)

    assert [0] == lines["checksum"].tolist()
    assert [True] == netif.checksums_hold(batch, UDP4).tolist()


def test_what_cannot_be_patched_is_refused():
    """
    A length, a field of another kind, and lines of no kind.
    """
    batch, _fake = received(packet("UDP4"))

    with pytest.raises(UsageError, match="udp_length: not a field to assign"):
        netif.assign(batch.lines(UDP4), udp_length=9)
    with pytest.raises(UsageError, match="window: not a field"):
        netif.assign(batch.lines(UDP4), window=9)
    with pytest.raises(UsageError, match="of no kind that has checksums"):
        netif.assign(batch.lines(headers.ETHERNET), source_mac=np.void(bytes(6)))


@pytest.mark.parametrize("claimed", [0, 27, 500])
def test_a_length_that_lies_is_refused(claimed):
    """
    What a header claims beyond the packet is not summed, and the other packets are judged.
    """
    batch, _fake = received(packet("UDP4"), packet("UDP4"))
    lines = batch.lines(UDP4)
    lines["total_length"][0] = claimed
    batch.write(lines)

    assert [False, True] == netif.checksums_hold(batch, UDP4).tolist()
    with pytest.raises(FrameError, match="lengths in a packet's headers"):
        netif.fill_checksums(batch, UDP4)


def test_no_packets_are_no_trouble():
    """
    An empty batch has nothing to assign, and nothing that is wrong.
    """
    batch, fake = received()
    lines = batch.lines(UDP4)
    netif.assign(lines, destination=np.uint32(1))

    netif.fill_checksums(batch, UDP4)
    assert [] == netif.checksums_hold(batch, UDP4).tolist()
    assert fake.umem.free


def test_kinds_are_told():
    """
    Options, fragments, other protocols and what is cut short are none of them.
    """
    frames = [packet(name) for name in KINDS]
    odd = bytearray(packet("UDP4"))
    fragment = bytearray(odd)
    fragment[20] = 0x20
    odd[14] = 0x46
    batch, _fake = received(*frames, bytes(odd), bytes(fragment), packet("TCP4")[:53])

    kinds = headers.kind_of(batch.lines(), batch.lengths)

    expected = [headers.IS_UDP4, headers.IS_TCP4, headers.IS_UDP6, headers.IS_TCP6]
    assert [*expected, headers.OTHER, headers.OTHER, headers.OTHER] == kinds.tolist()
