"""Stage service: whose packet is this?  And the directory that knows."""

from __future__ import annotations

import sys
from ipaddress import ip_address

import pytest

from lbctl.errors import LbctlError
from lbctl.shared import directory
from lbctl.shared.abi import Verdict
from tests.packets.world import BOTH, DNS4, TCP, WEB4, WEB6, Talk, establish, where
from tests.support import frames
from tests.support.progrun import answered, dropped, passed, sent

NEW = Verdict.TO_BACKEND_NEW


@BOTH
def test_addresses_that_nobody_serves(switch, talk):
    """
    Untouched, byte for byte; to a server's own address as well.
    """
    switch.publish(switch.service(talk.service, [talk.server]))
    strangers = [
        talk.at_vip(99),
        talk.at_vip(99)._replace(client=talk.vip),
        talk._replace(vip=talk.server),
        talk._replace(vip=talk.client, client=talk.second),
    ]
    for stranger in strangers:
        frame = stranger.asks(*talk.start, payload=b"payload", ttl=1)

        assert passed(frame) == switch.run(frame)
    assert {} == switch.states()


@TCP
def test_a_port_without_a_service(switch, talk):
    """
    A reset says so; what another protocol has there does not count.
    """
    udp = talk._replace(build=frames.udp, protocol="udp", vip=frames.at_port(talk.vip, 81))
    switch.publish(switch.service(talk.service, [talk.server]), service(switch, udp))
    frame = talk._replace(vip=udp.vip).asks("S", seq=7)
    reset = frames.tcp(
        udp.vip,
        talk.client,
        "RA",
        seq=0,
        ack=8,
        window=0,
        way=frames.TO_CLIENT,
        ip={} if talk is WEB6 else {"id": 0, "flags": "DF"},
    )

    assert answered(reset, Verdict.RESET) == switch.run(frame)


@TCP
def test_udp_without_a_service(switch, talk):
    """
    Discarded: there is nobody to tell.
    """
    switch.publish(switch.service(talk.service, [talk.server]))

    assert dropped(Verdict.DROP_NO_SERVICE) == switch.run(frames.udp(talk.client, talk.vip))


@BOTH
def test_a_vip_that_is_an_address_of_the_switch(switch, talk):
    """
    Its service is served; everything else that is sent there is the kernel's.
    """
    host = frames.split(talk.vip)[0]
    switch.publish(switch.service(talk.service, [talk.server]), local=[host])
    others = [
        frames.tcp(talk.client, frames.at_port(talk.vip, 22)),
        frames.udp(talk.client, frames.at_port(talk.vip, 161), b"get"),
        frames.echo(talk.client, talk.vip, b"ping"),
    ]

    assert sent(talk.asked(*talk.start), NEW) == switch.run(talk.asks(*talk.start))
    for frame in others:
        assert passed(frame) == switch.run(frame)


def service(switch, talk):
    """One server for one talk."""
    return switch.service(talk.service, [talk.server])


def test_two_services_of_one_address(switch):
    """
    By port and by protocol, each has its own servers; and one client port has both connections.
    """
    talks = [
        WEB4,
        WEB4._replace(vip="203.0.113.10:443", server="10.0.1.12:8443"),
        Talk(WEB4.client, WEB4.vip, "10.0.1.13:8080", "", frames.udp, "udp"),
    ]
    switch.publish(*(service(switch, talk) for talk in talks))
    for talk in talks:
        assert sent(talk.asked(*talk.start), NEW) == switch.run(talk.asks(*talk.start))
    for talk in talks:
        assert sent(talk.heard(), Verdict.TO_CLIENT) == switch.reply(talk.says())


