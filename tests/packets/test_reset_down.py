"""Connections of a server that died, in a pool that tells its clients."""

from __future__ import annotations

import pytest

from lbctl.model import Timeouts
from lbctl.shared.abi import Verdict
from tests.packets.world import (
    BOTH,
    CLIENT_ISN,
    ISN,
    TCP,
    WEB4,
    Talk,
    bare_reset,
    establish,
    play,
    reset,
)
from tests.support import frames
from tests.support.progrun import answered, dropped, sent

NEW = Verdict.TO_BACKEND_NEW
DOWN = Verdict.RESET_DOWN
# What the client says next, with 5 bytes of data, and the reset that it hears (RFC 9293, 3.10.7.1).
FROM, TO = CLIENT_ISN + 1, ISN + 1
SAYS = {
    "ACK": ("A", (FROM, TO), ("R", TO, 0)),
    "data": ("PA", (FROM, TO), ("R", TO, 0)),
    "FIN": ("FA", (FROM, TO), ("R", TO, 0)),
    "SYN and ACK": ("SA", (FROM, TO), ("R", TO, 0)),
    "no ACK": ("P", (FROM, 0), ("RA", 0, FROM + 5)),
    "FIN alone": ("F", (FROM, 0), ("RA", 0, FROM + 6)),
    "nothing": ("", (FROM, 0), ("RA", 0, FROM + 5)),
}


def fate(switch, talk, state="down", *, reset_down=True, **more):
    """Publish that the server is in a state; only the second one has slots."""
    servers = [talk.second] if state == "removed" else [talk.second, f"{talk.server} {state}"]
    more = {"slots": [0]} | more
    switch.publish(switch.service(talk.service, servers, reset_down=reset_down, **more))


def begin(switch, talk, words, **more):
    """Have a connection to the first server, at some point of its life."""
    service = switch.service(
        talk.service, [talk.server, talk.second], slots=[0], reset_down=True, **more
    )
    switch.publish(service)
    play(switch, talk, words)


def told(talk, flags="A", seq=FROM, ack=TO):
    """What a client hears that says this."""
    return answered(reset(talk.client, talk.vip, flags, seq, ack), DOWN)


@TCP
@pytest.mark.parametrize("name", SAYS)
@pytest.mark.parametrize("before", [">S <SA >A", ">S <SA >A >FA", ">S <SA >A <FA", ">S <SA"])
def test_what_the_client_hears(switch, talk, name, before):
    """
    A reset with the numbers that make it believe it, as often as it asks; the connection is over.
    """
    begin(switch, talk, before)
    fate(switch, talk)
    flags, (seq, ack), (answer, *numbers) = SAYS[name]
    frame = talk.asks(flags, b"hello", seq=seq, ack=ack)
    heard = answered(bare_reset(talk.client, talk.vip, answer, numbers), DOWN)
    for _ in range(3):
        assert heard == switch.run(frame)
        assert {talk.client: "closed"} == switch.states()


@TCP
@pytest.mark.parametrize("state", ["active", "draining", "removed"])
def test_servers_that_live_or_go_keep_theirs(switch, talk, state):
    """
    Whoever drains a server wants its connections to finish.
    """
    begin(switch, talk, ">S <SA >A")
    fate(switch, talk, state)

    play(switch, talk, ">A <A >PA <PA >FA <FA >A")


@TCP
@pytest.mark.parametrize("removed", [False, True], ids=["kept", "VIP removed"])
def test_a_pool_that_keeps_them(switch, talk, removed):
    """
    Connections wait for their server where nobody asked for resets; so do those of a removed VIP.
    """
    begin(switch, talk, ">S <SA >A")
    if removed:
        fate(switch, talk)
        switch.publish(switch.service(talk.at_vip(20).service, []))
    else:
        fate(switch, talk, reset_down=False)

    play(switch, talk, ">PA <PA")


@TCP
def test_a_pool_that_changes_its_mind(switch, talk):
    """
    It holds for connections that were there before.
    """
    begin(switch, talk, ">S <SA >A")
    fate(switch, talk, reset_down=False)
    play(switch, talk, ">A")
    fate(switch, talk)

    assert told(talk) == switch.run(talk.asks("A", seq=FROM, ack=TO))


@TCP
@pytest.mark.parametrize("before", [">S", ">S <SA", ">S <SA >A", ">S <SA >A >FA", ">S <SA >A <R"])
def test_a_syn_starts_over(switch, talk, before):
    """
    At another server, whether or not the client was told.
    """
    for tell in (False, True):
        begin(switch, talk, before)
        fate(switch, talk)
        moved = talk._replace(server=talk.second)
        if tell:
            assert told(talk) == switch.run(talk.asks("A", seq=FROM, ack=TO))

        assert sent(moved.asked("S"), NEW) == switch.run(moved.asks("S"))
        play(switch, moved, "<SA >A >PA <PA")
        switch.forget()


@TCP
def test_a_syn_when_nobody_is_left(switch, talk):
    """
    Its verdict is that of a new connection.
    """
    begin(switch, talk, ">S <SA >A")
    switch.publish(switch.service(talk.service, [f"{talk.server} down"], reset_down=True))

    assert dropped(Verdict.DROP_NO_BACKEND) == switch.run(talk.asks("S"))
    assert told(talk) == switch.run(talk.asks("A", seq=FROM, ack=TO))


@TCP
@pytest.mark.parametrize("flags", ["R", "RA"])
def test_a_reset_is_not_answered(switch, talk, flags):
    """
    It goes on to its server, which may not be as dead as it was thought to be.
    """
    begin(switch, talk, ">S <SA >A")
    fate(switch, talk)

    assert sent(talk.asked(flags)) == switch.run(talk.asks(flags))
    assert {talk.client: "closed"} == switch.states()


