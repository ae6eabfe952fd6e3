"""Servers that come and go, refuse and are silent; and that several VIPs share."""

from __future__ import annotations

import time

import pytest

from lbctl.shared.abi import Verdict
from tests.packets.world import BOTH, CLIENT_ISN, DNS4, ISN, TCP, WEB4, establish, play, where
from tests.support.progrun import dropped, passed, sent

NEW = Verdict.TO_BACKEND_NEW


@BOTH
@pytest.mark.parametrize("fate", ["draining", "down", "removed"])
def test_a_server_on_its_way_out_keeps_its_connections(switch, talk, fate):
    """
    TCP connections stay where they are.  So does UDP while a server drains, and moves when it dies.
    """
    switch.publish(switch.service(talk.service, [talk.server, talk.second], slots=[0]))
    tcp = talk.protocol == "tcp"
    establish(switch, talk)
    servers = [talk.second] if fate == "removed" else [talk.second, f"{talk.server} {fate}"]
    switch.publish(switch.service(talk.service, servers, slots=[0]))
    ask = talk.asks("PA") if tcp else talk.asks()

    if tcp or fate == "draining":
        expected = sent(talk.asked("PA") if tcp else talk.asked())
        assert sent(talk.heard(), Verdict.TO_CLIENT) == switch.reply(talk.says())
    else:
        expected = sent(talk.asked(server=talk.second), NEW)
    assert expected == switch.run(ask)


@TCP
@pytest.mark.parametrize("before", [">S", ">S <SA", ">S <SA >A", ">S <SA >A >FA"])
@pytest.mark.parametrize("fate", ["draining", "down", "removed"])
def test_a_syn_leaves_a_server_that_takes_no_more(switch, talk, fate, before):
    """
    Whatever the entry was, a new connection must not go where new ones do not go.
    """
    switch.publish(switch.service(talk.service, [talk.server, talk.second], slots=[0]))
    play(switch, talk, before)
    servers = [talk.second] if fate == "removed" else [talk.second, f"{talk.server} {fate}"]
    switch.publish(switch.service(talk.service, servers, slots=[0]))
    moved = talk._replace(server=talk.second)

    assert sent(moved.asked("S"), NEW) == switch.run(moved.asks("S"))

    play(switch, moved, "<SA >A >PA <PA")
    late = talk.says("A")
    assert passed(late) == switch.reply(late)
    assert {talk.client: "established"} == switch.states()


def stuck(switch, ports):
    """Send a SYN twice from each port; return the ports whose second went to the same server."""
    asks = {port: WEB4.asks_from(port).asks("S") for port in ports}
    return [p for p, ask in asks.items() if switch.fast(ask).frame == switch.fast(ask).frame]


def test_a_retry_finds_another_server(switch):
    """
    A server that is silent costs the client time, never the connection: whoever the client is.
    """
    switch.publish(switch.service(WEB4.service, [WEB4.server, WEB4.second]))
    lost = stuck(switch, range(20000, 20200))
    assert len(lost) <= 50  # one in eight, with four picks
    for _ in range(4):
        if not lost:
            break
        next_tick(switch)
        lost = stuck(switch, lost)

    assert [] == lost
    assert 200 == len(switch.states())


def next_tick(switch):
    """Wait until the switching processors' clock has moved on, for about a second at most."""
    before, deadline = switch.clock.now(), time.monotonic() + 10
    while switch.clock.now() == before:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_retry_has_a_good_chance_of_finding_the_small_server(switch):
    """
    The silent one has nine slots of ten; every second brings another chance.
    """
    slots = [0] * 90 + [1] * 10
    switch.publish(switch.service(WEB4.service, [WEB4.server, WEB4.second], slots=slots))

    assert len(stuck(switch, range(20000, 20100))) <= 88


def test_counters_of_silent_and_refusing_servers(switch):
    """
    A retry is held against the server that was silent, a refusal against the one that refused.
    """
    switch.publish(switch.service(WEB4.service, [WEB4.server, WEB4.second]))
    talk = WEB4.asks_from(quick_port(switch, WEB4))
    switch.memory["traffic"].view("u1")[:] = 0
    silent, refusing = (where(switch.run(talk.asks("S"))) for _ in range(2))
    switch.forget()
    first = where(switch.run(talk.asks("S")))
    switch.reply(talk.says("RA", server=first))
    rows = switch.dataplane.counters.by_backend()
    counts = {
        str(record.address): (int(rows[index]["retries"]), int(rows[index]["resets"]))
        for index, record in switch.configuration.backends().items()
    }

    assert first == silent
    assert {silent: (1, 1), refusing: (0, 0)} == counts


def test_a_repeated_syn_stays_once_the_server_has_answered(switch):
    """
    Only the answer was lost.
    """
    switch.publish(switch.service(WEB4.service, [WEB4.server, WEB4.second]))
    talk = WEB4._replace(server=where(switch.run(WEB4.asks("S"))))
    play(switch, talk, "<SA")
    for _ in range(5):
        assert sent(talk.asked("S")) == switch.run(talk.asks("S"))


