"""Stage route: the hop of a server, the hop of a client, and where there is none."""

from __future__ import annotations

from ipaddress import ip_network
from unittest import mock

import pytest

from lbctl.shared import syscall
from lbctl.shared.abi import Verdict
from lbctl.shared.routing import NextHopState
from tests.packets.world import BOTH, TCP, WEB4, WEB6, establish
from tests.support import frames
from tests.support.frames import Way
from tests.support.progrun import INSIDE, OUTSIDE, dropped, passed, sent

REPLY, NEW = Verdict.TO_CLIENT, Verdict.TO_BACKEND_NEW
GATEWAY, GATEWAY2 = "02:00:00:00:00:f1", "02:00:00:00:00:f2"
BEHIND = Way(frames.OUTSIDE_MAC, GATEWAY)
BEHIND2 = Way(frames.OUTSIDE_MAC, GATEWAY2)
WITHOUT_A_WAY = {
    NextHopState.UNRESOLVED: Verdict.DROP_NO_NEIGHBOR,
    NextHopState.NOT_ATTACHED: Verdict.DROP_NOT_ATTACHED,
    NextHopState.NO_ROUTE: Verdict.DROP_NO_ROUTE,
}


@pytest.fixture
def web(switch):
    """
    A switch that serves the web over both families.
    """
    switch.publish(*(switch.service(t.service, [t.server]) for t in (WEB4, WEB6)))
    return switch


@BOTH
@pytest.mark.parametrize("state", WITHOUT_A_WAY)
def test_no_way_to_the_server(switch, talk, state):
    """
    Every reason has a name; and when the way is back, so is the connection.
    """
    switch.publish(switch.service(talk.service, [talk.server], state=state))
    assert dropped(WITHOUT_A_WAY[state]) == switch.run(talk.asks(*talk.start))

    switch.set_hop(1, frames.server_mac(talk.server))
    assert sent(talk.asked(*talk.start)) == switch.run(talk.asks(*talk.start))


def test_a_server_that_moves(web):
    """
    A new MAC, or another NIC, is one store; connections follow at once.
    """
    establish(web, WEB4)
    web.set_hop(1, GATEWAY, nic=OUTSIDE)
    ran = web.run(WEB4.asks("A"))

    assert (syscall.TX, BEHIND) == (ran.action, way(ran))


def way(ran):
    """The two MACs of a frame."""
    packet = frames.Ether(ran.frame)
    return Way(packet.src, packet.dst)


def test_a_nic_that_is_no_longer_attached(web):
    """
    The record says so a moment later; until then the devmap does.
    """
    for slot in (INSIDE, OUTSIDE):
        syscall.map_delete(web.tables.fd["exits"], slot.to_bytes(4, "little"))

    assert dropped(Verdict.DROP_NOT_ATTACHED) == web.run(WEB4.asks("S"))


@TCP
def test_a_client_is_answered_where_it_came_from(web, talk):
    """
    Without a route, and without ARP: by the MACs and the NIC of its first packet.
    """
    strange = Way("02:00:00:00:00:77", frames.OUTSIDE_MAC)
    web.run(talk.asks("S", way=strange))
    web.run(talk.asks("S"))

    expected = talk.heard("SA", way=strange.back())
    assert sent(expected, REPLY) == web.reply(talk.says("SA"))


@TCP
@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        (NextHopState.UNRESOLVED, REPLY),
        (NextHopState.NOT_ATTACHED, REPLY),
        (NextHopState.NO_ROUTE, Verdict.DROP_NO_ROUTE),
    ],
)
def test_a_client_whose_hop_is_not_to_be_had(web, talk, state, verdict):
    """
    Its packets came from somewhere: that way will do, unless the administrator forbids it.
    """
    for prefix in ("0.0.0.0/0", "::/0"):
        web.route(prefix, GATEWAY, state=state)
    web.run(talk.asks("S"))
    expected = sent(talk.heard("SA"), REPLY) if verdict is REPLY else dropped(verdict)

    assert expected == web.reply(talk.says("SA"))


