"""Stage app: what is for a network application goes into its buffers, if it runs."""

from __future__ import annotations

import struct
from contextlib import contextmanager

import pytest
from pyroute2 import IPRoute

from lbctl.model import OnExit, Vip
from lbctl.netif import sockets
from lbctl.shared import abi, syscall
from lbctl.shared.abi import Verdict
from lbctl.shared.programs import AppService, Programs
from tests.packets.world import BOTH, DNS4, DNS6, TCP, WEB4, WEB6, reset
from tests.support import frames
from tests.support.progrun import (
    INSIDE,
    LOOPBACK,
    OUTSIDE,
    PROGRAM,
    answered,
    dropped,
    passed,
    sent,
)

TO, GONE = Verdict.TO_APP, Verdict.DROP_APP_GONE
QUEUES = abi.APP_QUEUES + 2


@pytest.fixture(scope="module")
def home(loopback):
    """
    A namespace with a NIC of many queues beside the loopback.
    """
    with IPRoute() as ip:
        many = {"num_rx_queues": QUEUES, "num_tx_queues": QUEUES}
        ip.link("add", ifname="many0", kind="veth", peer={"ifname": "many1"}, **many)
    return loopback


@pytest.fixture
def buffers(home):
    """
    The AF_XDP socket of an application that runs, bound: its descriptor.
    """
    del home
    with running() as descriptor:
        yield descriptor


@contextmanager
def running():
    """Make an AF_XDP socket for a while."""
    with sockets.create([sockets.Place.of("lo")], 64) as made:
        yield made.sockets[0].fileno()


def app(*talks, on_exit="reset"):
    """Make an application that has the VIPs of these talks."""
    return AppService(tuple(Vip.parse(talk.service) for talk in talks), OnExit(on_exit))


def publish(switch, *apps, services=(), **pseudo):
    """Publish these applications; returns the numbers that they have."""
    switch.publish(*services, programs=Programs(apps, **pseudo))
    return [switch.configuration.app_number(one.vips[0]) for one in apps]


@BOTH
def test_an_application_that_runs(switch, buffers, talk):
    """
    It gets its packets as they came, those of its NIC and queue; nothing is kept of them.
    """
    (number,) = publish(switch, app(talk))
    switch.configuration.app_table.put(number, OUTSIDE, 0, buffers)
    for frame in (
        talk.asks(*talk.start, ttl=1),
        talk.asks(payload=b"x" * 9),
        talk.asks() + b"padding",
    ):
        assert sent(frame, TO) == switch.run(frame)

    assert TO is not switch.run(talk.asks(*talk.start), INSIDE).verdict
    assert {} == switch.states()


@BOTH
@pytest.mark.parametrize("on_exit", OnExit)
def test_an_application_that_does_not_run(switch, talk, on_exit):
    """
    What becomes of its packets is its administrator's choice; UDP cannot be reset.
    """
    publish(switch, app(talk, on_exit=on_exit))
    frame = talk.asks(*talk.start, seq=7) if talk.protocol == "tcp" else talk.asks()
    expected = dropped(GONE)
    if on_exit is OnExit.KERNEL:
        expected = passed(frame)
    elif on_exit is OnExit.RESET and talk.protocol == "tcp":
        expected = answered(reset(talk.client, talk.vip, "S", 7, 0), Verdict.RESET)

    assert expected == switch.run(frame)


@TCP
def test_a_reset_for_an_application_that_does_not_run(switch, talk):
    """
    It is not answered by another.
    """
    publish(switch, app(talk))

    assert dropped(Verdict.DROP_UNANSWERABLE) == switch.run(talk.asks("R"))


def test_an_application_that_ends(switch, home):
    """
    The kernel takes its sockets away, whoever put them there.
    """
    del home
    (number,) = publish(switch, app(DNS4, on_exit="drop"))
    with running() as descriptor:
        switch.configuration.app_table.put(number, OUTSIDE, 0, descriptor)
        assert TO is switch.run(DNS4.asks()).verdict

    assert GONE is switch.run(DNS4.asks()).verdict


def test_an_application_that_hangs(switch, buffers):
    """
    Its packets can be led elsewhere while its socket is there.
    """
    (number,) = publish(switch, app(DNS4, on_exit="drop"))
    table = switch.configuration.app_table
    table.put(number, OUTSIDE, 0, buffers)
    table.remove(number, OUTSIDE, 0)
    table.remove(number, OUTSIDE, 0)

    assert dropped(GONE) == switch.run(DNS4.asks())


@pytest.mark.parametrize("talk", [WEB4, WEB6, DNS6], ids=["TCP-IPv4", "TCP-IPv6", "UDP-IPv6"])
def test_an_application_with_any_port(switch, buffers, talk):
    """
    All ports of its address and protocol, but for those that a pool has.
    """
    host = frames.split(talk.vip)[0]
    every = talk._replace(vip=frames.place(host, "*"))
    (number,) = publish(switch, app(every), services=[switch.service(talk.service, [talk.server])])
    switch.configuration.app_table.put(number, OUTSIDE, 0, buffers)

    for port in (1, 79, 65535):
        frame = talk._replace(vip=frames.place(host, port)).asks(*talk.start)
        assert sent(frame, TO) == switch.run(frame)
    assert Verdict.TO_BACKEND_NEW is switch.run(talk.asks(*talk.start)).verdict


