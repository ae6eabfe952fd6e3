"""Rules: new connections from some clients, or to some port, have a run of slots of their own."""

from __future__ import annotations

import time

import pytest

from lbctl.shared import abi
from lbctl.shared.abi import Verdict
from tests.packets.world import (
    BOTH,
    CLIENT_ISN,
    TCP,
    Talk,
    establish,
    play,
    reset,
    where,
)
from tests.support import frames
from tests.support.progrun import answered, dropped, sent

NEW = Verdict.TO_BACKEND_NEW
# Clients are 198.51.100.7 or 2001:db8:c::7; `around` writes a prefix of theirs.
PREFIXES = {
    "all": ("0.0.0.0/0", "::/0"),
    "half": ("128.0.0.0/1", "::/1"),
    "net": ("198.51.100.0/24", "2001:db8:c::/48"),
    "odd": ("198.51.100.4/30", "2001:db8:c::4/126"),
    "one": ("198.51.100.7/32", "2001:db8:c::7/128"),
    "neighbor": ("198.51.100.6/32", "2001:db8:c::6/128"),
    "other net": ("198.51.0.0/18", "2001:db8:8::/46"),
}


def around(talk, name):
    """Write a rule for clients around that of a talk."""
    return f"clients {PREFIXES[name][talk.client.startswith('[')]}"


def first(talk, server=None):
    """What becomes of the first packet of a connection to a server."""
    moved = talk._replace(server=server or talk.server)
    return sent(moved.asked(*talk.start), NEW)


def own_or_rule(switch, talk, name):
    """Publish a rule that leads to the second server, while all others go to the first."""
    servers = [talk.server, talk.second]
    rules = {around(talk, name): [1]}
    switch.publish(switch.service(talk.service, servers, slots=[0], rules=rules))


@BOTH
@pytest.mark.parametrize(
    ("name", "matches"),
    [
        ("all", True),
        ("half", True),
        ("net", True),
        ("odd", True),
        ("one", True),
        ("neighbor", False),
        ("other net", False),
    ],
)
def test_who_is_meant(switch, talk, name, matches):
    """
    The clients of the prefix, down to one and up to all; nobody else.
    """
    own_or_rule(switch, talk, name)

    assert first(talk, talk.second if matches else None) == switch.run(talk.asks(*talk.start))


@BOTH
def test_the_edges_of_a_prefix(switch, talk):
    """
    4 to 7 are in 4/30 and 4/126, 3 and 8 are not.
    """
    own_or_rule(switch, talk, "odd")
    expected = {3: talk.server, 4: talk.second, 7: talk.second, 8: talk.server}

    assert expected == {
        last: where(switch.run(talk.asks_as(last).asks(*talk.start))) for last in expected
    }


@BOTH
def test_the_longest_prefix_wins(switch, talk):
    """
    In whatever order they are named.
    """
    servers = [frames.at_port(talk.server.replace("11", str(n)), 9) for n in range(11, 16)]
    names = ["net", "one", "all", "odd"]
    clients = {"net": 9, "one": 7, "odd": 6}
    for order in (names, names[::-1], sorted(names)):
        rules = {around(talk, name): [1 + names.index(name)] for name in order}
        switch.forget()
        switch.publish(switch.service(talk.service, servers, slots=[0], rules=rules))

        assert {name: servers[1 + names.index(name)] for name in clients} == {
            name: where(switch.run(talk.asks_as(last).asks(*talk.start)))
            for name, last in clients.items()
        }


@BOTH
def test_the_connection_stays_where_it_is(switch, talk):
    """
    Rules are for new connections; those that are there go on, in both directions.
    """
    servers = [talk.server, talk.second]
    switch.publish(switch.service(talk.service, servers, slots=[0]))
    establish(switch, talk)
    own_or_rule(switch, talk, "net")
    ask = ("PA",) if talk.protocol == "tcp" else ()

    assert sent(talk.asked(*ask)) == switch.run(talk.asks(*ask))
    assert sent(talk.heard(), Verdict.TO_CLIENT) == switch.reply(talk.says())
    later = talk.asks_from(40001)
    assert first(later, talk.second) == switch.run(later.asks(*talk.start))


@TCP
def test_a_whole_connection_by_a_rule(switch, talk):
    """
    The server of the rule answers as the VIP.
    """
    own_or_rule(switch, talk, "net")

    play(switch, talk._replace(server=talk.second), ">S <SA >A >PA <PA >FA <FA >A")


ANY = [
    (Talk("198.51.100.7:40000", "203.0.113.10:443", "10.0.1.11", "10.0.1.12"), "203.0.113.10:*"),
    (
        Talk(
            *("[2001:db8:c::7]:40000", "[2001:db8::10]:443"),
            *("[2001:db8:1::11]", "[2001:db8:1::12]"),
        ),
        "[2001:db8::10]:*",
    ),
]


