"""What is told of packets: sentences with the names of things, from trials of the real program."""

from __future__ import annotations

import pytest

from lbctl.control.explaining.questions import IcmpError
from lbctl.model import Configuration
from tests.packets.telling import CLIENT, ROUTER, SECOND, SERVER, VIP, Told, text
from tests.packets.world import WEB4, WEB6, establish
from tests.support import frames
from tests.support.progrun import INSIDE, MACS, OUTSIDE


def test_a_new_connection(switch):
    """
    Who serves it, by which NIC it leaves, and what is different in it then.
    """
    told = Told(switch, {}).ask("tcp", CLIENT, VIP)

    assert told.model_dump(exclude={"stages"}, mode="json") == {
        "packet": f"TCP SYN {CLIENT} > {VIP}, 40 bytes",
        "verdict": "TO_BACKEND_NEW",
        "action": "REDIRECT",
        "in_nic": "outside",
        "out_nic": "inside",
        "pool": "web",
        "vip": f"{VIP}/tcp",
        "backend": SERVER,
        "app": None,
        "pseudo": None,
        "connection": None,
        "rewritten": {
            "destination_mac": {"before": MACS[OUTSIDE], "after": frames.server_mac(SERVER)},
            "source_mac": {"before": frames.ROUTER, "after": MACS[INSIDE]},
            "destination": {"before": VIP, "after": SERVER},
            "ttl": {"before": 64, "after": 63},
        },
        "note": "The first packet of a new connection went to the back-end of its slot.",
        "next": None,
    }


def test_every_stage_of_a_new_connection(switch):
    """
    A sentence for each that the packet came through, in their order.
    """
    told = Told(switch, {}).ask("tcp", CLIENT, VIP)

    slot = text(told, "select").split()[1]
    assert [(one.stage, one.verdict, one.text) for one in told.stages] == [
        (
            "arrive",
            "CONTINUE",
            (
                f"54 bytes come in by outside, for its MAC {MACS[OUTSIDE]}, from {frames.ROUTER} "
                f"({ROUTER})"
            ),
        ),
        ("parse", "CONTINUE", f"TCP SYN {CLIENT} > {VIP}, 40 bytes, TTL 64"),
        ("service", "CONTINUE", f"{VIP}/tcp is a VIP of pool web (NAT; 1 back-end)"),
        ("connection", "CONTINUE", f"no connection of {CLIENT} to {VIP}/tcp is known"),
        ("select", "CONTINUE", f"slot {slot} of 101 is back-end {SERVER}; a new connection"),
        (
            "route",
            "CONTINUE",
            f"the next hop to {SERVER} is {frames.server_mac(SERVER)} by inside (MTU 1500)",
        ),
        (
            "rewrite",
            "CONTINUE",
            (
                f"destination MAC {MACS[OUTSIDE]} -> {frames.server_mac(SERVER)}, source MAC "
                f"{frames.ROUTER} -> {MACS[INSIDE]}, destination {VIP} -> {SERVER}, TTL 64 -> 63; "
                f"its checksums are right"
            ),
        ),
        ("finish", "TO_BACKEND_NEW", "XDP_REDIRECT: it leaves by inside"),
    ]


@pytest.mark.parametrize("talk", [WEB4, WEB6], ids=["IPv4", "IPv6"])
def test_a_known_connection_is_asked_about_with_an_ack(switch, talk):
    """
    From either side; the entry is told as it was found.
    """
    pool = {"vips": [talk.service], "backends": [{"address": talk.server}]}
    told = Told(switch, pool)
    establish(switch, talk)
    switch.age(100)
    forward = told.ask("tcp", talk.client, talk.vip)
    back = told.ask("tcp", talk.server, talk.client, nic="inside")

    assert ("TO_BACKEND", "TO_CLIENT") == (forward.verdict, back.verdict)
    assert forward.packet.startswith("TCP ACK ")
    assert forward.connection == back.connection
    assert (talk.client, talk.service, talk.server) == (
        str(back.connection.client),
        str(back.connection.vip),
        str(back.connection.backend),
    )
    assert "established" == back.connection.state == back.connection.becomes
    assert 99 <= back.connection.idle_seconds <= 120
    assert "(established, idle 1" in text(forward, "connection")
    assert "is answered where its first packet came from" in text(back, "route")
    assert "select" not in {stage.stage for stage in forward.stages}
    assert {"source": (talk.server, talk.vip)} == {
        name: (change.before, change.after)
        for name, change in back.rewritten.items()
        if name in ("source", "destination")
    }


