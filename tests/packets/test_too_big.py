"""Stage too big: a packet that does not fit the way to its receiver."""

from __future__ import annotations

import struct

import pytest
from scapy.layers.inet import ICMP
from scapy.layers.inet6 import ICMPv6PacketTooBig
from scapy.packet import Raw

from lbctl.shared import syscall
from lbctl.shared.abi import Verdict
from tests.packets.world import BOTH, DNS6, TCP, WEB4, WEB6, establish
from tests.support import frames
from tests.support.frames import TO_CLIENT
from tests.support.progrun import LOOPBACK, answered, dropped, passed, sent

NEW, TOO_BIG = Verdict.TO_BACKEND_NEW, Verdict.TOO_BIG_REPLY
MTU = 1400


def headers(talk):
    """Bytes in front of the payload, in the IP packet."""
    return (20 if "." in talk.vip else 40) + (20 if talk.protocol == "tcp" else 8)


def large(talk, length, **fields):
    """Build a packet of *length* bytes that must not be cut."""
    if "." in talk.vip:
        fields |= {"ip": {"flags": "DF"}}
    return talk.asks(*talk.start, payload=bytes(length - headers(talk)), **fields)


def complaint(talk, frame, mtu=MTU):
    """Build the answer: from the VIP, with the size that fits and the start of the packet."""
    if "." in talk.vip:
        ip = frames.network(talk.vip, talk.client, id=0, flags="DF")
        message = ip / ICMP(type=3, code=4, nexthopmtu=mtu) / Raw(frame[14:42])
    else:
        ip = frames.network(talk.vip, talk.client)
        message = ip / ICMPv6PacketTooBig(mtu=mtu) / Raw(frame[14:62])
    return frames.ethernet(TO_CLIENT, message)


@BOTH
def test_what_just_fits(switch, talk):
    """
    The MTU is a size of IP packets.
    """
    switch.publish(switch.service(talk.service, [talk.server], mtu=MTU))
    frame = large(talk, MTU)

    assert NEW is switch.run(frame).verdict
    assert Verdict.TO_BACKEND is switch.run(frame + b"padding").verdict


@BOTH
@pytest.mark.parametrize("extra", [1, 2, 100])
def test_what_does_not_fit_is_answered(switch, talk, extra):
    """
    The sender makes smaller packets then.
    """
    switch.publish(switch.service(talk.service, [talk.server], mtu=MTU))
    frame = large(talk, MTU + extra)

    assert answered(complaint(talk, frame), TOO_BIG) == switch.run(frame)


@TCP
def test_in_the_middle_of_a_connection(switch, talk):
    """
    The way has become narrower; the connection is none the worse for it.
    """
    switch.publish(switch.service(talk.service, [talk.server]))
    establish(switch, talk)
    switch.set_hop(1, frames.server_mac(talk.server), mtu=576)
    frame = large(talk, 577)

    assert answered(complaint(talk, frame, 576), TOO_BIG) == switch.run(frame)
    assert sent(talk.asked("PA", b"x")) == switch.run(talk.asks("PA", b"x"))


def test_who_allows_fragments_gets_none(switch):
    """
    The switch cuts nothing.
    """
    switch.publish(switch.service(WEB4.service, [WEB4.server], mtu=MTU))

    assert dropped(Verdict.DROP_TOO_BIG) == switch.run(WEB4.asks("S", bytes(MTU)))


@TCP
def test_replies_that_do_not_fit(switch, talk):
    """
    The kernel tells the server: it has an address of its own to answer from.
    """
    switch.publish(switch.service(talk.service, [talk.server]))
    switch.route("198.51.100.0/24", frames.ROUTER, mtu=MTU)
    switch.route("2001:db8:c::/48", frames.ROUTER, mtu=MTU)
    establish(switch, talk)
    ip = {"flags": "DF"} if talk is WEB4 else {}
    fits, large = (bytes(size - headers(talk)) for size in (MTU, MTU + 1))

    expected = sent(talk.heard("A", fits, ip=ip), Verdict.TO_CLIENT)
    assert expected == switch.reply(talk.says("A", fits, ip=ip))
    frame = talk.says("A", large, ip=ip)
    assert passed(frame) == switch.reply(frame)


@pytest.mark.parametrize("talk", [WEB4, WEB6, DNS6], ids=["IPv4", "IPv6", "UDP-IPv6"])
def test_no_header_field_is_left_as_it_was_in_memory(switch, talk):
    """
    A driver hands over headroom full of old data, a test run zeros: put other bytes there.
    """
    switch.publish(switch.service(talk.service, [talk.server], mtu=MTU))
    frame, old = large(talk, MTU + 1), b"\xff" * 32
    context = struct.pack("=6I", len(old), len(old) + len(frame), 0, LOOPBACK, 0, 0)
    ran = syscall.test_run(switch.program, old + frame, context=context)

    assert complaint(talk, frame) == ran.frame[-len(complaint(talk, frame)) :]
    assert syscall.TX == ran.action
