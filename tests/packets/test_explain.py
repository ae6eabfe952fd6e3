"""The traced program: it foretells what the program does, and leaves no trace of its own."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from lbctl.errors import LbctlError, UsageError
from lbctl.netif import sockets
from lbctl.shared import abi, syscall
from lbctl.shared.abi import ConnectionState, Stage, Verdict
from lbctl.shared.routing import NextHopState
from lbctl.switching import program
from lbctl.switching.explain import LONGEST
from tests.packets import test_model
from tests.packets.explained import both, contents, explain, foretold
from tests.packets.world import DNS4, WEB4, WEB6, Talk, establish, play
from tests.support import frames
from tests.support.progrun import INSIDE, LOOPBACK, OUTSIDE, machine

ANY = Talk("198.51.100.7:40000", "203.0.113.22:443", "10.0.1.22:443")
SHARED = WEB4.at_vip(20)


def served(switch, talk=WEB4, **more):
    """Publish one service."""
    switch.publish(switch.service(talk.service, [talk.server, talk.second], slots=[0], **more))


def error(talk, **quoted):
    """An ICMP error of the client about what the VIP has sent to it."""
    (client, port), (vip, vip_port) = frames.split(talk.client), frames.split(talk.vip)
    if ":" in vip:
        inner = IPv6(src=vip, dst=client) / TCP(sport=vip_port, dport=port, **quoted)
        message = IPv6(src=client, dst=vip) / ICMPv6PacketTooBig(mtu=1300) / Raw(bytes(inner))
    else:
        inner = IP(src=vip, dst=client) / TCP(sport=vip_port, dport=port, **quoted)
        message = IP(src=client, dst=vip) / ICMP(type=3, code=4, nexthopmtu=1300) / inner
    return frames.ethernet(frames.FROM_CLIENT, message)


def connected(switch, talk=WEB4, **more):
    """Publish a service and open a connection."""
    served(switch, talk, **more)
    establish(switch, talk)


def orphaned(switch):
    """Remove a service that has a connection."""
    connected(switch)
    switch.publish(switch.service(DNS4.service, [DNS4.server]))


def full(switch):
    """Leave no room for the client."""
    served(switch)
    switch.fill(switch.key_of(WEB4.asks("S")), ConnectionState.ESTABLISHED)


def lost(switch):
    """Let the server of a connection die, in a pool that resets."""
    connected(switch, reset_down=True)
    down = [f"{WEB4.server} down", WEB4.second]
    switch.publish(switch.service(WEB4.service, down, slots=[1], reset_down=True))


def half_open(switch):
    """Have a SYN that went to one server, and slots that nearly all are the other's."""
    servers = [WEB4.server, WEB4.second]
    switch.publish(switch.service(WEB4.service, servers, slots=[0]))
    play_first(switch)
    switch.publish(switch.service(WEB4.service, servers, slots=[0] + [1] * 31))


def play_first(switch):
    """Send the first SYN, whoever gets it."""
    switch.run(WEB4.asks("S"))


def shared(switch):
    """Two VIPs with one server, and a connection by one of them."""
    services = [switch.service(t.service, [WEB4.server]) for t in (WEB4, SHARED)]
    switch.publish(*services)
    play(switch, WEB4, ">S <SA >A")


def ruled(switch):
    """A rule that leads the client to the second server."""
    served(switch, rules={"clients 198.51.100.0/29": [1]})


def any_port(switch):
    """A VIP of all ports."""
    switch.publish(switch.service("203.0.113.22:*/tcp", ["10.0.1.22"]))


def no_hop(state):
    """A server that is not reached."""
    return lambda switch: served(switch, state=state)


def routed(switch):
    """A connection whose client is behind a router that is known."""
    switch.route("198.51.100.0/24", frames.ROUTER)
    connected(switch)


def arp():
    """What is not IP."""
    ether = Ether(src=frames.ROUTER, dst=frames.OUTSIDE_MAC)
    return bytes(ether / ARP(psrc="198.51.100.1", pdst="203.0.113.10"))


