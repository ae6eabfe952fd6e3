"""Stage connection: what a TCP or UDP connection is, how long, and for whom."""

from __future__ import annotations

import pytest

from lbctl.model import Timeouts
from lbctl.shared.abi import Verdict
from tests.packets.world import BOTH, DNS4, ISN, TCP, WEB4, Talk, establish, play
from tests.support import frames
from tests.support.progrun import passed

NEW = Verdict.TO_BACKEND_NEW

TIMEOUTS = Timeouts(half_open=20, established=1000, closing=300, closed=50, udp=100)

LIVES = {
    "the first packet": (">S", "half_open"),
    "the server answers": (">S <SA", "half_open"),
    "the client agrees": (">S <SA >A", "established"),
    "the client agrees with its first data": (">S <SA >PA", "established"),
    "the client agrees and has nothing to say": (">S <SA >FA", "closing"),
    "the ACK names a number that nobody chose": (">S <SA >A!", "half_open"),
    "data with a wrong number": (">S <SA >PA!", "half_open"),
    "an ACK before the server has answered": (">S >A", "half_open"),
    "the right number after a wrong one": (">S <SA >A! >A", "established"),
    "the server's answer was lost and repeated": (">S <SA >S <SA >A", "established"),
    "data": (">S <SA >A >PA <A <PA >A", "established"),
    "the client finishes": (">S <SA >A >FA", "closing"),
    "the server finishes": (">S <SA >A <FA", "closing"),
    "the server has more to say": (">S <SA >A >FA <PA >A <PA", "closing"),
    "both finish, the client first": (">S <SA >A >FA <FA >A", "closed"),
    "both finish, the server first": (">S <SA >A <FA >FA <A", "closed"),
    "the same side finishes twice": (">S <SA >A >FA >FA", "closing"),
    "the client resets": (">S <SA >A >R", "closed"),
    "the server resets": (">S <SA >A <R", "closed"),
    "the client resets what it has finished": (">S <SA >A >FA >R", "closed"),
    "somebody else reset in the client's name": (">S <SA >A >R >PA", "established"),
    "somebody else reset in the server's name": (">S <SA >A <R <PA", "established"),
    "the client resets, the server's data were under way": (">S <SA >A >R <PA", "closed"),
    "the server resets, the client's data were under way": (">S <SA >A <R >PA", "closed"),
    "both reset": (">S <SA >A >R <R >PA", "closed"),
    "the only server refuses": (">S <RA", "closed"),
    "the only server refuses, then accepts": (">S <RA >S <SA >A", "established"),
    "the port is used again after the end": (">S <SA >A >FA <FA >A >S", "half_open"),
    "the port is used again after half the end": (">S <SA >A >FA >S", "half_open"),
    "the port is used again after a reset": (">S <SA >A >R >S <SA >A", "established"),
    "a SYN in the middle is no new connection": (">S <SA >A >S", "established"),
    "a FIN that proves nothing": (">S >FA!", "half_open"),
    "a FIN with a wrong number": (">S <SA >FA!", "half_open"),
}


@TCP
@pytest.mark.parametrize("script", LIVES)
def test_tcp_states(switch, talk, script):
    """
    > is the client, < the server, ! a wrong acknowledgement number.  Every frame arrives.
    """
    switch.publish(switch.service(talk.service, [talk.server]))
    words, state = LIVES[script]

    play(switch, talk, words)

    assert {talk.client: state} == switch.states()


@pytest.mark.parametrize(
    ("words", "state"),
    [
        (">S", "half_open"),
        (">S >A", "established"),
        (">S >A >FA", "closing"),
        (">S >A >R", "closed"),
        (">S >A >R >PA", "established"),
    ],
)
def test_tcp_states_where_the_server_answers_directly(switch, words, state):
    """
    With DSR the switch hears the client only, and believes it.
    """
    switch.publish(switch.service(WEB4.service, ["10.0.1.11:80"], forward="dsr"))
    for word in words.split():
        assert WEB4.asks(word[1:], ttl=63, way=frames.to_server(WEB4.server)) == (
            switch.run(WEB4.asks(word[1:])).frame
        )

    assert {WEB4.client: state} == switch.states()