def test_what_else_is_for_its_address(switch, buffers):
    """
    Pings and other ports are answered as those of any VIP, whatever cannot be told has no way.
    """
    (number,) = publish(switch, app(DNS4))
    switch.configuration.app_table.put(number, OUTSIDE, 0, buffers)
    fragment = DNS4.asks(ip={"flags": "MF"})
    want = {
        frames.echo(DNS4.client, DNS4.vip): Verdict.ECHO_REPLY,
        WEB4._replace(vip=DNS4.vip).asks("S"): Verdict.RESET,
        DNS4._replace(vip=frames.at_port(DNS4.vip, 54)).asks(): Verdict.DROP_NO_SERVICE,
        fragment: Verdict.DROP_FRAGMENT,
        DNS4.asks(b"x" * 30)[:-1]: Verdict.DROP_MALFORMED,
    }

    for frame, verdict in want.items():
        assert verdict is switch.run(frame).verdict


def test_its_packets_are_counted(switch, buffers):
    """
    By the VIP, and by what became of them.
    """
    (number,) = publish(switch, app(DNS4, WEB4))
    switch.configuration.app_table.put(number, OUTSIDE, 0, buffers)
    for _ in range(3):
        switch.run(DNS4.asks())
    switch.configuration.app_table.clear(number)
    switch.run(DNS4.asks())
    switch.run(WEB4.asks("S"))

    rows, _ = switch.dataplane.counters.reasons()
    found = [rows[switch.configuration.service_index(Vip.parse(t.service))] for t in (DNS4, WEB4)]
    counts = [{Verdict(v): int(n) for v, n in enumerate(row) if n} for row in found]
    assert [{TO: 3, GONE: 1}, {Verdict.RESET: 1}] == counts


def test_every_queue_that_an_application_can_have(switch, buffers):
    """
    The last has a place; those behind it would be in another NIC's, so they have none.
    """
    (number,) = publish(switch, app(DNS4, on_exit="drop"))
    table, last = switch.configuration.app_table, abi.APP_QUEUES - 1
    table.put(number, OUTSIDE, last, buffers)
    for queue in range(2):
        table.put(number, OUTSIDE + 1, queue, buffers)

    found = [by_queue(switch, DNS4.asks(), queue) for queue in (0, last, last + 1, last + 2)]

    assert [syscall.DROP, syscall.REDIRECT, syscall.DROP, syscall.DROP] == found


def by_queue(switch, frame, queue):
    """Run a frame that comes in by a queue of the NIC with many; tells XDP's action."""
    switch.now_in(OUTSIDE)
    many = sockets.Place.of("many0").ifindex
    switch.memory["nics"][many] = switch.memory["nics"][LOOPBACK]
    context = struct.pack("=6I", 0, len(frame), 0, many, queue, 0)
    return syscall.test_run(switch.program, frame, context=context).action


def test_two_applications(switch, buffers):
    """
    Each has its own numbers and its own sockets.
    """
    numbers = publish(switch, app(DNS4, on_exit="drop"), app(WEB4, WEB6, on_exit="drop"))
    switch.configuration.app_table.put(numbers[1], OUTSIDE, 0, buffers)

    found = [switch.run(talk.asks(*talk.start)).verdict for talk in (DNS4, WEB4, WEB6)]

    assert [GONE, TO, TO] == found


def test_its_number_lasts(switch, buffers):
    """
    Whatever is published, and whoever publishes: its sockets stay in their places.
    """
    first, second = app(WEB4, on_exit="drop"), app(DNS4, DNS6, on_exit="drop")
    _, number = publish(switch, first, second)
    switch.configuration.app_table.put(number, OUTSIDE, 0, buffers)

    (alone,) = publish(
        switch, app(DNS6, on_exit="drop")
    )  # it has lost a VIP, and the other is gone
    switch.reopen()
    after = publish(switch, first, app(DNS6, DNS4, on_exit="drop"))

    assert (number, [0, number]) == (alone, after)
    assert sent(DNS4.asks(), TO) == switch.run(DNS4.asks())
    assert GONE is switch.run(WEB4.asks("S")).verdict


def test_a_number_that_is_free_again(switch, buffers):
    """
    Whoever gets it does not get the sockets of who had it.
    """
    (number,) = publish(switch, app(DNS4))
    switch.configuration.app_table.put(number, OUTSIDE, 0, buffers)
    publish(switch)
    assert passed(DNS4.asks()) == switch.run(DNS4.asks())

    assert [number] == publish(switch, app(DNS6, on_exit="drop"))
    assert GONE is switch.run(DNS6.asks()).verdict


@TCP
def test_an_application_at_the_address_of_a_pseudo_interface(switch, buffers, talk):
    """
    Its ports are its own, the others the pseudo interface's; and its own where it does not run.
    """
    host = frames.split(talk.vip)[0]
    (number,) = publish(switch, app(talk, on_exit="kernel"), pseudo=switch.pseudo(host))
    other = talk._replace(vip=frames.at_port(talk.vip, 81)).asks("S")

    assert Verdict.TO_PSEUDO is switch.run(talk.asks("S")).verdict
    switch.configuration.app_table.put(number, OUTSIDE, 0, buffers)
    assert sent(talk.asks("S"), TO) == switch.run(talk.asks("S"))
    assert Verdict.TO_PSEUDO is switch.run(other).verdict


@TCP
def test_a_program_asks_an_application(switch, buffers, talk):
    """
    By a pseudo interface an application receives nothing: the program is told.
    """
    (number,) = publish(switch, app(talk))
    switch.configuration.app_table.put(number, OUTSIDE, 0, buffers)

    ran = switch.run(talk.asks("S", way=frames.FROM_PROGRAM), PROGRAM)

    assert sent(ran.frame, Verdict.RESET) == ran
