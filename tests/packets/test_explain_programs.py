"""What is told of packets for, and from, programs on the switch."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from pyroute2 import IPRoute

from lbctl.control.program_state import AppState, PortState
from lbctl.errors import UsageError
from lbctl.model import Vip
from lbctl.netif import sockets
from tests.packets.explained import both
from tests.packets.telling import CLIENT, VIP, Told, text
from tests.packets.world import WEB4
from tests.support import frames
from tests.support.progrun import OUTSIDE, PROGRAM

PSEUDO = {"name": "lb0", "addresses": ["203.0.113.254/32", "2001:db8::fe/128"]}
VOIP = {"name": "voip", "vips": ["203.0.113.60:5060/udp"]}
ROOM = "203.0.113.60:5060"
HERE = "203.0.113.254:8080"


def app(**more):
    """One application."""
    return [VOIP | more]


def test_to_a_pseudo_interface(switch):
    """
    Which one has it, and that nothing but the way is another.
    """
    told = Told(switch, {}, pseudo=[PSEUDO]).ask("udp", CLIENT, HERE)

    assert ("TO_PSEUDO", "REDIRECT", "lb0") == (told.verdict, told.action, told.out_nic)
    assert ("lb0", None, None) == (told.pseudo, told.app, told.next)
    assert f"{HERE} is no VIP: see the stage pseudo" == text(told, "service")
    assert (
        "203.0.113.254 is an address of pseudo interface lb0: programs on the switch have it, "
        "as it came"
    ) == text(told, "pseudo")
    assert {"destination_mac", "source_mac"} == set(told.rewritten)


def test_to_nobody(switch):
    """
    Where the kernel has it the stage pseudo had nothing to say.
    """
    told = Told(switch, {}, pseudo=[PSEUDO]).ask("udp", CLIENT, "203.0.113.99:53")

    assert "TO_KERNEL" == told.verdict
    assert [] == [one for one in told.stages if one.stage == "pseudo"]
    assert text(told, "service").endswith("the kernel has it")


def test_a_pseudo_interface_that_is_gone(switch):
    """
    And what shows it.
    """
    told = Told(switch, {}, pseudo=[PSEUDO])
    switch.shut(PROGRAM)
    one = told.ask("udp", CLIENT, HERE)

    assert ("DROP_NOT_ATTACHED", "lbctl pseudo show lb0") == (one.verdict, one.next)


@pytest.mark.parametrize("nic", ["lb0", "lb0-s", None])
def test_from_a_pseudo_interface(switch, nic):
    """
    By its name, by that of the switch's end, or for it has the sender's address.
    """
    told = Told(switch, {}, pseudo=[PSEUDO])
    nowhere = told.ask("udp", HERE, CLIENT, nic=nic)
    switch.route("0.0.0.0/0", frames.ROUTER)
    there = told.ask("udp", HERE, CLIENT, nic=nic)

    assert ("lb0", "lb0") == (nowhere.in_nic, nowhere.pseudo)
    assert ("DROP_NO_ROUTE", "ip route get 198.51.100.7") == (nowhere.verdict, nowhere.next)
    start = "from a program on the switch, by pseudo interface lb0"
    assert f"{start}, but no route leads to 198.51.100.7" == text(nowhere, "pseudo")
    assert ("FROM_PSEUDO", "outside") == (there.verdict, there.out_nic)
    way = f"the next hop to 198.51.100.7 is {frames.ROUTER} by outside"
    assert f"{start}: {way}" == text(there, "pseudo")
    assert text(there, "arrive").endswith("bytes come from a program, by pseudo interface lb0")


def test_too_big_for_a_program(switch):
    """
    How big the way is, and that the answer goes back there.
    """
    told = Told(switch, {}, pseudo=[PSEUDO])
    switch.route("2001:db8:c::/48", frames.ROUTER, mtu=1280)
    one = told.ask("udp", "[2001:db8::fe]:5000", "[2001:db8:c::7]:53", length=1400)

    assert ("TOO_BIG_REPLY", "REDIRECT", "lb0") == (one.verdict, one.action, one.out_nic)
    assert text(one, "pseudo").endswith(
        "1400 bytes are more than the way to 2001:db8:c::7 takes (MTU 1280)"
    )


def test_a_program_asks_a_vip(switch):
    """
    It is a client like any other.
    """
    told = Told(switch, {}, pseudo=[PSEUDO]).ask("tcp", HERE, VIP)

    assert ("TO_BACKEND_NEW", "lb0", "web") == (told.verdict, told.in_nic, told.pool)


@pytest.mark.parametrize(
    ("on_exit", "verdict", "end"),
    [
        ("reset", "DROP_APP_GONE", "its on_exit is reset, which only TCP has: it is dropped"),
        ("drop", "DROP_APP_GONE", "its on_exit is drop: it is dropped"),
        (
            "kernel",
            "TO_KERNEL",
            "its on_exit is kernel: the kernel has it, and whoever listens there",
        ),
    ],
)
def test_an_application_that_does_not_run(switch, on_exit, verdict, end):
    """
    What becomes of its packets, and what shows it.
    """
    told = Told(switch, {}, apps=app(on_exit=on_exit)).ask("udp", CLIENT, ROOM)

    assert (verdict, "voip", None) == (told.verdict, told.app, told.pool)
    assert "203.0.113.60:5060/udp is a VIP of application voip" == text(told, "service")
    assert f"application voip does not run; {end}" == text(told, "app")
    assert told.next == ("lbctl app show voip" if verdict.startswith("DROP") else None)


def test_tcp_for_an_application_that_does_not_run(switch):
    """
    It is answered by a reset; and the command is about the application.
    """
    told = Told(switch, {}, apps=app(vips=["203.0.113.60:80/tcp"]))
    one = told.ask("tcp", CLIENT, "203.0.113.60:80")

    assert ("RESET", "lbctl app show voip") == (one.verdict, one.next)
    assert text(one, "app").endswith("its on_exit is reset: it is answered by a reset")


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ({"pid": None}, "does not run"),
        ({"pid": 7, "hung": True}, "lets packets wait (it is taken for hung)"),
        (
            {"pid": 7, "ports": (PortState("inside", 2, zero_copy=False),)},
            "does not receive from outside, queue 0 (it does from inside queue 2)",
        ),
    ],
)
def test_why_an_application_does_not_get_a_packet(switch, state, why):
    """
    It ended, it hangs, or it is elsewhere.
    """
    told = Told(switch, {}, apps=app())
    known = AppState(**{"user": "root", "since": 0.0} | state)
    told.programs = SimpleNamespace(running={"voip": known}.get)

    assert f"application voip {why};" in text(told.ask("udp", CLIENT, ROOM), "app")


def test_an_application_that_runs(switch, loopback):
    """
    It gets the packet, which leaves by no NIC; the real program does the same.
    """
    del loopback
    told = Told(switch, {}, apps=app())
    number = switch.configuration.app_number(Vip.parse(VOIP["vips"][0]))
    with sockets.create([sockets.Place.of("lo")], 64) as made:
        table = switch.configuration.app_table
        table.put(number, OUTSIDE, 0, made.sockets[0].fileno())
        one = told.ask("udp", CLIENT, ROOM)
        foretold, ran = both(switch, frames.udp(CLIENT, ROOM))

    assert ("TO_APP", "REDIRECT", None, {}) == (one.verdict, one.action, one.out_nic, one.rewritten)
    assert "application voip receives from outside, queue 0: it gets the packet" == text(one, "app")
    assert "XDP_REDIRECT: into the buffers of application voip" == text(one, "finish")
    assert foretold == ran


def test_by_a_queue(switch, loopback):
    """
    An application may receive by some only; what the NIC does not have is no answer.
    """
    del loopback
    told = Told(switch, {}, apps=app())
    with IPRoute() as ip:
        many = {"num_rx_queues": 2, "num_tx_queues": 2}
        ip.link("add", ifname="two0", kind="veth", peer={"ifname": "two1"}, **many)
    told.dataplane.device = sockets.Place.of("two0").ifindex
    number = switch.configuration.app_number(Vip.parse(VOIP["vips"][0]))
    with sockets.create([sockets.Place.of("lo")], 64) as made:
        switch.configuration.app_table.put(number, OUTSIDE, 1, made.sockets[0].fileno())
        first, second = (told.ask("udp", CLIENT, ROOM, queue=queue) for queue in (0, 1))
        one = told.of(frames.udp(CLIENT, ROOM), queue=1)

    assert ("DROP_APP_GONE", "TO_APP", "TO_APP") == (first.verdict, second.verdict, one.verdict)
    assert "application voip receives from outside, queue 1: it gets the packet" == text(
        second, "app"
    )
    with pytest.raises(UsageError, match="that NIC has no queue 2"):
        told.ask("udp", CLIENT, ROOM, queue=2)


def test_what_is_foretold_of_programs(switch):
    """
    As the real program does it.
    """
    Told(switch, {}, apps=app(), pseudo=[PSEUDO])
    switch.route("0.0.0.0/0", frames.ROUTER, mtu=1400)
    way = {"way": frames.FROM_PROGRAM}
    for nic, frame in [
        (OUTSIDE, frames.udp(CLIENT, HERE)),
        (OUTSIDE, frames.udp(CLIENT, ROOM)),
        (OUTSIDE, frames.tcp(CLIENT, HERE)[:-1]),
        (PROGRAM, frames.udp(HERE, CLIENT, **way)),
        (PROGRAM, frames.udp(HERE, CLIENT, bytes(1500), ip={"flags": "DF"}, **way)),
        (PROGRAM, frames.tcp(HERE, frames.at_port(WEB4.vip, 81), **way)),
        (PROGRAM, frames.echo(HERE, WEB4.vip, **way)),
    ]:
        foretold, ran = both(switch, frame, nic)
        assert foretold == ran
