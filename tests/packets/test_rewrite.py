"""Stage rewrite: whole frames in and out, with scapy's checksums."""

from __future__ import annotations

import pytest

from lbctl.shared.abi import Verdict
from tests.packets.world import BOTH, DNS4, DNS6, TCP, WEB4, WEB6, Talk
from tests.support import frames
from tests.support.progrun import INSIDE, OUTSIDE, answered, dropped, sent

NEW = Verdict.TO_BACKEND_NEW
REPLY = Verdict.TO_CLIENT
PAYLOADS = [b"", b"\0", b"\xff", b"odd", b"\xff" * 17, bytes(range(256)) * 5, bytes(1400)]


@pytest.fixture
def serve(switch):
    """
    Publish one service for a talk: one server.
    """

    def publish(talk, **options):
        switch.publish(switch.service(talk.service, [talk.server], **options))
        return switch

    return publish


@BOTH
@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda p: f"{len(p)}B")
def test_nat_both_ways(serve, talk, payload):
    """
    Address, port, MACs, TTL and checksums change; nothing else does.
    """
    switch = serve(talk)
    start = ("S",) if talk.protocol == "tcp" else ()
    answer = ("SA",) if talk.protocol == "tcp" else ()

    assert sent(talk.asked(*start, payload=payload), NEW) == switch.run(
        talk.asks(*start, payload=payload)
    )
    assert sent(talk.heard(*answer, payload=payload), REPLY) == switch.reply(
        talk.says(*answer, payload=payload)
    )


@BOTH
@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda p: f"{len(p)}B")
def test_dsr_changes_macs_and_ttl_only(serve, talk, payload):
    """
    The server has the VIP as an address of its own, and answers the client itself.
    """
    switch = serve(talk._replace(server=f"{talk.server.rpartition(':')[0]}:80"), forward="dsr")
    start = ("S",) if talk.protocol == "tcp" else ()
    expected = talk.asks(*start, payload=payload, ttl=63, way=frames.to_server(talk.server))

    assert sent(expected, NEW) == switch.run(talk.asks(*start, payload=payload))


@TCP
def test_header_fields_that_are_none_of_our_business_stay(serve, talk):
    """
    ToS, identification and DF; flow label and class; TCP options, window and urgent pointer.
    """
    switch = serve(talk)
    ip = {"tos": 0xB9, "id": 0xBEEF, "flags": "DF"} if talk is WEB4 else {"tc": 0xB9, "fl": 0xABCDE}
    options = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 0)), ("NOP", None), ("WScale", 7)]
    fields = {"ip": ip, "options": options, "window": 1234, "urgptr": 7, "seq": 0xFFFFFFFF}

    assert sent(talk.asked("SEC", **fields), NEW) == switch.run(talk.asks("SEC", **fields))


def test_udp_without_a_checksum_gets_none(serve):
    """
    Over IPv4 the sender may leave it out: 0 stays 0, both ways.
    """
    switch = serve(DNS4)
    ask, say = {"payload": b"query", "chksum": 0}, {"payload": b"answer", "chksum": 0}

    assert sent(DNS4.asked(**ask), NEW) == switch.run(DNS4.asks(**ask))
    assert sent(DNS4.heard(**say), REPLY) == switch.reply(DNS4.says(**say))


