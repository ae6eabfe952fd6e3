"""Any bytes at all: nothing aborts, nothing is spoiled, nothing leaves that should not."""

from __future__ import annotations

import random
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers import inet
from scapy.layers.inet import IP
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from lbctl.model import OnExit, Vip
from lbctl.netif import sockets
from lbctl.shared import syscall
from lbctl.shared.abi import Verdict
from lbctl.shared.programs import AppService, Programs
from tests.packets.world import DNS4, DNS6, WEB4, WEB6, Talk, establish
from tests.support import frames
from tests.support.progrun import INSIDE, OUTSIDE, PROGRAM
from tests.support.sums import ICMP, ICMPV6, TCP, sums

# A VIP with any port and rules, and one whose server died.
RULED = Talk("198.51.100.7:40000", "203.0.113.22:*", "10.0.1.22")
LOST = Talk("198.51.100.7:40000", "203.0.113.24:80", "10.0.1.24:80", "10.0.1.25:80")
# Programs on the switch: behind a pseudo interface, and applications that run and do not.
HOSTS = ("203.0.113.254", "2001:db8::fe")
RUNS, GONE = "203.0.113.60:5060/udp", "203.0.113.60:5061/tcp"
SERVERS = {ip_address(frames.split(t.server)[0]) for t in (WEB4, WEB6)}
VIPS = {ip_address(frames.split(t.vip)[0]) for t in (WEB4, WEB6)}
WORDS = [0, 1, 19, 20, 21, 28, 39, 40, 41, 255, 1480, 1500, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF]


@pytest.fixture(scope="module")
def buffers(loopback):
    """
    The AF_XDP socket of an application.
    """
    del loopback
    with sockets.create([sockets.Place.of("lo")], 64) as made:
        yield made.sockets[0].fileno()


@pytest.fixture(scope="module")
def busy(machines, buffers):
    """
    Services of all kinds, most with a connection; one has lost its server since.
    """
    switch = machines()
    switch.reset()
    talks = (WEB4, WEB6, DNS4, DNS6)
    rules = {"port 80": [0], "clients 198.51.100.0/29": [1], "clients 198.51.100.128/25": []}
    for state in ("active", "down"):
        switch.publish(
            *(switch.service(t.service, [t.server], unknown="hash") for t in talks),
            switch.service("203.0.113.20:80/tcp", ["10.0.1.20:80"], forward="dsr"),
            switch.service("203.0.113.21:*/tcp", ["10.0.1.21"]),
            switch.service(
                RULED.service, ["10.0.1.23", RULED.server], slots=[0], rules=rules, by_address=True
            ),
            switch.service(
                LOST.service,
                [f"{LOST.server} {state}", LOST.second],
                slots=[0] if state == "active" else [1],
                reset_down=True,
            ),
            programs=Programs(
                tuple(AppService((Vip.parse(vip),), OnExit.RESET) for vip in (RUNS, GONE)),
                switch.pseudo(*HOSTS),
            ),
        )
        if state == "active":
            establish(switch, LOST)
    number = switch.configuration.app_number(Vip.parse(RUNS))
    switch.configuration.app_table.put(number, OUTSIDE, 0, buffers)
    for prefix in ("0.0.0.0/0", "::/0"):
        switch.route(prefix, frames.ROUTER)
    for talk in talks:
        establish(switch, talk)
    return switch


