"""The capture: which packets it takes, as they came and as they left."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

import numpy as np
import pytest

from lbctl.control.capturing.wanted import Wanted
from lbctl.model import App, OnExit, Vip
from lbctl.shared import abi, syscall
from lbctl.shared.abi import Liked, Verdict
from lbctl.shared.programs import AppService, Programs
from tests.packets.world import DNS4, DNS6, WEB4, WEB6
from tests.support import frames
from tests.support.progrun import INSIDE, OUTSIDE, SMALL

RING = 1 << 16
OTHER = frames.tcp("198.51.100.7:40000", "192.0.2.99:80")  # nobody's
FOREIGN = frames.tcp(WEB4.client, WEB4.vip, way=frames.Way(frames.ROUTER, "02:00:00:00:00:99"))
NO_SERVICE = frames.udp("198.51.100.7:40000", "203.0.113.10:81")


class Taken(NamedTuple):
    """A captured packet."""

    verdict: Verdict
    came: bytes
    leaves: bytes
    head: np.void


class Rig:
    """A switch whose program captures."""

    def __init__(self, switch, made) -> None:
        self.switch, self.made = switch, made
        self.plain, switch.program = switch.program, syscall.get(made.program)

    def wants(self, words="", apps=(), **fields):
        """Take what has all of this: words of a filter, as NAME=VALUE."""
        self.made.filter[:] = 0
        self.made.marked[:] = 0
        wanted = Wanted(**dict(re.findall(r"(\w+)=(\S+)", words)), **fields)
        wanted.write(self.made, Controller(self.switch, apps))

    def run(self, frame, nic=OUTSIDE):
        """Run a frame; gives what was captured of it, or None."""
        self.switch.run(frame, nic)
        found = self.taken()
        return found[0] if found else None

    def taken(self):
        """All that was captured."""
        return [taken(record) for record in self.made.ring.read(1000)]

    def close(self):
        """Be the plain switch again."""
        os.close(self.switch.program)
        self.switch.program = self.plain
        self.switch.dataplane.stop_capture()
        self.made.close()


class Controller:
    """As much of the controller as a filter looks at: each VIP is a pool of its own."""

    def __init__(self, switch, apps) -> None:
        self.apps = apps
        self.dataplane = self
        self.configuration = self
        self.capacity = SMALL
        self.switch = switch

    def attached(self):
        """The NICs by the names of their places."""
        return [Nic("outside", OUTSIDE), Nic("inside", INSIDE)]

    def vips_by_pool(self):
        """By the VIP's own name."""
        return {str(record.vip): (record.vip,) for record in self.backends().values()}

    def service_index(self, vip):
        """The switch knows."""
        return self.switch.configuration.service_index(vip)

    def backends(self):
        """The switch knows."""
        return self.switch.configuration.backends()


class Nic(NamedTuple):
    """A NIC's name and slot."""

    name: str
    slot: int
    is_pseudo: bool = False


def taken(record):
    """Read a record."""
    size = abi.CAPTURED.itemsize
    head = np.frombuffer(record[:size], abi.CAPTURED)[0]
    end = size + int(head["came_taken"])
    assert len(record) == end + head["leaves_taken"]
    return Taken(Verdict(head["verdict"]), record[size:end], record[end:], head)


@pytest.fixture(scope="module")
def capturing(machines):
    """
    The program with all features, made once: it can be used for every test.
    """
    machine = machines()
    machine.reset()
    made = machine.dataplane.new_capture(RING)
    machine.dataplane.start_capture(made)
    rig = Rig(machine, made)
    yield rig
    rig.close()


@pytest.fixture
def rig(capturing, switch):
    """
    A switch with a web and a DNS server behind VIPs of both families, that captures every packet.
    """
    assert switch is capturing.switch
    switch.publish(*(switch.service(t.service, [t.server]) for t in (WEB4, WEB6, DNS4)))
    capturing.taken()
    capturing.wants()
    return capturing


@pytest.mark.parametrize("talk", [WEB4, WEB6, DNS4], ids=["TCP-IPv4", "TCP-IPv6", "UDP-IPv4"])
def test_a_packet_as_it_came_and_as_it_left(rig, talk):
    """
    Both are whole frames; the indices say whose it was, the slots by which NICs it went.
    """
    found = rig.run(talk.asks(*talk.start))
    table = rig.switch.configuration
    (index,) = (i for i, r in table.backends().items() if str(r.address) == talk.server)

    assert (Verdict.TO_BACKEND_NEW, talk.asks(*talk.start)) == (found.verdict, found.came)
    assert talk.asked(*talk.start) == found.leaves
    assert index == found.head["backend"]
    assert table.service_index(table.backends()[index].vip) == found.head["service"]
    assert (OUTSIDE, INSIDE, syscall.REDIRECT) == tuple(
        int(found.head[name]) for name in ("in_nic", "out_nic", "action")
    )