@pytest.mark.parametrize("slots", [[0, 1] * 4096, [0] * 65536 + [1]], ids=["turns", "one slot"])
def test_several_servers_are_several_however_they_are_dealt(switch, slots):
    """
    A refusal is withheld where another server might accept.
    """
    servers = [WEB4.server, WEB4.second]
    switch.publish(switch.service(WEB4.service, servers, slots=slots[:30_000] + slots[-1:]))
    refused = WEB4.says("RA", server=where(switch.run(WEB4.asks("S"))))

    assert dropped(Verdict.DROP_RESET_WITHHELD) == switch.reply(refused)


@TCP
def test_the_first_refusal_is_withheld(switch, talk):
    """
    The client's next SYN finds another server; if that refuses too, the client may know.
    """
    switch.publish(switch.service(talk.service, [talk.server, talk.second]))
    talk = talk.asks_from(quick_port(switch, talk))
    first = where(switch.run(talk.asks("S")))
    refusal = talk.says("RA", server=first, ack=CLIENT_ISN + 1)

    assert dropped(Verdict.DROP_RESET_WITHHELD) == switch.reply(refusal)

    second = where(switch.run(talk.asks("S")))
    assert first != second
    refusal = {"ack": CLIENT_ISN + 1, "flags": "RA"}
    assert sent(talk.heard(**refusal), Verdict.TO_CLIENT) == switch.reply(
        talk.says(server=second, **refusal)
    )


def test_only_one_refusal_is_withheld(switch):
    """
    A client that does not repeat its SYN hears the second reset.
    """
    switch.publish(switch.service(WEB4.service, [WEB4.server, WEB4.second]))
    server = where(switch.run(WEB4.asks("S")))
    refusal = WEB4.says("RA", server=server)

    assert Verdict.DROP_RESET_WITHHELD is switch.reply(refusal).verdict
    assert Verdict.TO_CLIENT is switch.reply(refusal).verdict


def test_a_reset_after_the_answer_is_not_withheld(switch):
    """
    The server was there; it has changed its mind.
    """
    switch.publish(switch.service(WEB4.service, [WEB4.server, WEB4.second]))
    talk = WEB4._replace(server=where(switch.run(WEB4.asks("S"))))
    play(switch, talk, "<SA <R")

    assert {talk.client: "closed"} == switch.states()


def quick_port(switch, talk):
    """Find a client port whose second SYN goes to the other server, and forget that it did."""
    for port in range(30000, 30064):
        ask = talk.asks_from(port).asks("S")
        if where(switch.run(ask)) != where(switch.run(ask)):
            switch.forget()
            return port
    pytest.fail("no client finds the second server")


@pytest.mark.parametrize("first", ["dsr", "nat"])
def test_one_server_by_nat_and_by_dsr(switch, first):
    """
    One client port talks to both VIPs: what the server says to the NAT VIP's client needs NAT.
    """
    direct = WEB4._replace(vip="203.0.113.20:8080")
    services = {"nat": (WEB4, {}), "dsr": (direct, {"forward": "dsr"})}
    switch.publish(
        *(switch.service(t.service, [WEB4.server], **how) for t, how in services.values())
    )
    order = ["dsr", "nat"] if first == "dsr" else ["nat", "dsr"]
    for kind in order:
        assert NEW is switch.run(services[kind][0].asks("S")).verdict

    assert sent(WEB4.heard("SA", seq=ISN), Verdict.TO_CLIENT) == switch.reply(
        WEB4.says("SA", seq=ISN)
    )


@BOTH
def test_two_vips_share_servers(switch, talk):
    """
    One client port, two VIPs: two servers, for one could not tell the connections apart.
    """
    servers = [talk.server, talk.second]
    switch.publish(*(switch.service(t.service, servers) for t in (talk, talk.at_vip(20))))
    unlucky = 0
    for port in range(20000, 20032):
        one, two = (t.asks_from(port) for t in (talk, talk.at_vip(20)))
        one = one._replace(server=where(switch.run(one.asks(*one.start))))
        ran = switch.run(two.asks(*two.start))
        if ran == dropped(Verdict.DROP_TUPLE_CLASH):  # the next second has other slots
            unlucky += 1
            continue
        two = two._replace(server=where(ran))
        assert one.server != two.server
        for t in (one, two):
            assert sent(t.heard(), Verdict.TO_CLIENT) == switch.reply(t.says())
    assert unlucky <= 16


def test_many_vips_share_servers(switch):
    """
    One UDP socket talks to five VIPs, and there are sixteen servers.
    """
    servers = [f"10.0.1.{n}:53" for n in range(10, 26)]
    talks = [DNS4.at_vip(last) for last in range(20, 25)]
    switch.publish(*(switch.service(talk.service, servers) for talk in talks))
    unlucky = 0
    for port in range(20000, 20020):
        crowd = [switch.run(talk.asks_from(port).asks()) for talk in talks]
        hosts = [where(ran) for ran in crowd if ran.verdict is NEW]
        assert len(set(hosts)) == len(hosts)
        unlucky += crowd.count(dropped(Verdict.DROP_TUPLE_CLASH))  # the next second has other slots
        assert crowd.count(dropped(Verdict.DROP_TUPLE_CLASH)) + len(hosts) == 5
    assert unlucky <= 15