@pytest.mark.parametrize(("talk", "vip"), ANY, ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("forward", ["nat", "dsr"])
def test_a_port_goes_before_any_port(switch, talk, vip, protocol, forward):
    """
    Even a rule for all clients of that port before one for a single client of any.
    """
    servers = [talk.server.replace("11", str(n)) for n in range(11, 16)]
    rules = {
        around(talk, "one"): [1],
        "port 443": [2],
        f"{around(talk, 'net')} port 443": [3],
        f"{around(talk, 'neighbor')} port 80": [4],
    }
    service = switch.service(f"{vip}/{protocol}", servers, forward, slots=[0], rules=rules)
    switch.publish(service)
    build = frames.tcp if protocol == "tcp" else frames.udp
    near = talk.asks_as(6)
    far = talk._replace(client=talk.client.replace("100.7", "99.7").replace("c::7", "d::7"))
    for one, port, server in [
        (talk, 443, 3),
        (talk, 80, 1),
        (near, 443, 3),
        (near, 80, 4),
        (talk.asks_as(9), 80, 0),
        (far, 443, 2),
        (far, 81, 0),
    ]:
        place = frames.at_port(one.vip, port)
        asker = one._replace(vip=place, build=build, protocol=protocol)
        target = frames.at_port(servers[server], port) if forward == "nat" else place
        out = build(
            asker.client, target, *asker.start, way=frames.to_server(servers[server]), ttl=63
        )

        assert sent(out, NEW) == switch.run(asker.asks(*asker.start)), (one.client, port)


def test_ports_of_one_client_are_told_apart(switch):
    """
    One client port, two ports of the VIP: two connections by two rules, and replies of both.
    """
    servers, rules = ["10.0.1.11", "10.0.1.12", "10.0.1.13"], {"port 80": [1], "port 81": [2]}
    vip = "203.0.113.10:*/tcp"
    switch.publish(switch.service(vip, servers, slots=[0], rules=rules))
    for port, server in ((80, "10.0.1.12:80"), (81, "10.0.1.13:81"), (82, "10.0.1.11:82")):
        play(switch, Talk("198.51.100.7:40000", f"203.0.113.10:{port}", server), ">S <SA >A >PA")


@BOTH
@pytest.mark.parametrize("mine", ["rule", "own"])
def test_a_run_without_slots(switch, talk, mine):
    """
    It has nobody, whoever else may serve: the others' servers could not serve its connections.
    """
    empty = mine == "rule"
    own, run = ([0], []) if empty else ([], [0])
    rules = {around(talk, "net" if empty else "other net"): run}
    switch.publish(switch.service(talk.service, [talk.server], slots=own, rules=rules))
    other = talk._replace(
        client="198.51.9.7:40000" if "." in talk.client else "[2001:db8:9::7]:40000"
    )

    assert dropped(Verdict.DROP_NO_BACKEND) == switch.run(talk.asks(*talk.start))
    assert {} == switch.states()
    assert first(other) == switch.run(other.asks(*talk.start))


@TCP
@pytest.mark.parametrize("slots", [[0], []], ids=["own slots", "no own slots"])
def test_of_no_connection(switch, talk, slots):
    """
    What starts no connection is not for the rules to judge, unless it goes by its hash.
    """
    ask = {"flags": "A", "seq": 5, "ack": 6}
    rules = {around(talk, "net"): [1]}
    for unknown in ("reset", "drop", "hash"):
        service = switch.service(
            talk.service, [talk.server, talk.second], unknown=unknown, slots=slots, rules=rules
        )
        switch.publish(service)
        expected = {
            "reset": answered(reset(talk.client, talk.vip, **ask), Verdict.RESET),
            "drop": dropped(Verdict.DROP_NO_CONNECTION),
            "hash": sent(talk.asked(server=talk.second, **ask), NEW),
        }[unknown]

        assert expected == switch.run(talk.asks(**ask))


@BOTH
def test_rules_are_those_of_one_service(switch, talk):
    """
    The same clients at another VIP go where that one says.
    """
    own_or_rule(switch, talk, "net")
    mine = switch.service(
        talk.service, [talk.server, talk.second], slots=[0], rules={around(talk, "net"): [1]}
    )
    other = talk.at_vip(20)._replace(server=talk.server.replace("11", "21"))
    third = talk.at_vip(30)._replace(server=talk.server.replace("11", "31"))
    rules = {around(talk, "neighbor"): []}
    switch.publish(
        mine,
        switch.service(other.service, [other.server]),
        switch.service(third.service, [third.server], rules=rules),
    )

    assert first(talk, talk.second) == switch.run(talk.asks(*talk.start))
    for one in (other, third):
        assert first(one) == switch.run(one.asks(*one.start))
    near = third.asks_as(6)
    assert dropped(Verdict.DROP_NO_BACKEND) == switch.run(near.asks(*near.start))


@BOTH
def test_a_full_table_goes_by_the_rule_too(switch, talk):
    """
    Untracked packets go by the slots, and those are the rule's.
    """
    own_or_rule(switch, talk, "net")
    switch.fill(switch.key_of(talk.asks(*talk.start)), abi.ConnectionState.ESTABLISHED)
    out = sent(talk.asked(*talk.start, server=talk.second), Verdict.TO_BACKEND_UNTRACKED)

    assert out == switch.run(talk.asks(*talk.start))


def test_long_runs_lie_beside_each_other(switch):
    """
    Each of many rules finds its own servers, wherever its run begins and however long it is.
    """
    servers = [f"10.0.1.{n}:80" for n in range(1, 33)]
    talk = Talk("198.51.100.7:40000", "203.0.113.10:80", "")
    rules = {f"clients 198.51.100.{n}/32": [n, n - 1] * (1 + 37 * n % 90) for n in range(1, 32)}
    switch.publish(switch.service(talk.service, servers, slots=[0] * 33, rules=rules))
    for n in range(1, 32):
        asks = [talk.asks_as(n).asks_from(port).asks("S") for port in range(2000, 2030)]
        assert {servers[n], servers[n - 1]} == {
            frames.destination(switch.fast(a).frame) for a in asks
        }


def next_tick(switch):
    """Wait until the switching processors' clock has moved on, for about a second at most."""
    before, deadline = switch.clock.now(), time.monotonic() + 10
    while switch.clock.now() == before:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@TCP
def test_a_retry_stays_within_the_run(switch, talk):
    """
    A silent server of a rule is followed by another of the same rule, never by anybody else.
    """
    servers = [frames.at_port(talk.server.replace("11", str(n)), 9) for n in range(11, 17)]
    rules = {around(talk, "net"): [1, 2, 3] * 11}
    switch.publish(switch.service(talk.service, servers, slots=[0, 4, 5], rules=rules))
    moved = 0
    for port in range(30000, 30032):
        ask = talk.asks_from(port).asks("S")
        seen = [frames.destination(switch.fast(ask).frame) for _ in range(4)]
        assert set(servers[1:4]) >= set(seen)
        moved += len(set(seen)) > 1
    assert moved >= 16  # each retry has several picks among three, so nearly all move


def lonely(switch, talk):
    """
    Publish a rule with one server in a service whose own slots have several.

    Without rules a refusal of such a server's would be kept back: see test_servers.
    """
    servers = [talk.server, talk.second, talk.second.replace("12", "13")]
    rules = {around(talk, "net"): [0]}
    switch.publish(switch.service(talk.service, servers, slots=[1, 2] * 16, rules=rules))


@TCP
def test_the_refusal_of_the_only_server_of_a_run(switch, talk):
    """
    There is nobody else whom the client's next SYN could find: it may know at once, each time.
    """
    lonely(switch, talk)
    refusal = {"flags": "RA", "ack": CLIENT_ISN + 1}
    for _ in range(3):
        play(switch, talk, ">S")
        assert sent(talk.heard(**refusal), Verdict.TO_CLIENT) == switch.reply(talk.says(**refusal))
        assert {talk.client: "closed"} == switch.states()


@TCP
def test_the_refusal_of_a_server_that_other_runs_have_too(switch, talk):
    """
    Whether somebody else may say yes depends on who asks.
    """
    servers, rules = [talk.server, talk.second], {around(talk, "one"): [0]}
    switch.publish(switch.service(talk.service, servers, slots=[0] * 31 + [1], rules=rules))
    other = talk.asks_as(8).asks_from(port_of(switch, talk.asks_as(8), talk.server))
    for one in (talk, other):
        play(switch, one, ">S")

    assert Verdict.TO_CLIENT is switch.reply(talk.says("RA")).verdict
    assert dropped(Verdict.DROP_RESET_WITHHELD) == switch.reply(other.says("RA"))


def port_of(switch, talk, server):
    """Find a client port whose first SYN goes to a server, and forget that it did."""
    for port in range(30000, 30064):
        if where(switch.run(talk.asks_from(port).asks("S"))) == server:
            switch.forget()
            return port
    pytest.fail(f"no client finds {server}")


@TCP
def test_the_silence_of_the_only_server_of_a_run(switch, talk):
    """
    The SYN goes there again: it is the connection that there is already, and counted as one.
    """
    lonely(switch, talk)
    ask = talk.asks("S")
    assert first(talk) == switch.run(ask)
    for _ in range(3):
        assert sent(talk.asked("S")) == switch.run(ask)
    row = switch.counters()[talk.server]

    assert (1, 3, 4) == (row["connections"], row["retries"], row["packets_in"])
    play(switch, talk, "<SA >A")


@TCP
def test_a_run_that_gets_a_second_server(switch, talk):
    """
    A client that is trying already finds it.
    """
    servers = [talk.server, talk.second]
    for run in ([0], [1]):
        rules = {around(talk, "net"): run}
        switch.publish(switch.service(talk.service, servers, slots=[0, 1], rules=rules))

        assert first(talk, servers[run[0]]) == switch.run(talk.asks("S"))
