"""Stage arrive: frames for other stations are none of our business."""

from __future__ import annotations

import pytest

from lbctl.shared.abi import Verdict
from tests.packets.world import TCP, WEB4
from tests.support import frames
from tests.support.progrun import INSIDE, LOOPBACK, OUTSIDE, passed

OTHER = Verdict.TO_KERNEL_OTHER_MAC
STATIONS = {
    "all": "ff:ff:ff:ff:ff:ff",
    "a group of IPv4": "01:00:5e:00:00:01",
    "a group of IPv6": "33:33:00:00:00:01",
    "our other NIC": frames.INSIDE_MAC,
    "nobody": "00:00:00:00:00:00",
}


@pytest.fixture
def web(switch):
    """
    A switch that serves the web, and would forward any frame to it.
    """
    switch.publish(switch.service(WEB4.service, [WEB4.server]))
    return switch


@pytest.mark.parametrize("station", STATIONS)
@TCP
def test_frames_for_others_pass(web, talk, station):
    """
    Even if they are for a VIP: a bridge floods what it has not learnt.
    """
    frame = talk.asks("S", way=frames.Way(frames.ROUTER, STATIONS[station]))

    assert passed(frame, OTHER) == web.run(frame)
    assert {} == web.states()


def test_every_bit_of_the_mac_counts(web):
    """
    48 frames, each with one bit wrong.
    """
    right = WEB4.asks("S")
    for bit in range(48):
        frame = bytearray(right)
        frame[bit // 8] ^= 1 << bit % 8

        assert passed(bytes(frame), OTHER) == web.run(bytes(frame))


def test_a_nic_that_is_not_ours(web):
    """
    The program sits on it, for a moment, while it is being detached.
    """
    web.memory["nics"][LOOPBACK] = 0
    frame = WEB4.asks("S")

    assert frame == web.fast(frame).frame
    assert {OTHER: 1} == web.verdicts()


def test_counters_by_nic(web):
    """
    Packets and bytes, with the Ethernet header, under the slot of the NIC.
    """
    frame = WEB4.asks("S", b"x" * 46)
    web.run(frame)
    web.run(frame)
    web.reply(WEB4.says("SA"))
    counts = {(c.nic, c.verdict): (c.packets, c.bytes) for c in web.dataplane.counters.by_nic()}

    assert counts == {
        (OUTSIDE, Verdict.TO_BACKEND_NEW): (1, 100),
        (OUTSIDE, Verdict.TO_BACKEND): (1, 100),
        (INSIDE, Verdict.TO_CLIENT): (1, 54),
    }