@TCP
def test_any_port_and_one_port(switch, talk):
    """
    The port that is named goes where it is said; all others go to the VIP's `*`.
    """
    host, any_host = (frames.split(server)[0] for server in (talk.server, talk.second))
    vip_host = frames.place(frames.split(talk.vip)[0], "*")
    switch.publish(
        switch.service(talk.service, [talk.server]),
        switch.service(f"{vip_host}/tcp", [any_host]),
    )
    other = talk._replace(vip=frames.at_port(talk.vip, 81), server=frames.place(any_host, 81))
    for one in (talk, other):
        establish(switch, one)
    assert host != any_host
    assert dropped(Verdict.DROP_NO_SERVICE) == switch.run(frames.udp(talk.client, talk.vip))


def test_a_server_is_a_client_too(switch):
    """
    It asks its own VIP, and gets another server: the answer finds its way.
    """
    talk = WEB4._replace(client=frames.at_port(WEB4.server, 45000), server=WEB4.second)
    switch.publish(switch.service(WEB4.service, [WEB4.second]))
    ask = talk.asks("S", way=frames.from_server(WEB4.server))
    assert answered(talk.asked("S"), NEW) == switch.reply(ask)

    heard = talk.heard("SA", way=frames.to_server(WEB4.server))
    assert answered(heard, Verdict.TO_CLIENT) == switch.reply(talk.says("SA"))


def test_every_service_of_a_full_directory(switch):
    """
    All are found, of both families; addresses and ports beside them are not.
    """
    talks = [
        talk.at_vip(last)._replace(vip=frames.at_port(talk.at_vip(last).vip, port))
        for talk in (WEB4, WEB6)
        for last in range(20, 28)
        for port in (80, 443)
    ]
    talks = [
        talk._replace(server=frames.at_port(talk.server, 1000 + n)) for n, talk in enumerate(talks)
    ]
    assert switch.capacity.services == len(talks)
    switch.publish(*(service(switch, talk) for talk in talks))
    for talk in talks:
        assert talk.server == where(switch.run(talk.asks("S")))
        for port in (79, 81, 0, 442, 444):
            near = talk._replace(vip=frames.at_port(talk.vip, port)).asks("S")
            assert Verdict.RESET is switch.run(near).verdict
    for talk in (WEB4.at_vip(19), WEB4.at_vip(28), WEB6.at_vip(19), WEB6.at_vip(28)):
        assert passed(talk.asks("S")) == switch.run(talk.asks("S"))


def place_of(switch, words, port, protocol):
    """Tell where the program looks for this address, port and protocol."""
    in_memory = int.from_bytes(port.to_bytes(2), sys.byteorder)
    bits = switch.capacity.macros()
    value = directory._hash(words, in_memory, protocol)
    half = switch.memory["displacements"][switch.configuration._active << bits["LB_GROUP_BITS"] :]
    group = value >> (64 - bits["LB_GROUP_BITS"])
    return directory._place(value, int(half[group]), bits["LB_DIRECTORY_BITS"])


STRANGERS = {
    "another port": lambda n: (WEB6.vip, n, frames.tcp),
    "another address": lambda n: (f"[2001:db8::{n:x}]:80", 80, frames.tcp),
    "another network": lambda n: (f"[2001:{n:x}::10]:80", 80, frames.tcp),
    "another port of UDP": lambda n: (WEB6.vip, n, frames.udp),
}


@pytest.mark.parametrize("kind", STRANGERS)
def test_a_stranger_in_the_place_of_a_service(switch, kind):
    """
    The directory's hash leads many to the same place: who is meant must be compared.
    """
    switch.publish(service(switch, WEB6))
    address = ip_address(frames.split(WEB6.vip)[0])
    home, met = place_of(switch, address.packed, 80, 6), 0
    for n in range(0x1000, 0xC000):
        vip, port, build = STRANGERS[kind](n)
        number = 17 if build is frames.udp else 6
        words = ip_address(frames.split(vip)[0]).packed
        if place_of(switch, words, port, number) == home:
            ran = switch.run(build(WEB6.client, frames.at_port(vip, port)))
            assert ran.verdict in (Verdict.TO_KERNEL, Verdict.RESET, Verdict.DROP_NO_SERVICE)
            met += 1
        if met == 5:
            break

    assert 5 == met


