"""Stage pseudo: between programs on the switch and the NICs, by a pseudo interface."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, TCP
from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment
from scapy.packet import Raw

from lbctl.shared.abi import NextHopState, Verdict
from lbctl.shared.programs import Programs
from tests.packets.world import FAMILIES, WEB4, WEB6
from tests.packets.world import TCP as TALKS
from tests.support import frames
from tests.support.frames import FROM_CLIENT, TO_PROGRAM
from tests.support.progrun import INSIDE, PROGRAM, dropped, passed, sent

HOSTS = {4: "203.0.113.254", 6: "2001:db8::fe"}
CLIENTS = {4: WEB4.client, 6: WEB6.client}
TO, NOT_ATTACHED = Verdict.TO_PSEUDO, Verdict.DROP_NOT_ATTACHED
STATES = {
    NextHopState.UNRESOLVED: Verdict.DROP_NO_NEIGHBOR,
    NextHopState.NOT_ATTACHED: NOT_ATTACHED,
    NextHopState.NO_ROUTE: Verdict.DROP_NO_ROUTE,
}


@pytest.fixture
def switch(switch):
    """
    A pseudo interface with an address of each family.
    """
    switch.publish(programs=Programs(pseudo=switch.pseudo(*HOSTS.values())))
    return switch


def moved(frame, way):
    """The same frame, but for whom it goes from and to."""
    macs = f"{way.destination}{way.source}".replace(":", "")
    return bytes.fromhex(macs) + frame[12:]


def kinds(version, way=FROM_CLIENT, far=None):
    """Build a packet of each kind, to the pseudo interface or (*far*) from it to somebody."""
    source, target = CLIENTS[version], frames.place(HOSTS[version], 8080)
    if far is not None:
        source, target = target, far
    told = {"way": way}
    plain = frames.network(source, target, 1)
    quoted = Raw(frames.network(target, source) / TCP())
    error = ICMP(type=3, code=1) if version == 4 else ICMPv6DestUnreach()
    if version == 4:
        options = frames.network(source, target, options=b"\x07\x04\x04\x00")
        fragment = frames.network(source, target, flags="MF", frag=3) / Raw(bytes(40))
        other = frames.network(source, target, proto=47) / Raw(bytes(30))
    else:
        options = frames.network(source, target) / IPv6ExtHdrDestOpt() / TCP()
        fragment = frames.network(source, target) / IPv6ExtHdrFragment(offset=3) / Raw(bytes(40))
        other = frames.network(source, target, nh=47) / Raw(bytes(30))
    return {
        "TCP": frames.tcp(source, target, "S", **told),
        "TCP of no connection": frames.tcp(source, target, "PA", b"data", **told),
        "UDP": frames.udp(source, target, b"ask", **told),
        "UDP, whose checksum is wrong": frames.udp(source, target, b"ask", chksum=1, **told),
        "a ping": frames.echo(source, target, b"ping", **told),
        "an ICMP error": frames.ethernet(way, plain / error / quoted),
        "at the end of its hops": frames.tcp(source, target, "S", ttl=1, **told),
        "a fragment": frames.ethernet(way, fragment),
        "with options": frames.ethernet(way, options / Raw(bytes(8))),
        "another protocol": frames.ethernet(way, other),
        "with padding": frames.tcp(source, target, "S", **told) + bytes(6),
    }


KINDS = pytest.mark.parametrize("kind", kinds(4))


@FAMILIES
@KINDS
def test_what_is_for_a_pseudo_interface(switch, version, kind):
    """
    The program gets it as it came, hop limit and all; only whom it goes to is another.
    """
    frame = kinds(version)[kind]

    assert sent(moved(frame, TO_PROGRAM), TO) == switch.run(frame)
    assert {} == switch.states()


@FAMILIES
def test_what_is_malformed_for_a_pseudo_interface(switch, version):
    """
    Lengths that cannot be: nobody gets it.
    """
    frame = frames.tcp(CLIENTS[version], frames.place(HOSTS[version], 80))

    assert dropped(Verdict.DROP_MALFORMED) == switch.run(frame[:-1])


@FAMILIES
def test_addresses_beside_it(switch, version):
    """
    The kernel has them, whatever NIC they come by.
    """
    frame = frames.tcp(CLIENTS[version], frames.place(HOSTS[version].replace("fe", "fd"), 80))
    if version == 4:
        frame = frames.tcp(CLIENTS[4], "203.0.113.253:80")

    assert passed(frame) == switch.run(frame)


@FAMILIES
@pytest.mark.parametrize("state", STATES)
def test_a_pseudo_interface_that_cannot_be_reached(switch, version, state):
    """
    It has a name of its own why.
    """
    frame = kinds(version)["UDP"]
    switch.pseudo(HOSTS[version], state=state)

    assert dropped(STATES[state]) == switch.run(frame)


@FAMILIES
def test_a_pseudo_interface_that_is_gone(switch, version):
    """
    There is no way out by its slot: what is for it is dropped, and so is what answers it.
    """
    switch.shut(PROGRAM)
    talk = talk_of(switch, version)
    ping = frames.echo(talk.client, talk.vip, way=frames.FROM_PROGRAM)

    assert dropped(NOT_ATTACHED) == switch.run(kinds(version)["UDP"])
    assert dropped(NOT_ATTACHED) == switch.run(ping, PROGRAM)


@FAMILIES
def test_what_is_too_big_for_a_pseudo_interface(switch, version):
    """
    The sender is told the size, from the address that it asked; or it allows fragments.
    """
    switch.pseudo(HOSTS[version], mtu=1400)
    ip = {"ip": {"flags": "DF"}} if version == 4 else {}
    frame = frames.udp(CLIENTS[version], frames.place(HOSTS[version], 80), bytes(1400), **ip)

    ran = switch.run(frame)

    assert Verdict.TOO_BIG_REPLY is ran.verdict
    assert moved(ran.frame, FROM_CLIENT.back()) == ran.frame
    answer = frames.Ether(ran.frame).payload
    assert (HOSTS[version], frames.split(CLIENTS[version])[0]) == (answer.src, answer.dst)
    if version == 4:
        whole = frames.udp(CLIENTS[4], frames.place(HOSTS[4], 80), bytes(1400))
        assert dropped(Verdict.DROP_TOO_BIG) == switch.run(whole)


def talk_of(switch, version):
    """A VIP with one server, and a program that asks it."""
    talk = (WEB4 if version == 4 else WEB6)._replace(client=frames.place(HOSTS[version], 40000))
    switch.publish(
        switch.service(talk.service, [talk.server]),
        programs=Programs(pseudo=switch.pseudo(*HOSTS.values())),
    )
    return talk


@TALKS
def test_a_port_that_a_pool_has(switch, talk):
    """
    It is balanced, all other ports of the address are the programs'.
    """
    host = HOSTS[4 if talk is WEB4 else 6]
    talk = talk._replace(vip=frames.place(host, 80))
    programs = Programs(pseudo=switch.pseudo(host))
    switch.publish(switch.service(talk.service, [talk.server]), programs=programs)
    other = frames.tcp(talk.client, frames.place(host, 81))
    udp = frames.udp(talk.client, talk.vip)

    assert sent(talk.asked("S"), Verdict.TO_BACKEND_NEW) == switch.run(talk.asks("S"))
    assert sent(talk.heard("SA"), Verdict.TO_CLIENT) == switch.reply(talk.says("SA"))
    for frame in (other, udp):
        assert sent(moved(frame, TO_PROGRAM), TO) == switch.run(frame)


@FAMILIES
@KINDS
def test_what_a_program_sends(switch, version, kind):
    """
    It leaves by the routing table, the longest prefix first, and is not changed.
    """
    far = CLIENTS[version]
    frame = kinds(version, frames.FROM_PROGRAM, far)[kind]
    wide, narrow = ("0.0.0.0/0", "198.51.100.0/24") if version == 4 else ("::/0", "2001:db8:c::/64")
    router, inside = frames.Way(frames.OUTSIDE_MAC, frames.ROUTER), frames.to_server("10.0.1.9")

    assert dropped(Verdict.DROP_NO_ROUTE) == switch.run(frame, PROGRAM)
    switch.route(wide, frames.ROUTER)
    assert sent(moved(frame, router), Verdict.FROM_PSEUDO) == switch.run(frame, PROGRAM)
    switch.route(narrow, inside.destination, INSIDE)
    assert sent(moved(frame, inside), Verdict.FROM_PSEUDO) == switch.run(frame, PROGRAM)


@FAMILIES
@pytest.mark.parametrize("state", STATES)
def test_a_program_whose_gateway_cannot_be_reached(switch, version, state):
    """
    It has a name of its own why.
    """
    switch.route("0.0.0.0/0" if version == 4 else "::/0", frames.ROUTER, state=state)
    frame = kinds(version, frames.FROM_PROGRAM, CLIENTS[version])["UDP"]

    assert dropped(STATES[state]) == switch.run(frame, PROGRAM)


@FAMILIES
def test_a_program_sends_what_is_malformed(switch, version):
    """
    The switch sends no lengths that cannot be.
    """
    switch.route("0.0.0.0/0" if version == 4 else "::/0", frames.ROUTER)
    frame = kinds(version, frames.FROM_PROGRAM, CLIENTS[version])["TCP"]

    assert dropped(Verdict.DROP_MALFORMED) == switch.run(frame[:-1], PROGRAM)


@FAMILIES
def test_a_program_sends_what_is_too_big(switch, version):
    """
    It is told the size by a frame that is redirected to it: veth loses what is sent back.
    """
    switch.route("0.0.0.0/0" if version == 4 else "::/0", frames.ROUTER, mtu=1400)
    ip = {"ip": {"flags": "DF"}} if version == 4 else {}
    here = frames.place(HOSTS[version], 8080)
    told = {"way": frames.FROM_PROGRAM}
    frame = frames.udp(here, CLIENTS[version], bytes(1400), **told, **ip)

    ran = switch.run(frame, PROGRAM)

    assert sent(ran.frame, Verdict.TOO_BIG_REPLY) == ran
    assert moved(ran.frame, TO_PROGRAM) == ran.frame
    answer = frames.Ether(ran.frame).payload
    assert (frames.split(CLIENTS[version])[0], HOSTS[version]) == (answer.src, answer.dst)
    if version == 4:
        whole = frames.udp(here, CLIENTS[4], bytes(1400), **told)
        assert dropped(Verdict.DROP_TOO_BIG) == switch.run(whole, PROGRAM)


@FAMILIES
@pytest.mark.parametrize("routed", [False, True], ids=["no route", "its own address"])
def test_a_program_asks_a_vip(switch, version, routed):
    """
    It is a client like any other; the reply goes back to it, and not by the default route.
    """
    talk = talk_of(switch, version)
    if routed:
        default, prefix = ("0.0.0.0/0", "32") if version == 4 else ("::/0", "128")
        switch.route(default, frames.ROUTER)
        own = f"{HOSTS[version]}/{prefix}"
        switch.route(own, "02:00:00:00:00:99", state=NextHopState.UNRESOLVED)
    program = frames.FROM_PROGRAM

    for _ in range(2):  # and after routes have changed
        new = Verdict.TO_BACKEND if switch.states() else Verdict.TO_BACKEND_NEW
        assert sent(talk.asked("S"), new) == switch.run(talk.asks("S", way=program), PROGRAM)
        heard = sent(talk.heard("SA", way=TO_PROGRAM), Verdict.TO_CLIENT)
        assert heard == switch.reply(talk.says("SA"))
        switch.routing.bump()


@FAMILIES
def test_a_vip_answers_a_program(switch, version):
    """
    Resets and pings are redirected to it: veth loses what is sent back by XDP_TX.
    """
    talk = talk_of(switch, version)
    told = {"way": frames.FROM_PROGRAM}
    reset = switch.run(frames.tcp(talk.client, frames.at_port(talk.vip, 81), **told), PROGRAM)
    ping = switch.run(frames.echo(talk.client, talk.vip, b"ping", **told), PROGRAM)

    for ran, verdict in ((reset, Verdict.RESET), (ping, Verdict.ECHO_REPLY)):
        assert sent(ran.frame, verdict) == ran
        assert moved(ran.frame, TO_PROGRAM) == ran.frame


@FAMILIES
def test_a_server_answers_a_program_that_asked_it(switch, version):
    """
    A health check, say: it is no client of the VIP, so the VIP has no part in it.
    """
    talk = talk_of(switch, version)
    frame = talk.says("SA")

    assert sent(moved(frame, TO_PROGRAM), TO) == switch.reply(frame)


def test_what_is_not_ip_and_what_is_for_others(switch):
    """
    The kernel has it, as it has that of any NIC.
    """
    arp = frames.ethernet(frames.FROM_PROGRAM, Raw(bytes(28)))
    group = frames.Way(frames.PROGRAM_MAC, "01:00:5e:00:00:16")
    frame = frames.udp(f"{HOSTS[4]}:5353", "224.0.0.22:5353", way=group)

    assert passed(arp) == switch.run(arp, PROGRAM)
    assert passed(frame, Verdict.TO_KERNEL_OTHER_MAC) == switch.run(frame, PROGRAM)


@FAMILIES
def test_a_program_without_the_feature(machines, version):
    """
    All of this is the kernel's, by whatever slot it comes.
    """
    switch = machines(("nat", "ipv6"))
    switch.reset()
    talk = talk_of(switch, version)
    sends = kinds(version, frames.FROM_PROGRAM, CLIENTS[version])["UDP"]

    for frame in (kinds(version)["UDP"], kinds(version)["a ping"]):
        assert passed(frame) == switch.run(frame)
    assert passed(sends) == switch.run(sends, PROGRAM)
    assert passed(talk.says("SA")) == switch.reply(talk.says("SA"))