def test_a_reply(rig):
    """
    The other way, with the same service.
    """
    there = rig.run(WEB4.asks())
    back = rig.run(WEB4.says("SA"), INSIDE)

    assert (Verdict.TO_CLIENT, WEB4.says("SA")) == (back.verdict, back.came)
    assert WEB4.heard("SA") == back.leaves
    assert there.head[["service", "backend"]] == back.head[["service", "backend"]]


def test_a_packet_that_is_answered(rig):
    """
    What leaves is another packet, by the same NIC.
    """
    refused = frames.tcp("198.51.100.7:40000", "203.0.113.10:81")
    found = rig.run(refused)

    assert (Verdict.RESET, refused) == (found.verdict, found.came)
    assert frames.destination(found.leaves) == "198.51.100.7:40000"
    assert len(found.leaves) == found.head["leaves"]
    assert (OUTSIDE, syscall.TX) == (found.head["out_nic"], found.head["action"])


@pytest.mark.parametrize(
    ("frame", "verdict", "action"),
    [
        (NO_SERVICE, Verdict.DROP_NO_SERVICE, syscall.DROP),
        (OTHER, Verdict.TO_KERNEL, syscall.PASS),
        (FOREIGN, Verdict.TO_KERNEL_OTHER_MAC, syscall.PASS),
        (bytes.fromhex("020000000003") + bytes(20), Verdict.TO_KERNEL_OTHER_MAC, syscall.PASS),
    ],
    ids=["drop", "kernel", "other MAC", "short"],
)
def test_a_packet_that_does_not_leave(rig, frame, verdict, action):
    """
    There is nothing behind the frame as it came.
    """
    found = rig.run(frame)

    assert (verdict, frame, b"") == found[:3]
    assert (0, action, abi.NONE) == tuple(
        int(found.head[name]) for name in ("leaves", "action", "backend")
    )


def test_a_drop_after_the_choice_of_a_server(rig):
    """
    Whose packet it was is known.
    """
    found = rig.run(WEB4.asks(ttl=1))

    assert (Verdict.DROP_TTL_EXPIRED, b"") == (found.verdict, found.leaves)
    assert found.head["backend"] != abi.NONE


CASES = {
    # words: who of these is captured: web asks, web says, IPv6 web asks, DNS asks, nobody's, drop
    "": "web reply web6 dns other drop",
    "verdict=TO_CLIENT": "reply",
    "verdict=drop": "drop",
    "protocol=udp": "dns drop",
    "protocol=tcp": "web reply web6 other",
    "protocol=icmp": "",
    "host=198.51.100.7": "web reply dns other drop",
    "host=2001:db8:c::7": "web6",
    "host=10.0.1.11": "web reply dns",
    "host=192.0.2.99": "other",
    "host=192.0.2.1": "",
    "port=40000": "web reply web6 dns other drop",
    "port=80": "web reply web6 other",
    "port=8080": "web reply web6",
    "port=53": "dns",
    "port=7": "",
    "backend=10.0.1.11:8080": "web reply",
    "backend=10.0.1.11:53": "dns",
    "pool=203.0.113.10:80/tcp": "web reply",
    "pool=203.0.113.10:53/udp": "dns",
    "pool=203.0.113.10:80/tcp host=10.0.1.11 verdict=TO_CLIENT": "reply",
    "backend=10.0.1.11:8080 host=2001:db8:c::7": "",
    "backend=10.0.1.11:53 port=53 protocol=udp": "dns",
    "pool=203.0.113.10:80/tcp backend=10.0.1.11:53": "",
    "host=198.51.100.7 port=53": "dns",
}


@pytest.mark.parametrize("words", CASES, ids=lambda words: words or "everything")
def test_the_filter(rig, words):
    """
    A packet is taken if it, or the server that it goes to or comes from, has all that is asked for.
    """
    listed = {"verdict": [words.partition("verdict=")[2].split()[0]]} if "verdict=" in words else {}
    rig.wants(re.sub(r"verdict=\S+", "", words), **listed)
    sent = {
        "web": (WEB4.asks(), OUTSIDE),
        "reply": (WEB4.says("SA"), INSIDE),
        "web6": (WEB6.asks(), OUTSIDE),
        "dns": (DNS4.asks(), OUTSIDE),
        "other": (OTHER, OUTSIDE),
        "drop": (NO_SERVICE, OUTSIDE),
    }
    found = [name for name, (frame, nic) in sent.items() if rig.run(frame, nic)]

    assert CASES[words].split() == found


