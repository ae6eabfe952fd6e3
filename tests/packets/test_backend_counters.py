"""What is counted of each server, for whoever watches it."""

from __future__ import annotations

import pytest

from lbctl.shared.abi import ConnectionState, Verdict
from tests.packets.test_servers import quick_port
from tests.packets.world import DNS4, DNS6, TCP, WEB4, Talk, flags_of, numbers_of, where
from tests.support.progrun import dropped

NAMES = ("connections", "answers", "resets", "retries")
# A conversation with the one server of a service, and what is counted of it, in that order.
ALONE = {
    "a SYN": (">S", (1, 0, 0, 0)),
    "silence": (">S >S", (1, 0, 0, 1)),
    "a lot of silence": (">S >S >S >S", (1, 0, 0, 3)),
    "an answer": (">S <SA", (1, 1, 0, 0)),
    "an answer, late": (">S >S <SA", (1, 1, 0, 1)),
    "an answer, twice": (">S <SA <SA", (1, 1, 0, 0)),
    "an answer that got lost": (">S <SA >S <SA >A", (1, 1, 0, 0)),
    "a connection": (">S <SA >A >PA <PA >FA <FA >A", (1, 1, 0, 0)),
    "two connections": (">S <SA >A >FA <FA >A >S <SA >A", (2, 2, 0, 0)),
    "a refusal": (">S <RA", (1, 0, 1, 0)),
    "a refusal without ACK": (">S <R", (1, 0, 1, 0)),
    "a refusal, twice": (">S <RA <RA", (1, 0, 1, 0)),
    "a refusal, and another": (">S <RA >S <RA", (2, 0, 2, 0)),
    "a refusal after silence": (">S >S <RA", (1, 0, 1, 1)),
    "an answer, taken back": (">S <SA <R", (1, 1, 0, 0)),
    "an abort": (">S <SA >A <R", (1, 1, 0, 0)),
    "an ACK instead of an answer": (">S <A", (1, 0, 0, 0)),
    "a SYN instead of an answer": (">S <S", (1, 0, 0, 0)),
    "the client gives up": (">S >R", (1, 0, 0, 0)),
    "a SYN of an open connection": (">S <SA >A >S", (1, 1, 0, 0)),
    "odd flags": (">S >SF >SA >A", (1, 0, 0, 0)),
}


def say(switch, talk, words):
    """Run a conversation, whatever becomes of its packets."""
    for word in words.split():
        told = {"flags": flags_of(word), **numbers_of(word)}
        frame, run = (talk.asks, switch.run) if word[0] == ">" else (talk.says, switch.reply)
        run(frame(**told))


def counted(switch, place):
    """The four counts of a server."""
    row = switch.counters()[place]
    return tuple(int(row[name]) for name in NAMES)


@TCP
@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("kind", ["one server", "a rule with one server"])
def test_of_the_only_server(switch, talk, name, kind):
    """
    Of the whole service, or of those who ask: every SYN after the first says that it is silent.
    """
    words, expected = ALONE[name]
    servers = [talk.server, talk.second]
    network = "2001:db8:c::/48" if "[" in talk.client else "198.51.100.0/24"
    rules = {f"clients {network}": [0, 0, 0]}
    if kind == "one server":
        service = switch.service(talk.service, servers[:1])
    else:
        service = switch.service(talk.service, servers, slots=[0, 1] * 9, rules=rules)
    switch.publish(service)
    say(switch, talk, words)

    assert expected == counted(switch, talk.server)


# The same of one that has nearly all slots of several: its first refusal is withheld, so that the
# client's SYN comes again.  Then it is no silence, and a new server is looked for in vain.
AMONG_MANY = {
    name: (words, counts) for name, (words, counts) in ALONE.items() if "refusal" not in name
} | {
    "a refusal": (">S <RA", (1, 0, 1, 0)),
    "a refusal, twice": (">S <RA <RA", (1, 0, 2, 0)),
    "a refusal, and another": (">S <RA >S <RA", (1, 0, 2, 0)),
    "a refusal, and an answer": (">S <RA >S <SA >A", (1, 1, 1, 0)),
    "a refusal, then silence": (">S <RA >S >S", (1, 0, 1, 1)),
    "a refusal after silence": (">S >S <RA", (1, 0, 1, 1)),
}


@TCP
@pytest.mark.parametrize("name", AMONG_MANY)
def test_of_one_server_of_many(switch, talk, name):
    """
    What a client says and hears before it finds another.
    """
    words, expected = AMONG_MANY[name]
    servers = [talk.server, talk.second]
    switch.publish(switch.service(talk.service, servers, slots=[0] * 30_000 + [1]))
    say(switch, talk, words)

    assert expected == counted(switch, talk.server)


def two(switch):
    """Have a service with two servers; returns a client whose second SYN finds the other."""
    switch.publish(switch.service(WEB4.service, [WEB4.server, WEB4.second]))
    talk = WEB4.asks_from(quick_port(switch, WEB4))
    switch.memory["traffic"].view("u1")[:] = 0
    return talk


def test_each_server_has_its_own(switch):
    """
    Silence is the first one's, the answer the second one's.
    """
    talk = two(switch)
    silent, other = (where(switch.run(talk.asks("S"))) for _ in range(2))
    say(switch, talk._replace(server=other), "<SA >A")

    assert (1, 0, 0, 1) == counted(switch, silent)
    assert (1, 1, 0, 0) == counted(switch, other)