@pytest.mark.parametrize("talk", [DNS4, DNS6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("direction", ["forward", "reply"])
def test_a_udp_checksum_that_comes_out_as_0_is_sent_as_ffff(serve, talk, direction):
    """
    0 would say that there is none (RFC 768).
    """
    switch, place = serve(talk), slice(40, 42) if talk is DNS4 else slice(60, 62)
    switch.run(talk.asks())
    go, come, before, after = {
        "forward": (switch.run, Verdict.TO_BACKEND, talk.asks, talk.asked),
        "reply": (switch.reply, REPLY, talk.says, talk.heard),
    }[direction]
    payload = after(payload=bytes(2))[place]  # a sum and its complement make 0
    expected = after(payload=payload)

    assert b"\xff\xff" == expected[place]
    assert sent(expected, come) == go(before(payload=payload))


@pytest.mark.parametrize("talk", [WEB4, DNS4], ids=["TCP", "UDP"])
def test_every_checksum_of_the_wire(serve, talk):
    """
    Some 100 values of a word run through the carries of all three checksums.
    """
    switch = serve(talk)
    start = ("S",) if talk.protocol == "tcp" else ()
    switch.run(talk.asks(*start))
    for value in range(0, 0x10000, 661):
        fields = {"payload": value.to_bytes(2), "ip": {"id": value}}

        assert talk.asked(*start, **fields) == switch.fast(talk.asks(*start, **fields)).frame


@TCP
@pytest.mark.parametrize(("ttl", "lives"), [(255, True), (2, True), (1, False), (0, False)])
def test_the_hop_limit(serve, talk, ttl, lives):
    """
    One less on the way out; who arrives with 1 or 0 goes nowhere.
    """
    switch = serve(talk)
    switch.run(talk.asks("S"))
    expected = sent(talk.asked("S", ttl=ttl)) if lives else dropped(Verdict.DROP_TTL_EXPIRED)

    assert expected == switch.run(talk.asks("S", ttl=ttl))
    expected = sent(talk.heard("SA", ttl=ttl), REPLY) if lives else expected
    assert expected == switch.reply(talk.says("SA", ttl=ttl))


@pytest.mark.parametrize("forward", ["nat", "dsr"])
@BOTH
def test_a_vip_with_any_port_keeps_ports(switch, talk, forward):
    """
    Server and client see the port that the client chose.
    """
    host = talk.server.rpartition(":")[0]
    vip = f"{talk.vip.rpartition(':')[0]}:*/{talk.protocol}"
    switch.publish(switch.service(vip, [host], forward=forward))
    start = ("S",) if talk.protocol == "tcp" else ()
    for port in (80, 8443, 65535):
        seen = talk._replace(vip=at_port(talk.vip, port), server=f"{host}:{port}")
        way = frames.to_server(talk.server)
        expected = seen.asked(*start) if forward == "nat" else seen.asks(*start, ttl=63, way=way)

        assert sent(expected, NEW) == switch.run(seen.asks(*start))
        if forward == "nat":
            assert sent(seen.heard(), REPLY) == switch.reply(seen.says())
    assert 3 == len(switch.connections.list())


def at_port(place, port):
    """The same host at another port."""
    return f"{place.rpartition(':')[0]}:{port}"


@BOTH
def test_one_armed(switch, talk):
    """
    Clients and servers behind one NIC: frames go back by the NIC they came in by.
    """
    switch.publish(switch.service(talk.service, [talk.server], nic=OUTSIDE))
    start = ("S",) if talk.protocol == "tcp" else ()
    way = frames.Way(frames.OUTSIDE_MAC, frames.server_mac(talk.server))
    there = talk.build(talk.client, talk.server, *start, way=way, ttl=63)

    assert answered(there, NEW) == switch.run(talk.asks(*start))

    back = talk.build(talk.server, talk.client, way=way.back())
    assert answered(talk.heard(), REPLY) == switch.run(back)


@pytest.mark.parametrize(
    ("features", "talk"),
    [(("nat",), WEB4), (("dsr",), WEB4), (("nat", "ipv6"), WEB6)],
    ids=["NAT-IPv4", "DSR-IPv4", "NAT-IPv6"],
)
def test_a_program_made_for_less_does_the_same(machines, features, talk):
    """
    What is compiled in depends on the configuration; what becomes of a packet does not.
    """
    switch = machines(features)
    switch.reset()
    forward = features[0]
    switch.publish(switch.service(talk.service, [talk.server], forward=forward))
    expected = talk.asked("S") if forward == "nat" else talk.asks("S", ttl=63, way=to(talk))

    assert sent(expected, NEW) == switch.run(talk.asks("S", way=frames.FROM_CLIENT))
    if forward == "nat":
        assert sent(talk.heard("SA"), REPLY) == switch.reply(talk.says("SA"))
    if features == ("nat",):
        six = Talk(WEB6.client, WEB6.vip, WEB6.server).asks("S")
        assert six == switch.fast(six).frame


def to(talk):
    """The hop to the server."""
    return frames.to_server(talk.server)


def test_nat_leaves_padding_alone(serve):
    """
    A short frame was padded by its sender's NIC; the padding is no payload.
    """
    switch = serve(WEB4)
    padding = b"\xee" * 6

    assert sent(WEB4.asked("S") + padding, NEW) == switch.run(WEB4.asks("S") + padding)
    assert INSIDE == switch.dataplane.routing.next_hop(1).nic