def judge(switch, frame, nic=OUTSIDE):
    """Run one frame, and see that what must hold for any frame holds for it."""
    switch.now_in(nic)
    ran = switch.fast(frame)
    assert ran.action in (syscall.DROP, syscall.PASS, syscall.TX, syscall.REDIRECT), frame.hex()
    if ran.action == syscall.PASS:
        assert frame == ran.frame, frame.hex()
    back = frame[6:12] + frame[:6] == ran.frame[:12]
    if ran.action == syscall.REDIRECT and frame[12:] == ran.frame[12:]:
        assert nic == PROGRAM or ends(frame) & OURS, frame.hex()
    elif ran.action == syscall.REDIRECT and not (back and nic == PROGRAM):
        assert len(frame) == len(ran.frame), frame.hex()
        assert sums(frame) == sums(ran.frame), frame.hex()
        assert ends(ran.frame) & (SERVERS | VIPS | DIRECT), frame.hex()
    elif ran.action in SENDING:  # an answer: what we make is right, whatever was asked
        assert frame[:6] + frame[6:12] == ran.frame[6:12] + ran.frame[:6], frame.hex()
        assert len(ran.frame) <= max(len(frame), 102), frame.hex()
        before, after = sums(frame), sums(ran.frame)
        assert after.get("ip", 0) == after.get(TCP, 0) == 0, frame.hex()
        for kind in (ICMP, ICMPV6):  # of an echo it is the asker's
            assert after.get(kind, 0) in (0, before.get(kind)), frame.hex()
    return ran


SENDING = {syscall.TX, syscall.REDIRECT}
OURS = {ip_address(host) for host in (*HOSTS, "203.0.113.60")}
DIRECT = {
    ip_address(f"{network}.{last}") for network in ("203.0.113", "10.0.1") for last in range(20, 26)
}


def ends(frame):
    """The addresses of both ends of a packet."""
    packet = Ether(frame).payload
    return {ip_address(packet.src), ip_address(packet.dst)}


def calm(switch):
    """No verdict of the bugs."""
    assert not {Verdict.DROP_INTERNAL, Verdict.CONTINUE} & set(switch.verdicts())


def test_noise(busy):
    """
    Random bytes of every length; every other frame claims to be IP, and to be for us.
    """
    chance = random.Random(1)
    for length in range(14, 1515):
        frame = bytearray(chance.randbytes(length))
        judge(busy, bytes(frame))
        frame[:6] = bytes.fromhex("0200000000a0")
        frame[12:15] = chance.choice([b"\x08\0\x45", b"\x86\xdd\x60"])[: length - 12]
        judge(busy, bytes(frame))
    calm(busy)


def seeds():
    """Build frames of every kind, each with the NIC that it comes in by."""
    for talk in (WEB4, WEB6, DNS4, DNS6):
        yield OUTSIDE, talk.asks(*talk.start, payload=b"payload")
        yield OUTSIDE, talk.asks(payload=bytes(100))
        yield INSIDE, talk.says(payload=b"answer")
        host = frames.split(talk.vip)[0]
        yield OUTSIDE, frames.echo(talk.client, host, b"ping")
        message = inet.ICMP(type=3, code=4) if talk in (WEB4, DNS4) else ICMPv6PacketTooBig()
        quoted = Raw(talk.heard()[14:100])
        packet = frames.network(talk.client, host) / message / quoted
        yield OUTSIDE, frames.ethernet(frames.FROM_CLIENT, packet)
    yield OUTSIDE, frames.tcp(WEB4.client, "203.0.113.20:80", "S")
    yield OUTSIDE, frames.tcp(WEB4.client, "203.0.113.21:80", "S")
    for port in (80, 443):
        yield OUTSIDE, frames.tcp(RULED.client, f"203.0.113.22:{port}", "S")
    for flags in ("A", "PA", "FA", "R", "S"):
        yield OUTSIDE, LOST.asks(flags, b"data")
    yield OUTSIDE, frames.tcp(WEB4.client, "203.0.113.10:81", "SA", b"data")
    yield OUTSIDE, frames.tcp(WEB4.client, WEB4.vip, "A", bytes(1600), ip={"flags": "DF"})
    yield OUTSIDE, frames.tcp(WEB6.client, WEB6.vip, "A", bytes(1600))