@BOTH
def test_what_the_server_still_says(switch, talk):
    """
    It reaches the client: if that is gone, the client's own reset ends it at the server.
    """
    tcp = talk.protocol == "tcp"
    begin(switch, talk, ">S <SA >A" if tcp else ">")
    fate(switch, talk)
    if tcp:
        assert told(talk) == switch.run(talk.asks("A", seq=FROM, ack=TO))
    said = ("PA", b"late") if tcp else (b"late",)

    assert sent(talk.heard(*said), Verdict.TO_CLIENT) == switch.reply(talk.says(*said))
    if tcp:
        assert sent(talk.asked("R")) == switch.run(talk.asks("R"))
        assert {talk.client: "closed"} == switch.states()


@TCP
def test_a_server_that_comes_back(switch, talk):
    """
    The old connection is over; a new one from the same port is new.
    """
    begin(switch, talk, ">S <SA >A")
    fate(switch, talk)
    assert told(talk) == switch.run(talk.asks("A", seq=FROM, ack=TO))
    fate(switch, talk, "active", slots=[1])
    assert {talk.client: "closed"} == switch.states()

    assert sent(talk.asked("S"), NEW) == switch.run(talk.asks("S"))
    play(switch, talk, "<SA >A >PA <PA")


@TCP
@pytest.mark.parametrize("unknown", ["reset", "drop", "hash"])
def test_all_that_is_under_way_is_answered_alike(switch, talk, unknown):
    """
    However long the connection had been silent: it stays known, or the rest would be strangers.
    """
    begin(switch, talk, ">S <SA >A")
    fate(switch, talk, unknown=unknown)
    switch.age(600)  # longer than a closed connection is remembered
    for number in range(3):
        seq = FROM + 100 * number
        assert told(talk, "PA", seq) == switch.run(talk.asks("PA", bytes(100), seq=seq, ack=TO))


@TCP
def test_it_is_forgotten_as_closed_ones_are(switch, talk):
    """
    Its time is that of a closed connection, from the last packet on.
    """
    begin(switch, talk, ">S <SA >A")
    switch.publish(
        switch.service(
            talk.service, [f"{talk.server} down"], reset_down=True, unknown="drop", slots=[]
        ),
        timeouts=Timeouts(closed=20),
    )
    for age, expected in ((15, DOWN), (15, DOWN), (40, Verdict.DROP_NO_BACKEND)):
        switch.age(age)
        assert expected is switch.run(talk.asks("A", seq=FROM, ack=TO)).verdict


def test_udp_moves(switch):
    """
    There is nothing to reset; what it does when a server dies is the same as ever.
    """
    talk = Talk(
        *("198.51.100.7:40000", "203.0.113.10:53", "10.0.1.11:53", "10.0.1.12:53"),
        *(frames.udp, "udp"),
    )
    begin(switch, talk, "> <")
    fate(switch, talk)

    assert sent(talk.asked(server=talk.second), NEW) == switch.run(talk.asks())


def test_direct_return(switch):
    """
    The reset comes from the VIP, as the server's own would.
    """
    talk = Talk("198.51.100.7:40000", "203.0.113.10:80", "10.0.1.11:80", "10.0.1.12:80")
    for state in ("active", "down"):
        servers = [talk.second, f"{talk.server} {state}"]
        slots = [1] if state == "active" else [0]
        switch.publish(switch.service(talk.service, servers, "dsr", slots=slots, reset_down=True))
        if state == "active":
            for flags in ("S", "A"):
                switch.run(talk.asks(flags))

    assert told(talk) == switch.run(talk.asks("A", seq=FROM, ack=TO))


@pytest.mark.parametrize("port", [80, 443])
def test_a_vip_with_any_port(switch, port):
    """
    The reset comes from the port that was asked.
    """
    talk = Talk("198.51.100.7:40000", f"203.0.113.10:{port}", f"10.0.1.11:{port}")
    for state in ("active", "down"):
        service = switch.service("203.0.113.10:*/tcp", [f"10.0.1.11 {state}"], reset_down=True)
        switch.publish(service)
        if state == "active":
            establish(switch, talk)

    assert told(talk) == switch.run(talk.asks("A", seq=FROM, ack=TO))


def test_the_others_of_the_client_go_on(switch):
    """
    Only the connections of the dead server are reset.
    """
    servers = [WEB4.server, WEB4.second]
    talks = [WEB4.asks_from(port) for port in range(30000, 30020)]
    switch.publish(switch.service(WEB4.service, servers, reset_down=True))
    homes = [frames.destination(switch.fast(talk.asks("S")).frame) for talk in talks]
    talks = [talk._replace(server=home) for talk, home in zip(talks, homes, strict=True)]
    for talk in talks:
        play(switch, talk, "<SA >A")
    fate(switch, WEB4)
    seen = {talk.server: switch.run(talk.asks("A", seq=FROM, ack=TO)).verdict for talk in talks}

    assert {WEB4.server: DOWN, WEB4.second: Verdict.TO_BACKEND} == seen


def test_room_is_made_of_them(switch):
    """
    A connection that was told is over: new ones may have its place.
    """
    begin(switch, WEB4, ">S <SA >A")
    fate(switch, WEB4)
    switch.run(WEB4.asks("A", seq=FROM, ack=TO))
    (mine,) = switch.entries[switch.entries["key"] > 1]

    assert 4 == mine["state"] & 7