def test_another_protocol_in_the_place_of_a_service(switch):
    """
    The same address and port, and the same place, by another protocol.
    """
    words = ip_address(frames.split(WEB6.vip)[0]).packed
    switch.publish()
    port = next(p for p in range(1, 0xFFFF) if same_place(switch, words, p))
    talk = WEB6._replace(vip=frames.at_port(WEB6.vip, port))
    switch.publish(service(switch, talk))
    assert same_place(switch, words, port)

    assert NEW is switch.run(talk.asks("S")).verdict
    stranger = frames.udp(talk.client, talk.vip)
    assert dropped(Verdict.DROP_NO_SERVICE) == switch.run(stranger)


def same_place(switch, words, port):
    """Tell whether TCP and UDP of this port are looked for in the same place."""
    return place_of(switch, words, port, 6) == place_of(switch, words, port, 17)


def test_before_anything_is_published(switch):
    """
    Everything is the kernel's.
    """
    for talk in (WEB4, WEB6, DNS4):
        for frame in (talk.asks(*talk.start), frames.echo(talk.client, talk.vip)):
            assert passed(frame) == switch.run(frame)
        assert passed(talk.says()) == switch.reply(talk.says())


@BOTH
def test_after_the_last_service_is_gone(switch, talk):
    """
    Connections go on, those of UDP until they ask again; strangers are the kernel's.
    """
    switch.publish(service(switch, talk))
    establish(switch, talk)
    switch.publish()
    stranger = talk.asks_from(40001)
    late = talk.asks(*talk.start)

    assert passed(stranger.asks(*talk.start)) == switch.run(stranger.asks(*talk.start))
    assert sent(talk.heard(), Verdict.TO_CLIENT) == switch.reply(talk.says())
    if talk.protocol == "tcp":
        assert sent(talk.asked("PA")) == switch.run(talk.asks("PA"))
    assert passed(late) == switch.run(late)
    ping = frames.echo(talk.client, talk.vip)
    assert passed(ping) == switch.run(ping)


def test_a_vip_with_any_port_moves(switch):
    """
    The servers of one address get another in one step: nothing in the new generation contradicts.
    """
    for port, last in enumerate((10, 20, 10), start=50000):
        switch.publish(switch.service(f"203.0.113.{last}:*/tcp", ["10.0.1.11"]))
        talk = WEB4.at_vip(last)._replace(server="10.0.1.11:80")
        assert NEW is switch.run(talk.asks_from(port).asks("S")).verdict


@pytest.mark.parametrize(
    ("services", "message"),
    [
        (
            [("203.0.113.10:80/tcp", "10.0.1.11:80"), ("10.0.1.11:80/tcp", "10.0.1.12:80")],
            r"^10\.0\.1\.11:80 cannot be a VIP and a NAT back-end at once; use another port",
        ),
        (
            [("203.0.113.10:*/tcp", "10.0.1.11"), ("203.0.113.11:*/tcp", "10.0.1.11")],
            r"^10\.0\.1\.11: a server of a VIP with port `\*` must not serve another VIP",
        ),
        (
            [("203.0.113.10:*/tcp", "10.0.1.11"), ("203.0.113.11:80/tcp", "10.0.1.11:80")],
            r"^10\.0\.1\.11: a server of a VIP with port `\*` must not serve another VIP",
        ),
    ],
)
def test_what_could_not_be_told_apart_is_refused(switch, services, message):
    """
    By name, and with nothing changed.
    """
    switch.publish(service(switch, WEB4))
    generation = switch.configuration.generation

    with pytest.raises(LbctlError, match=message):
        switch.publish(*(switch.service(vip, [server]) for vip, server in services))

    assert generation == switch.configuration.generation
    assert sent(WEB4.asked("S"), NEW) == switch.run(WEB4.asks("S"))