def test_a_withheld_refusal_is_counted_once(switch):
    """
    The client's SYN comes again because nobody told it: that is not silence on top.
    """
    talk = two(switch)
    refusing = where(switch.run(talk.asks("S")))
    say(switch, talk._replace(server=refusing), "<RA")
    other = where(switch.run(talk.asks("S")))
    assert refusing != other
    say(switch, talk._replace(server=other), "<RA")

    assert (1, 0, 1, 0) == counted(switch, refusing) == counted(switch, other)


def test_silence_after_another_server_refused(switch):
    """
    Each is told apart, though one connection went through both.
    """
    talk = two(switch)
    refusing = where(switch.run(talk.asks("S")))
    say(switch, talk._replace(server=refusing), "<RA")
    silent = where(switch.run(talk.asks("S")))
    say(switch, talk, ">S")

    assert 1 == int(switch.counters()[silent]["retries"])
    assert 0 == int(switch.counters()[refusing]["retries"])


def test_direct_return(switch):
    """
    What the server says is not seen; that the client asks again is.
    """
    talk = Talk("198.51.100.7:40000", "203.0.113.10:80", "10.0.1.11:80", "10.0.1.12:80")
    servers = [talk.server, talk.second]
    switch.publish(switch.service(talk.service, servers, "dsr", slots=[0] * 64))
    say(switch, talk, ">S >S >A >S >PA")

    assert (1, 0, 0, 1) == counted(switch, talk.server)
    assert 5 == int(switch.counters()[talk.server]["packets_in"])


@pytest.mark.parametrize("talk", [DNS4, DNS6], ids=["IPv4", "IPv6"])
def test_udp(switch, talk):
    """
    Nothing but connections, packets and bytes.
    """
    switch.publish(switch.service(talk.service, [talk.server]))
    for _ in range(3):
        switch.run(talk.asks())
        switch.reply(talk.says())

    assert (1, 0, 0, 0) == counted(switch, talk.server)


def test_a_server_that_went_down_was_silent_too(switch):
    """
    Its clients ask again, and somebody else has the connection.
    """
    servers = [WEB4.server, WEB4.second]
    switch.publish(switch.service(WEB4.service, servers, slots=[0]))
    say(switch, WEB4, ">S")
    switch.publish(switch.service(WEB4.service, [f"{servers[0]} down", servers[1]], slots=[1]))
    say(switch, WEB4, ">S")

    assert (1, 0, 0, 1) == counted(switch, WEB4.server)
    assert (1, 0, 0, 0) == counted(switch, WEB4.second)


def test_an_answer_of_a_server_that_went(switch):
    """
    Late, but it is one.
    """
    servers = [WEB4.server, WEB4.second]
    switch.publish(switch.service(WEB4.service, servers, slots=[0]))
    say(switch, WEB4, ">S")
    switch.publish(switch.service(WEB4.service, servers[1:]))
    say(switch, WEB4, "<SA >A")

    assert (1, 1, 0, 0) == counted(switch, WEB4.server)


def test_a_reset_in_its_name(switch):
    """
    It is the switch that resets the connections of a server that is down.
    """
    for state in ("active", "down"):
        service = switch.service(WEB4.service, [f"{WEB4.server} {state}"], reset_down=True)
        switch.publish(service)
        say(switch, WEB4, ">S <SA >A" if state == "active" else ">A >PA >FA")

    assert (1, 1, 0, 0) == counted(switch, WEB4.server)
    assert 3 == switch.verdicts()[Verdict.RESET_DOWN]


def test_untracked(switch):
    """
    Without an entry nobody knows what the packet means.
    """
    switch.publish(switch.service(WEB4.service, [WEB4.server]))
    switch.fill(switch.key_of(WEB4.asks("S")), ConnectionState.ESTABLISHED)
    switch.memory["traffic"].view("u1")[:] = 0
    say(switch, WEB4, ">S >S <SA >A <RA")

    assert (0, 0, 0, 0) == counted(switch, WEB4.server)
    counters = switch.counters()[WEB4.server]
    assert (3, 0) == (int(counters["packets_in"]), int(counters["packets_out"]))  # no route back


def test_many_clients(switch):
    """
    The counts of a crowd are the sums of those of its members.
    """
    switch.publish(switch.service(WEB4.service, [WEB4.server]))
    expected = (0, 0, 0, 0)
    for port, (words, counts) in enumerate(ALONE.values(), start=2000):
        say(switch, WEB4.asks_from(port), words)
        expected = tuple(a + b for a, b in zip(expected, counts, strict=True))

    assert expected == counted(switch, WEB4.server)


@TCP
def test_a_syn_that_nobody_gets(switch, talk):
    """
    Nobody is left, nothing is counted of anybody.
    """
    switch.publish(switch.service(talk.service, [talk.server]))
    say(switch, talk, ">S")
    switch.publish(switch.service(talk.service, [f"{talk.server} down"]))

    assert dropped(Verdict.DROP_NO_BACKEND) == switch.run(talk.asks("S"))
    assert (1, 0, 0, 0) == counted(switch, talk.server)


def test_an_index_that_passes_from_one_server_to_another(switch):
    """
    In one and the same generation: the new one still begins at zero.
    """
    switch.publish(switch.service(WEB4.service, [WEB4.server]))
    say(switch, WEB4, ">S <RA >S <RA")
    switch.forget()
    other = switch.service(DNS4.service, [DNS4.server])
    switch.publish(other)
    before = switch.configuration.backends()
    switch.publish(other, switch.service(WEB4.service, [WEB4.second]))
    after = switch.configuration.backends()

    assert ({0}, WEB4.second) == (
        {i for i in before.keys() & after.keys() if before[i] != after[i]},
        str(after[0].address),
    )
    assert (0, 0, 0, 0) == counted(switch, WEB4.second)