def test_an_application(rig):
    """
    All that is for its VIPs, here while it does not run; and nothing of others.
    """
    vips = tuple(Vip.parse(talk.service) for talk in (DNS4, DNS6))
    programs = Programs((AppService(vips, OnExit.DROP),))
    rig.switch.publish(rig.switch.service(WEB4.service, [WEB4.server]), programs=programs)
    rig.wants(apps=[App(name="voip", vips=vips)], app="voip")
    found = [rig.run(frame) for frame in (DNS4.asks(), DNS6.asks(), WEB4.asks("S"), OTHER)]

    assert [Verdict.DROP_APP_GONE] * 2 == [one.verdict for one in found[:2]]
    assert [None, None] == found[2:]


@pytest.mark.parametrize("name", ["outside", "inside"])
def test_a_nic(rig, name):
    """
    By which a packet comes in; by which it leaves does not count.
    """
    rig.wants(nic=[name])
    found = [bool(rig.run(WEB4.asks(), OUTSIDE)), bool(rig.run(WEB4.says("SA"), INSIDE))]

    assert [name == "outside", name == "inside"] == found


@pytest.mark.parametrize(("client", "vip"), [(WEB4.client, WEB4.vip), (WEB6.client, WEB6.vip)])
def test_icmp_of_both_families(rig, client, vip):
    """
    One word for both.
    """
    rig.wants(protocol="icmp")

    assert Verdict.ECHO_REPLY == rig.run(frames.echo(client, vip)).verdict
    assert rig.run(WEB4.asks()) is None


def test_an_index_that_stands_for_none(rig):
    """
    No service is none that is marked, whatever lies there.
    """
    rig.wants("pool=203.0.113.10:80/tcp")
    rig.made.marked[:] |= Liked.BACKEND | Liked.HOST | Liked.PORT
    assert rig.run(OTHER) is None

    rig.made.marked[:] = Liked.ALL
    assert rig.run(WEB4.asks())
    assert rig.run(OTHER) is None


@pytest.mark.parametrize("snap", [1, 14, 60, 54 + 7])
def test_a_part_of_a_packet(rig, snap):
    """
    So many bytes of either frame; their whole lengths are told.
    """
    rig.wants(snap=snap)
    whole, out = WEB4.asks("S", b"payload!"), WEB4.asked("S", b"payload!")
    found = rig.run(whole)

    assert (whole[:snap], out[:snap]) == (found.came, found.leaves)
    assert (len(whole), len(out)) == (found.head["came"], found.head["leaves"])


@pytest.mark.parametrize("size", [abi.SNAP - 1, abi.SNAP, abi.SNAP + 1, 3000])
def test_a_large_packet(rig, size):
    """
    No more than fits is taken, and it is still both frames.
    """
    rig.switch.host(frames.split(WEB4.server)[0], mtu=9000)
    rig.run(WEB4.asks())
    whole, out = (build("A", bytes(size - 54)) for build in (WEB4.asks, WEB4.asked))
    found = rig.run(whole)

    assert Verdict.TO_BACKEND == found.verdict
    assert (whole[: abi.SNAP], out[: abi.SNAP]) == (found.came, found.leaves)
    assert (size, size) == (found.head["came"], found.head["leaves"])


def test_what_has_no_room_is_counted(rig):
    """
    Every packet is either there or missed, and packets go on.
    """
    sent = 2000
    rig.run(WEB4.asks())
    for _ in range(sent):
        assert syscall.REDIRECT == rig.switch.fast(WEB4.asks("A")).action
    missed = int(rig.made.filter["missed"][0])
    found = rig.taken()

    assert missed
    assert sent == len(found) + missed
    assert {WEB4.asks("A")} == {one.came for one in found}
    assert rig.run(WEB4.asks("A"))


def test_times_go_forward(rig):
    """
    They are the kernel's, in nanoseconds.
    """
    times = [int(rig.run(WEB4.asks()).head["time"]) for _ in range(3)]

    assert sorted(times) == times
    assert len(set(times)) == len(times)


def test_it_judges_as_the_plain_program_does(rig):
    """
    Whoever looks changes nothing: the same frames have the same end, byte by byte.
    """
    switch = rig.switch
    sent = [WEB4.asks(), WEB4.asks("A"), WEB6.asks(), DNS4.asks(), OTHER, FOREIGN, NO_SERVICE]
    seen = [switch.run(frame) for frame in sent]
    switch.forget()
    seeing, switch.program = switch.program, rig.plain
    try:
        assert [switch.run(frame) for frame in sent] == seen
    finally:
        switch.program = seeing