@TCP
def test_the_longest_prefix_wins(web, talk):
    """
    For the client's packets the routes count that were there when it came.
    """
    wide, narrow = {4: ("198.51.100.0/24", "198.51.100.7/32"), 6: ("2001:db8::/32", "::/0")}[
        4 if talk is WEB4 else 6
    ]
    if talk is WEB6:
        wide, narrow = narrow, wide
    web.route(wide, GATEWAY)
    web.route(narrow, GATEWAY2)
    for prefix in ("198.51.100.6/32", "2001:db8:d::/48", "203.0.113.0/24"):
        web.route(prefix, GATEWAY)
    web.run(talk.asks("S"))

    assert sent(talk.heard("SA", way=BEHIND2), REPLY) == web.reply(talk.says("SA"))


@pytest.mark.parametrize(("talk", "prefix"), [(WEB4, "::/0"), (WEB6, "0.0.0.0/0")])
def test_a_default_route_is_one_of_its_family(web, talk, prefix):
    """
    A router of IPv6 does not know where to send IPv4.
    """
    web.route(prefix, GATEWAY)
    web.run(talk.asks("S"))

    assert sent(talk.heard("SA"), REPLY) == web.reply(talk.says("SA"))


@TCP
def test_connections_follow_routes_when_they_are_told(web, talk):
    """
    bump() makes all of them look their client's hop up again; before, they keep it.
    """
    default = "0.0.0.0/0" if talk is WEB4 else "::/0"
    host = f"{frames.split(talk.client)[0]}/{32 if talk is WEB4 else 128}"
    web.route(default, GATEWAY)
    establish_by(web, talk, BEHIND)
    web.route(host, GATEWAY2)
    assert sent(talk.heard("A", way=BEHIND), REPLY) == web.reply(talk.says("A"))

    web.routing.bump()
    assert sent(talk.heard("A", way=BEHIND2), REPLY) == web.reply(talk.says("A"))

    web.routing.delete_route(ip_network(host))
    web.routing.delete_route(ip_network(default))
    web.routing.bump()
    assert sent(talk.heard("A"), REPLY) == web.reply(talk.says("A"))


def establish_by(switch, talk, hop):
    """Open a connection whose client is behind a hop."""
    switch.run(talk.asks("S"))
    assert sent(talk.heard("SA", way=hop), REPLY) == switch.reply(talk.says("SA"))


def test_versions_that_come_round(web):
    """
    There are 255 of them: a connection that slept through a whole round still looks.
    """
    web.routing.bump()
    web.route("0.0.0.0/0", GATEWAY)
    establish_by(web, WEB4, BEHIND)
    web.route("198.51.100.0/24", GATEWAY2)
    with mock.patch("lbctl.shared.syscall.wait_for_packets"):  # 255 times would take seconds
        for _ in range(255):
            web.routing.bump()

    assert sent(WEB4.heard("A", way=BEHIND2), REPLY) == web.reply(WEB4.says("A"))


def test_the_hop_of_a_client_changes_its_mac(web):
    """
    The gateway was replaced: nothing is looked up, the record is the same.
    """
    index = web.route("0.0.0.0/0", GATEWAY)
    establish_by(web, WEB4, BEHIND)
    web.set_hop(index, GATEWAY2, nic=OUTSIDE)

    assert sent(WEB4.heard("A", way=BEHIND2), REPLY) == web.reply(WEB4.says("A"))


def test_a_reply_of_a_connection_that_found_no_room(web):
    """
    Its client's sets are full: the server's record and the routing table have all that is needed.
    """
    web.fill(web.key_of(WEB4.asks("S")), 2)
    web.route("0.0.0.0/0", GATEWAY)

    assert sent(WEB4.asked("S"), Verdict.TO_BACKEND_UNTRACKED) == web.run(WEB4.asks("S"))
    assert sent(WEB4.heard("SA", way=BEHIND), REPLY) == web.reply(WEB4.says("SA"))
    web.routing.delete_route(ip_network("0.0.0.0/0"))
    assert Verdict.TO_KERNEL is web.reply(WEB4.says("SA")).verdict


def test_a_reply_without_room_of_a_server_that_two_vips_share(switch):
    """
    Nobody knows which of them was asked: the kernel may have it.
    """
    talks = (WEB4, WEB4.at_vip(20))
    switch.publish(*(switch.service(t.service, [t.server]) for t in talks))
    switch.fill(switch.key_of(WEB4.asks("S")), 2)
    switch.route("0.0.0.0/0", GATEWAY)

    assert passed(WEB4.says("SA")) == switch.reply(WEB4.says("SA"))