@pytest.mark.parametrize(
    ("state", "words", "probe"),
    [
        ("half_open", ">S", "S"),
        ("established", ">S <SA >A", "A"),
        ("closing", ">S <SA >A >FA", "A"),
        ("closed", ">S <SA >A >FA <FA", "A"),
        ("udp", ">", None),
    ],
)
def test_timeouts(switch, state, words, probe):
    """
    Each state has its own; any packet of either side begins it anew.
    """
    talk, seconds = DNS4 if state == "udp" else WEB4, getattr(TIMEOUTS, state)
    ask = talk.asks(*[probe] if probe else [])
    switch.publish(switch.service(talk.service, [talk.server]), timeouts=TIMEOUTS)
    play(switch, talk, words)
    for go in (lambda: switch.run(ask), lambda: switch.reply(talk.says())):
        switch.age(seconds - 3)
        assert {talk.client: state} == switch.states()
        assert go().verdict in {Verdict.TO_BACKEND, Verdict.TO_CLIENT}

    switch.age(seconds + 3)

    assert {} == switch.states()
    assert passed(talk.says()) == switch.reply(talk.says())
    unknown = Verdict.RESET if probe == "A" else NEW
    assert unknown is switch.run(ask).verdict


def test_an_entry_from_the_next_tick_is_not_old(switch):
    """
    The clock moved on while this processor waited, and another has used the connection since.
    """
    switch.publish(switch.service(WEB4.service, [WEB4.server]))
    establish(switch, WEB4)
    switch.age(-2)

    assert Verdict.TO_BACKEND is switch.run(WEB4.asks("A")).verdict
    assert [True] == [c.idle_seconds < 5 for c in switch.connections.list()]


@BOTH
def test_a_reply_of_no_connection_is_the_kernels(switch, talk):
    """
    What a server says of its own accord, and what it says to others than its clients.
    """
    switch.publish(switch.service(talk.service, [talk.server]))
    establish(switch, talk)
    for stranger in (talk.asks_from(40001), talk.asks_as(9)):
        assert passed(stranger.says()) == switch.reply(stranger.says())


def test_a_server_of_another_port_is_nobody(switch):
    """
    Only the address and port that the connection went to can answer it.
    """
    switch.publish(switch.service(WEB4.service, [WEB4.server]))
    play(switch, WEB4, ">S")
    for other in ("10.0.1.11:8081", "10.0.1.99:8080"):
        frame = WEB4.says("SA", server=other)

        assert passed(frame) == switch.reply(frame)


def test_a_client_of_tcp_is_not_that_of_udp(switch):
    """
    The same address and port, the same VIP, two protocols: two connections.
    """
    udp = Talk(WEB4.client, WEB4.vip, WEB4.server, "", frames.udp, "udp")
    switch.publish(*(switch.service(t.service, [t.server]) for t in (WEB4, udp)))
    play(switch, WEB4, ">S <SA >A")
    play(switch, udp, "> <")

    assert ["tcp", "udp"] == sorted(c.protocol for c in switch.connections.list())


@TCP
@pytest.mark.parametrize("words", [">S >R >A", ">S >RA! >A!", ">S <SA >R >A!", ">S <SA >RA! >PA!"])
def test_a_reset_proves_nothing(switch, talk, words):
    """
    Whoever sends SYN, RST and ACK without listening has established nothing.
    """
    switch.publish(switch.service(talk.service, [talk.server]))
    play(switch, talk, words)

    assert switch.states()[talk.client] in ("half_open", "closed")


@pytest.mark.parametrize(
    ("isn", "ack", "state"),
    [
        (ISN, ISN, "half_open"),
        (ISN, ISN - 1, "half_open"),
        (ISN, ISN + 1, "established"),
        (ISN, ISN + 1460, "established"),
        (ISN, ISN + (1 << 21), "half_open"),
        (0xFFFFFFFF, 0, "established"),
        (0, 1, "established"),
        (0, 0, "half_open"),
    ],
)
def test_which_numbers_prove_that_the_client_heard_the_server(switch, isn, ack, state):
    """
    The server's first number and one, or a little more when it has sent data at once.
    """
    switch.publish(switch.service(WEB4.service, [WEB4.server]))
    switch.run(WEB4.asks("S"))
    switch.reply(WEB4.says("SA", seq=isn))
    switch.run(WEB4.asks("A", ack=ack))

    assert {WEB4.client: state} == switch.states()


def test_an_old_timeout_is_over(switch):
    """
    A longer timeout does not wake the dead, whose server's index may have gone to another.
    """
    short, long = Timeouts(established=60), Timeouts(established=3600)
    switch.publish(switch.service(WEB4.service, [WEB4.server]), timeouts=short)
    establish(switch, WEB4)
    switch.age(100)
    for _ in range(2):
        switch.publish(switch.service(WEB4.service, []), timeouts=short)

    switch.publish(switch.service(WEB4.service, [WEB4.second]), timeouts=long)

    assert Verdict.RESET is switch.run(WEB4.asks("A")).verdict