big = b"x" * 1500
SYN = WEB4.asks("S")
FLOOD = frames.Way(frames.ROUTER, "02:00:00:00:00:77")
SITUATIONS = {
    "a new connection": (served, SYN, OUTSIDE, "TO_BACKEND_NEW"),
    "IPv6": (lambda s: served(s, WEB6), WEB6.asks("S"), OUTSIDE, "TO_BACKEND_NEW"),
    "a datagram": (lambda s: served(s, DNS4), DNS4.asks(b"?"), OUTSIDE, "TO_BACKEND_NEW"),
    "a known connection": (connected, WEB4.asks("PA", b"x"), OUTSIDE, "TO_BACKEND"),
    "its end": (connected, WEB4.asks("FA"), OUTSIDE, "TO_BACKEND"),
    "a reply, sent back": (connected, WEB4.says("A"), INSIDE, "TO_CLIENT"),
    "a reply by a route": (routed, WEB4.says("A"), INSIDE, "TO_CLIENT"),
    "a reply of no connection": (served, WEB4.says("A"), INSIDE, "TO_KERNEL"),
    "a stranger": (served, WEB4.asks("A"), OUTSIDE, "RESET"),
    "a stranger's reset": (served, WEB4.asks("R"), OUTSIDE, "DROP_UNANSWERABLE"),
    "dropped strangers": (
        lambda s: served(s, unknown="drop"),
        WEB4.asks("A"),
        OUTSIDE,
        "DROP_NO_CONNECTION",
    ),
    "hashed strangers": (
        lambda s: served(s, unknown="hash"),
        WEB4.asks("A"),
        OUTSIDE,
        "TO_BACKEND_NEW",
    ),
    "no such port": (served, frames.tcp(WEB4.client, "203.0.113.10:81"), OUTSIDE, "RESET"),
    "no such datagram": (
        served,
        frames.udp(WEB4.client, "203.0.113.10:81"),
        OUTSIDE,
        "DROP_NO_SERVICE",
    ),
    "nobody": (
        lambda s: s.publish(s.service(WEB4.service, [f"{WEB4.server} down"])),
        SYN,
        OUTSIDE,
        "DROP_NO_BACKEND",
    ),
    "no room": (full, SYN, OUTSIDE, "TO_BACKEND_UNTRACKED"),
    "a reply without room": (full, WEB4.says("SA"), INSIDE, "TO_KERNEL"),
    "a retry": (half_open, SYN, OUTSIDE, "TO_BACKEND_NEW"),
    "a dead server": (lost, WEB4.asks("A"), OUTSIDE, "RESET_DOWN"),
    "a dead server, anew": (lost, SYN, OUTSIDE, "TO_BACKEND_NEW"),
    "a shared server": (shared, SHARED.asks("S"), OUTSIDE, "DROP_TUPLE_CLASH"),
    "a rule": (ruled, SYN, OUTSIDE, "TO_BACKEND_NEW"),
    "any port": (any_port, ANY.asks("S"), OUTSIDE, "TO_BACKEND_NEW"),
    "DSR": (
        lambda s: s.publish(s.service("203.0.113.10:80/tcp", ["10.0.1.11:80"], forward="dsr")),
        SYN,
        OUTSIDE,
        "TO_BACKEND_NEW",
    ),
    "a removed VIP": (orphaned, WEB4.asks("A"), OUTSIDE, "TO_BACKEND"),
    "no MAC": (no_hop(NextHopState.UNRESOLVED), SYN, OUTSIDE, "DROP_NO_NEIGHBOR"),
    "no route": (no_hop(NextHopState.NO_ROUTE), SYN, OUTSIDE, "DROP_NO_ROUTE"),
    "no program": (no_hop(NextHopState.NOT_ATTACHED), SYN, OUTSIDE, "DROP_NOT_ATTACHED"),
    "no time": (served, WEB4.asks("S", ttl=1), OUTSIDE, "DROP_TTL_EXPIRED"),
    "too big": (
        connected,
        WEB4.asks("A", big, ip={"flags": "DF"}),
        OUTSIDE,
        "TOO_BIG_REPLY",
    ),
    "too big, IPv6": (lambda s: connected(s, WEB6), WEB6.asks("A", big), OUTSIDE, "TOO_BIG_REPLY"),
    "too big, in pieces": (connected, WEB4.asks("A", big), OUTSIDE, "DROP_TOO_BIG"),
    "a ping": (served, frames.echo(WEB4.client, WEB4.vip), OUTSIDE, "ECHO_REPLY"),
    "an ICMP error": (connected, error(WEB4), OUTSIDE, "TO_BACKEND_ICMP"),
    "an ICMPv6 error": (lambda s: connected(s, WEB6), error(WEB6), OUTSIDE, "TO_BACKEND_ICMP"),
    "an ICMP error of nothing": (served, error(WEB4), OUTSIDE, "DROP_NO_CONNECTION"),
    "a fragment": (served, WEB4.asks("S", ip={"flags": "MF"}), OUTSIDE, "DROP_FRAGMENT"),
    "options": (served, WEB4.asks("S", ip={"options": b"\1" * 4}), OUTSIDE, "DROP_OPTIONS"),
    "malformed": (served, SYN[:50], OUTSIDE, "DROP_MALFORMED"),
    "another MAC": (served, WEB4.asks("S", way=FLOOD), OUTSIDE, "TO_KERNEL_OTHER_MAC"),
    "not for us": (served, frames.tcp(WEB4.client, "192.0.2.1:80"), OUTSIDE, "TO_KERNEL"),
    "ARP": (served, arp(), OUTSIDE, "TO_KERNEL"),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_what_is_foretold_happens(switch, name):
    """
    The verdict, XDP's action and the whole frame; and that nothing is changed by asking.
    """
    prepare, frame, nic, verdict = SITUATIONS[name]
    prepare(switch)
    switch.now_in(nic)
    before = contents(switch)
    foretold(switch, frame, nic)
    assert before == contents(switch)

    said, done = both(switch, frame, nic)

    assert said == done
    assert verdict == done.verdict.name


@pytest.mark.parametrize("seed", [11])
def test_random_traffic_is_foretold(switch, loopback, seed, monkeypatch):
    """
    Thousands of packets, times and configurations; what asking changed would be seen by the model.
    """
    run, pairs = switch.run, []

    def watched(frame, nic=OUTSIDE):
        tick, said = switch.clock.now(), foretold(switch, frame, nic)
        done = run(frame, nic)
        if tick == switch.clock.now():
            pairs.append((said, done))
            assert said == done, frame.hex()
        return done

    monkeypatch.setattr(switch, "run", watched)
    del loopback
    with sockets.create([sockets.Place.of("lo")], 64) as made:
        test_model.go_on(switch, made.sockets[0].fileno(), seed)

    assert len(pairs) > 2000
    assert len({done.verdict for _, done in pairs}) >= 8


@pytest.fixture(scope="module")
def busy(machines):
    """
    Services of many kinds, each with a connection.
    """
    switch = machines()
    switch.reset()
    talks = (WEB4, WEB6, DNS4)
    switch.publish(
        *(switch.service(t.service, [t.server], unknown="hash") for t in talks),
        switch.service("203.0.113.20:80/tcp", ["10.0.1.20:80"], forward="dsr"),
        switch.service("203.0.113.21:*/tcp", ["10.0.1.21"]),
    )
    for talk in talks:
        establish(switch, talk)
    return switch


SEEDS = [
    *(WEB4.asks("PA", b"payload"), WEB4.says("A"), WEB6.asks("S"), WEB6.says("FA")),
    *(DNS4.asks(b"?"), error(WEB4), error(WEB6), frames.echo(WEB6.client, WEB6.vip)),
    frames.ethernet(frames.FROM_CLIENT, IP(src="198.51.100.9", dst="203.0.113.20") / UDP()),
]


@settings(max_examples=400, deadline=None)
@given(
    seed=st.sampled_from(SEEDS),
    changes=st.lists(st.tuples(st.integers(12, 90), st.integers(0, 255)), max_size=4),
    cut=st.integers(0, 30),
    nic=st.sampled_from([OUTSIDE, INSIDE]),
)
def test_any_bytes_are_foretold(busy, seed, changes, cut, nic):
    """
    Broken headers too, and frames that end early.
    """
    frame = bytearray(seed[: max(len(seed) - cut, 14)])
    for place, value in changes:
        if place < len(frame):
            frame[place] = value

    said, done = both(busy, bytes(frame), nic)

    assert said == done


def test_the_time_of_last_use_stays(switch):
    """
    A connection that somebody asks about grows as old as any other.
    """
    connected(switch)
    switch.age(100)
    (before,) = switch.connections.list()

    trial = explain(switch, WEB4.asks("A"))
    (after,) = switch.connections.list()

    assert before.idle_seconds >= 99
    assert before.state == after.state
    assert after.idle_seconds >= before.idle_seconds
    index = int(trial.traces["connection"][Stage.CONNECTION])
    assert trial.after["last_used"][index] != trial.before["last_used"][index]


def test_it_is_compiled_once(switch, monkeypatch):
    """
    Not again by the next process; and anew when the program on the NICs is another.
    """
    served(switch)
    explain(switch, SYN)
    monkeypatch.setattr(program, "compile_program", None)
    switch.dataplane.close()
    switch.reopen()

    assert "TO_BACKEND_NEW" == foretold(switch, SYN).verdict.name
    assert [switch.dataplane._program().name] == os.listdir(switch.pins / "explain" / "programs")  # noqa: PTH208


def test_sources_that_have_changed(switch, monkeypatch):
    """
    Another version's program would not fit these tables: the daemon must be restarted.
    """
    served(switch)
    switch.dataplane._explainer.close()
    monkeypatch.setattr(program, "essence", lambda: "other sources")

    with pytest.raises(LbctlError, match="restart lbctld"):
        explain(switch, SYN)


def test_other_features_take_another_program():
    """
    The trial has what the program on the NICs has, and no more; it goes with the instance.
    """
    with machine(("nat",)) as switch:
        switch.reset()
        served(switch)
        folder = switch.pins / "explain" / "programs"
        assert Verdict.TO_KERNEL is foretold(switch, WEB6.asks("S")).verdict
        (first,) = folder.iterdir()
        switch.ensure(("nat", "ipv6"))
        switch.publish(switch.service(WEB6.service, [WEB6.server]))

        assert Verdict.TO_BACKEND_NEW is foretold(switch, WEB6.asks("S")).verdict
        assert first not in list(folder.iterdir())
    assert not folder.exists()


@pytest.mark.parametrize("size", [0, 13, LONGEST + 1, 9000])
def test_what_no_nic_would_hand_over(switch, size):
    """
    Shorter than a header, or longer than a page: refused with both sizes.
    """
    with pytest.raises(UsageError, match=f"a frame of {size} bytes: .*(14|{LONGEST})"):
        explain(switch, SYN[:14].ljust(size, b"\0")[:size])


@pytest.mark.parametrize(
    ("release", "text"),
    [("5.10.0-9-amd64", "needs Linux 5.15, and this is 5.10.0"), ("6.1.0", "Invalid argument")],
)
def test_an_old_kernel(switch, monkeypatch, release, text):
    """
    It cannot run a program as if the frame had come in by some NIC: the message says so.
    """
    served(switch)
    explain(switch, SYN)

    def refuse(*_args, **_more):
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr("platform.release", lambda: release)
    monkeypatch.setattr(syscall, "test_run", refuse)
    with pytest.raises(LbctlError, match=text):
        switch.dataplane._explainer.run(SYN, LOOPBACK)


def test_both_sets_of_the_client_are_copied(switch):
    """
    Wherever the entry lies, and whatever lies beside it.
    """
    served(switch)
    key = switch.key_of(SYN)
    switch.fill(key, ConnectionState.ESTABLISHED, age=5)

    trial = explain(switch, SYN)

    assert 2 * abi.WAYS == len(trial.before)
    assert {key ^ 1 << 63} == set(trial.before["key"].tolist())