def test_what_the_packet_does_to_the_connection(switch):
    """
    The state that it would have afterwards.
    """
    told = Told(switch, {})
    establish(switch, WEB4)
    end = told.ask("tcp", CLIENT, VIP, flags="FIN,ACK")

    assert "closing" == end.connection.becomes
    assert text(end, "connection").endswith("; with this packet it becomes closing")


NO_SUCH = "203.0.113.10 is a VIP's address, but no VIP there is"
WHO = {
    ("tcp", CLIENT, "203.0.113.10:81"): (
        "RESET",
        "service",
        f"{NO_SUCH} 81/tcp (there is {VIP}/tcp): it is answered by a reset",
        "lbctl vip list",
    ),
    ("udp", CLIENT, VIP): (
        "DROP_NO_SERVICE",
        "service",
        f"{NO_SUCH} 80/udp (there is {VIP}/tcp): it is dropped",
        "lbctl vip list",
    ),
    ("tcp", CLIENT, "192.0.2.1:80"): (
        "TO_KERNEL",
        "service",
        f"192.0.2.1:80 is no VIP and {CLIENT} is no back-end: the kernel has it",
        None,
    ),
    ("icmp", "198.51.100.7", "203.0.113.10"): (
        "ECHO_REPLY",
        "icmp",
        (
            "a ping: answered by ICMP echo reply 203.0.113.10 > 198.51.100.7, 28 bytes, from the "
            "VIP itself; its checksums are right"
        ),
        None,
    ),
    ("tcp", SERVER, CLIENT): (
        "TO_KERNEL",
        "select",
        (
            f"{SERVER} answers nobody whom the switch brought to it (a health check, or this host "
            f"itself): the kernel has it"
        ),
        None,
    ),
}


@pytest.mark.parametrize("words", WHO, ids=" ".join)
def test_who_is_meant(switch, words):
    """
    A VIP, its address alone, or neither.
    """
    verdict, stage, sentence, following = WHO[words]
    told = Told(switch, {}).ask(*words)

    assert (verdict, following) == (told.verdict, told.next)
    assert sentence == text(told, stage)


def test_a_stranger(switch):
    """
    The pool's on_unknown says what becomes of it; the reset is told as it is.
    """
    told = Told(switch, {}).ask("tcp", CLIENT, VIP, flags="ACK")

    assert "on_unknown of pool web is reset: it is answered by a reset" in text(told, "select")
    assert (
        f"answered by RST {VIP} > {CLIENT} (sequence number 1000; its checksums are right)"
        == text(told, "reset")
    )
    assert ("TX", "outside") == (told.action, told.out_nic)


def test_nobody_serves(switch):
    """
    Who might, and why each of them does not.
    """
    backends = [{"address": SERVER}, {"address": SECOND, "state": "draining"}]
    told = Told(switch, {"backends": backends}, down=[SERVER]).ask("tcp", CLIENT, VIP)

    assert "lbctl pool show web" == told.next
    assert f"nobody serves for pool web: {SERVER} is down, no answer; {SECOND} is draining" == text(
        told, "select"
    )
    assert ("DROP", None) == (told.action, told.out_nic)


def test_rules(switch):
    """
    The rule that counts is named; and when it leads to nobody, who that would be.
    """
    other = {"name": "other", "vips": [], "backends": [{"address": SECOND}]}
    rules = [{"clients": "198.51.100.0/29", "pool": "other"}]
    pools = {"rules": rules}, other
    told = Told(switch, *pools)
    ruled, free = told.ask("tcp", CLIENT, VIP), told.ask("tcp", "192.0.2.9:1", VIP)
    told.publish(down=[SECOND])
    nobody = told.ask("tcp", CLIENT, VIP)

    assert (SECOND, SERVER) == (ruled.backend, free.backend)
    assert (
        "the rule `clients 198.51.100.0/29 to pool other` is for 198.51.100.7: its slots count"
        == text(ruled, "rules")
    )
    assert text(free, "rules").startswith("no rule is for 192.0.2.9")
    assert f"nobody serves for pool other: {SECOND} is down, no answer" == text(nobody, "select")