def seeds_of_programs():
    """Build frames to and from what runs on the switch itself."""
    for talk, host in ((DNS4, HOSTS[0]), (DNS6, HOSTS[1])):
        place = frames.place(host, 40000)
        told = {"way": frames.FROM_PROGRAM}
        yield OUTSIDE, frames.udp(talk.client, place, b"payload")
        yield OUTSIDE, frames.echo(talk.client, host, b"ping")
        yield PROGRAM, frames.udp(place, talk.client, b"payload", **told)
        yield PROGRAM, frames.udp(place, talk.vip, b"payload", **told)
        yield PROGRAM, frames.tcp(place, frames.at_port(talk.vip, 81), "S", **told)
        yield PROGRAM, frames.echo(place, talk.vip, b"ping", **told)
        ip = {"ip": {"flags": "DF"}} if talk is DNS4 else {}
        yield PROGRAM, frames.udp(place, talk.client, bytes(1600), **told, **ip)
    yield OUTSIDE, frames.udp(DNS4.client, RUNS.partition("/")[0], b"payload")
    yield OUTSIDE, frames.tcp(DNS4.client, GONE.partition("/")[0], "S")


def spoil(frame, chance):
    """Change a frame in one to four places, or its length."""
    frame = bytearray(frame)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(12, min(len(frame), 110))
        match chance.randrange(4):
            case 0:
                frame[place] ^= 1 << chance.randrange(8)
            case 1:
                frame[place] = chance.randrange(256)
            case 2 if place + 2 <= len(frame):
                frame[place : place + 2] = chance.choice(WORDS).to_bytes(2)
            case 3 if len(frame) > 60 and chance.random() < 0.3:
                del frame[chance.randrange(20, len(frame)) :]
    return bytes(frame)


def test_frames_with_a_few_faults(busy):
    """
    Those that get furthest: nearly right.
    """
    chance, kinds = random.Random(2), [*seeds(), *seeds_of_programs()]
    for _ in range(20_000):
        nic, frame = chance.choice(kinds)
        judge(busy, spoil(frame, chance), nic)
    for nic, frame in kinds:  # and all of them still work
        assert syscall.PASS != judge(busy, frame, nic).action
    calm(busy)
    assert len(busy.verdicts()) > 12


addresses4 = st.sampled_from(
    ["198.51.100.7", "203.0.113.10", "10.0.1.11", "203.0.113.99", *HOSTS[:1]]
)
addresses6 = st.sampled_from(
    ["2001:db8:c::7", "2001:db8::10", "2001:db8:1::11", "::", "ff02::1", HOSTS[1]]
)
protocols = st.sampled_from([1, 6, 17, 44, 58, 0, 59]) | st.integers(0, 255)
lengths = st.none() | st.integers(0, 200) | st.sampled_from(WORDS)
segments = st.sampled_from([t.asks()[34:] for t in (WEB4, DNS4)]) | st.binary(max_size=100)
packets4 = st.builds(
    lambda payload, **fields: IP(**{k: v for k, v in fields.items() if v is not None}) / payload,
    segments,
    src=addresses4,
    dst=addresses4,
    proto=protocols,
    ttl=st.sampled_from([0, 1, 2, 64, 255]),
    len=lengths,
    flags=st.sampled_from([0, 1, 2, 4]),
    frag=st.sampled_from([0, 0, 0, 1, 8191]),
    ihl=st.sampled_from([5, 5, 5, 0, 4, 6, 15]),
    version=st.sampled_from([4, 4, 4, 0, 6, 15]),
)
packets6 = st.builds(
    lambda payload, **fields: IPv6(**{k: v for k, v in fields.items() if v is not None}) / payload,
    segments,
    src=addresses6,
    dst=addresses6,
    nh=protocols,
    hlim=st.sampled_from([0, 1, 2, 64, 255]),
    plen=lengths,
    version=st.sampled_from([6, 6, 6, 4, 0]),
)


@given(
    packet=packets4 | packets6,
    nic=st.sampled_from([OUTSIDE, INSIDE, PROGRAM]),
    extra=st.binary(max_size=9),
)
@settings(max_examples=300, derandomize=True)
def test_headers_that_contradict_each_other(busy, packet, nic, extra):
    """
    Hypothesis finds the smallest frame that breaks a rule, if there is one.
    """
    ways = {OUTSIDE: frames.FROM_CLIENT, PROGRAM: frames.FROM_PROGRAM}
    way = ways.get(nic) or frames.from_server(WEB4.server)

    judge(busy, frames.ethernet(way, packet) + extra, nic)
    calm(busy)
