"""The pcapng file, read by scapy's reader and block by block."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.utils import RawPcapNgReader

from lbctl.control.capturing import pcapng
from tests.unit.control.capturing.rig import MAC, blocks

TIME = 1_735_787_045_123_456_789
TOLD = pcapng.beside(pcapng.INBOUND, 4, "verdict: TO_BACKEND")
HEAD = pcapng.section("Linux 6.1", "lbctl", "every packet") + pcapng.interface(
    "eth0", "native mode", MAC, 2048
)


def told(frame=b"frame", number=1, length=None):
    """A packet by the first NIC."""
    return pcapng.packet(0, TIME, frame, length or len(frame), TOLD, number)


def told_missed(missed, nic=0):
    """The statistics of a NIC."""
    counts = {"received": 10, "delivered": 3, "missed": missed}
    return pcapng.statistics(nic, started=TIME, ended=TIME, comment="why", **counts)


def read(data):
    """What scapy reads of a file: frames with what is told of them."""
    return list(RawPcapNgReader(io.BytesIO(data)))


@given(st.binary(max_size=70))
def test_a_packet(frame):
    """Of any length: the frame, its whole length, NIC, time, direction and comment."""
    ((found, about),) = read(HEAD + told(frame, length=1514) + told_missed(1))

    assert frame == found
    assert (1514, b"eth0", 1) == (about.wirelen, about.ifname, about.direction)
    assert TIME == (about.tshigh << 32) + about.tslow
    assert 1_000_000_000 == about.tsresol
    assert [b"verdict: TO_BACKEND"] == list(about.comments)


def test_every_block_has_its_length_twice():
    """Readers go back and forth by it."""
    kinds = [kind for kind, _ in blocks(HEAD + told() + told_missed(1))]

    assert [0x0A0D0D0A, 1, 6, 5] == kinds


def test_options_of_a_packet():
    """Flags, the action of XDP as a verdict of its kind, the comment, and which packet it is."""
    (_, body) = blocks(told(b"four", number=7))[0]

    assert struct.pack("<HHI", 2, 4, pcapng.INBOUND) == body[24:32]
    assert struct.pack("<HHBQ3x", 7, 9, 2, 4) == body[32:48]
    assert struct.pack("<HH", 1, 19) + b"verdict: TO_BACKEND" + b"\0" == body[48:72]
    assert struct.pack("<HHQI", 5, 8, 7, 0) == body[72:]


def test_a_comment_that_is_too_long():
    """An option has 16 bits for its length."""
    long = pcapng.beside(pcapng.OUTBOUND, 3, "x" * 70_000)
    ((_, about),) = read(HEAD + pcapng.packet(0, TIME, b"", 0, long, 1))

    assert [b"x" * 65_535] == list(about.comments)


@given(st.lists(st.integers(1, 100), min_size=1, max_size=30))
def test_a_stream_is_cut_into_whole_blocks(lengths):
    """In whatever pieces it comes: nothing is lost, and nothing is written by half."""
    data = HEAD + b"".join(told(bytes(n), number=n) for n in (1, 2, 3)) + told_missed(5)
    cut, out, at = pcapng.Blocks(), b"", 0
    for length in lengths * len(data):
        whole = cut.feed(data[at : at + length])
        assert whole == b"" or blocks(whole)
        out, at = out + whole, at + length

    assert data == out
    assert (3, 5) == (cut.packets, cut.missed)


def test_missed_packets_of_several_nics():
    """The last word of each NIC counts."""
    cut = pcapng.Blocks()
    cut.feed(told_missed(2) + told_missed(3, nic=1) + told_missed(4))

    assert 7 == cut.missed


@pytest.mark.parametrize("number", [1, 2**40])
def test_packets_are_counted_by_their_number(number):
    """A packet that is there twice is one."""
    cut = pcapng.Blocks()
    cut.feed(told(number=number) + told(number=number))

    assert number == cut.packets