@pytest.mark.parametrize("error", IcmpError)
@pytest.mark.parametrize("talk", [WEB4, WEB6], ids=["IPv4", "IPv6"])
def test_icmp_errors(switch, talk, error):
    """
    About a connection that there is, and about one that there is not.
    """
    pool = {"vips": [talk.service], "backends": [{"address": talk.server}]}
    told = Told(switch, pool)
    words = ("tcp", talk.client, talk.vip)
    stranger = told.ask(*words, error=error)
    establish(switch, talk)
    known = told.ask(*words, error=error)

    assert ("DROP_NO_CONNECTION", "TO_BACKEND_ICMP") == (stranger.verdict, known.verdict)
    assert "no such connection is known" in text(stranger, "icmp")
    assert (
        f"about a packet that {talk.vip} has sent to {talk.client}, so back-end {talk.server} must "
        f"hear it; its checksums are right" == text(known, "icmp")
    )
    assert (talk.server, "inside") == (known.backend, known.out_nic)
    assert talk.client == str(known.connection.client)


def test_a_dead_server(switch):
    """
    In a pool that resets: the client is told, unless it begins anew.
    """
    backends = [{"address": SERVER}, {"address": SECOND, "weight": 0}]
    told = Told(switch, {"on_down": "reset", "backends": backends})
    establish(switch, WEB4)
    told.publish(down=[SERVER])
    lost, anew = told.ask("tcp", CLIENT, VIP), told.ask("tcp", CLIENT, VIP, flags="SYN")

    assert "RESET_DOWN" == lost.verdict
    assert "that server is down, and the pool resets" in text(lost, "connection")
    assert "its server is down, so that the packet starts it over" in text(anew, "connection")
    assert "nobody serves for pool web" in text(anew, "select")


def test_a_silent_server(switch):
    """
    The second SYN of a client is told as what it is; most find another server.
    """
    told, verdicts = Told(switch, {"backends": [{"address": SERVER}, {"address": SECOND}]}), set()
    for port in range(40000, 40020):
        switch.run(WEB4.asks_from(port).asks("S"))
        again = told.ask("tcp", f"198.51.100.7:{port}", VIP, flags="SYN")
        verdicts.add(again.verdict)
        before = str(again.connection.backend)
        found = {
            "TO_BACKEND_NEW": f"another than {before}, which has been tried",
            "TO_BACKEND": "the same as before, for no other was found",
        }

        assert "half_open" == again.connection.state
        assert "its server has not answered the SYN before" in text(again, "connection")
        assert found[again.verdict] in text(again, "select")
        assert (before == again.backend) is (again.verdict == "TO_BACKEND")
    assert "TO_BACKEND_NEW" in verdicts


def test_dsr_and_any_port(switch):
    """
    What is rewritten, and what is not; a server of any port is named with the packet's.
    """
    pools = (
        {"forward": "dsr", "backends": [{"address": "10.0.1.11:80"}]},
        {"name": "any", "vips": ["203.0.113.30:*/tcp"], "backends": [{"address": "10.0.1.31:1"}]},
    )
    told = Told(switch, *pools)
    direct, kept = told.ask("tcp", CLIENT, VIP), told.ask("tcp", CLIENT, "203.0.113.30:443")

    assert text(direct, "rewrite").startswith("DSR: addresses and ports stay; ")
    assert {"destination_mac", "source_mac", "ttl"} == set(direct.rewritten)
    assert ("10.0.1.31:443", "203.0.113.30:*/tcp") == (kept.backend, kept.vip)


def test_a_removed_vip(switch):
    """
    Its connections finish, and it has no pool any more.
    """
    told = Told(switch, {})
    establish(switch, WEB4)
    told.configuration = Configuration()
    told.publish()
    known = told.ask("tcp", CLIENT, VIP)

    assert ("TO_BACKEND", None, f"{VIP}/tcp") == (known.verdict, known.pool, known.vip)
    assert "a VIP that is removed: only its connections finish" in text(known, "service")
