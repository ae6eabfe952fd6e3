"""The slot by the client's address alone: whatever its port, one client has one server."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from lbctl.shared.abi import ConnectionState, Verdict
from tests.packets.world import BOTH, DNS4, DNS6, TCP, WEB4, WEB6
from tests.support import frames
from tests.support.progrun import sent

NEW = Verdict.TO_BACKEND_NEW
FAMILIES = pytest.mark.parametrize(
    ("tcp", "udp"), [(WEB4, DNS4), (WEB6, DNS6)], ids=["IPv4", "IPv6"]
)
DEALT = [3, 1, 4, 1, 5, 2, 6, 0, 7] * 9


def fleet(talk, count=8):
    """Servers beside that of a talk."""
    return [frames.at_port(talk.server.replace("11", str(n)), 9) for n in range(11, 11 + count)]


def by_address(switch, talk, **more):
    """Make the service of a talk, with slots for eight servers unless told."""
    return switch.service(talk.service, fleet(talk), by_address=True, **more)


def server_of(switch, talk):
    """Where the first packet of a client goes to."""
    return frames.destination(switch.fast(talk.asks(*talk.start)).frame)


def clients(talk, count=24):
    """The same talk of clients with other addresses."""
    return [talk.asks_as(f"{n:x}" if "[" in talk.client else n) for n in range(10, 10 + count)]


@BOTH
@pytest.mark.parametrize("forward", ["nat", "dsr"])
def test_the_port_does_not_matter(switch, talk, forward):
    """
    Every connection of a client goes to the same server, as a whole frame.
    """
    service = by_address(switch, talk, forward=forward)
    switch.publish(service)
    for client in clients(talk, 6):
        hop = frames.Ether(switch.fast(client.asks(*talk.start)).frame).dst
        server = next(s for s in fleet(talk) if frames.server_mac(s) == hop)
        for port in range(20000, 20012):
            one = client.asks_from(port)
            target = server if forward == "nat" else one.vip
            way = frames.to_server(server)
            out = one.build(one.client, target, *one.start, way=way, ttl=63)

            assert sent(out, NEW) == switch.run(one.asks(*one.start))


@BOTH
def test_otherwise_it_does(switch, talk):
    """
    Without by_address one client's connections go to all servers.
    """
    switch.publish(replace(by_address(switch, talk), by_address=False))

    assert set(fleet(talk)) == {
        server_of(switch, talk.asks_from(port)) for port in range(20000, 20100)
    }


@BOTH
def test_clients_are_spread(switch, talk):
    """
    Neighbors too: each server gets about as many clients as it has slots.
    """
    switch.publish(by_address(switch, talk, slots=[0, 1, 2, 3, 4, 5, 6, 7] * 16 + [7] * 128))
    counts = Counter(server_of(switch, client) for client in clients(talk, 240))

    assert set(fleet(talk)) == set(counts)
    assert 85 < counts.pop(fleet(talk)[7]) < 185
    assert max(counts.values()) < 45


@BOTH
def test_it_follows_from_a_secret(switch, talk):
    """
    Nobody can choose addresses that all go to one server; another switch deals otherwise.
    """
    deals = set()
    for seed in range(4):
        switch.reset(seed)
        switch.publish(by_address(switch, talk))
        deals.add(tuple(server_of(switch, client) for client in clients(talk)))

    assert 4 == len(deals)


@TCP
def test_all_vips_deal_alike(switch, talk):
    """
    Two VIPs of one pool, the same slots: a client that uses both talks to one server.
    """
    other = talk.at_vip(20)
    switch.publish(*(by_address(switch, t, slots=DEALT) for t in (talk, other)))
    for client in clients(talk):
        again = client.asks_from(40001)._replace(vip=other.vip)
        assert server_of(switch, client) == server_of(switch, again)


@FAMILIES
def test_both_protocols_deal_alike(switch, tcp, udp):
    """
    The web by TCP and by QUIC, names by UDP and by TCP: the address alone counts.
    """
    udp = udp._replace(server=tcp.server)
    switch.publish(*(by_address(switch, talk) for talk in (tcp, udp)))
    for client in clients(tcp):
        assert server_of(switch, client) == server_of(switch, udp._replace(client=client.client))


@pytest.mark.parametrize("host", ["203.0.113.30", "2001:db8::30"])
def test_all_ports_of_a_vip_deal_alike(switch, host):
    """
    A VIP with any port: all connections of a client, to whichever port, have one server.
    """
    talk = WEB6 if ":" in host else WEB4
    servers = [frames.split(s)[0] for s in fleet(talk)]
    vip = frames.place(host, "*")
    servers = [f"[{s}]" if ":" in s else s for s in servers]
    switch.publish(switch.service(f"{vip}/tcp", servers, by_address=True))
    for client in clients(talk, 6):
        hosts = {
            frames.split(server_of(switch, client._replace(vip=frames.place(host, port))))[0]
            for port in range(80, 90)
        }
        assert 1 == len(hosts)


@BOTH
def test_the_slots_of_a_rule(switch, talk):
    """
    Within its run, too, the address alone counts.
    """
    network = "2001:db8:c::/48" if "[" in talk.client else "198.51.100.0/24"
    rules = {f"clients {network}": [5, 6, 7] * 5}
    switch.publish(by_address(switch, talk, slots=[0, 1], rules=rules))
    found = set()
    for client in clients(talk):
        servers = {server_of(switch, client.asks_from(port)) for port in range(20000, 20006)}
        assert 1 == len(servers)
        found |= servers

    assert set(fleet(talk)[5:]) == found


@TCP
def test_a_silent_server_costs_time_only(switch, talk):
    """
    The repeated SYN finds another server; the client's next connection tries the first again.
    """
    switch.publish(by_address(switch, talk))
    moved = 0
    for client in clients(talk):
        first, second = (server_of(switch, client) for _ in range(2))
        moved += first != second
        assert first == server_of(switch, client.asks_from(1))
    assert moved >= 16


@TCP
def test_untracked_and_unknown_packets_go_there_too(switch, talk):
    """
    By the slot alone, they find the server of the connection.
    """
    switch.publish(by_address(switch, talk, unknown="hash"))
    server = server_of(switch, talk)
    moved = talk._replace(server=server)
    switch.forget()
    late = moved.asks_from(50000)
    assert sent(late.asked("PA"), NEW) == switch.run(late.asks("PA"))

    other = moved.asks_from(50001)
    switch.fill(switch.key_of(other.asks("S")), ConnectionState.ESTABLISHED)
    assert sent(other.asked("PA"), Verdict.TO_BACKEND_UNTRACKED) == switch.run(other.asks("PA"))


@TCP
def test_a_client_moves_only_with_its_slot(switch, talk):
    """
    Of a server that goes the clients move; the others stay.
    """
    switch.publish(by_address(switch, talk, slots=DEALT))
    before = {client.client: server_of(switch, client) for client in clients(talk)}
    switch.forget()
    switch.publish(by_address(switch, talk, slots=[0 if s == 1 else s for s in DEALT]))
    gone, heir = fleet(talk)[1], fleet(talk)[0]

    assert gone in before.values()
    assert {who: heir if s == gone else s for who, s in before.items()} == {
        client.client: server_of(switch, client) for client in clients(talk)
    }
