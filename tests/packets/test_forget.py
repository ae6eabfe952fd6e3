"""Forgetting: what is flushed or swept, and what must stay."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from lbctl.model import SocketAddress, Timeouts, Vip
from lbctl.shared.abi import Verdict
from lbctl.shared.connections import Filter
from tests.packets.world import DNS4, WEB4, WEB6, establish
from tests.support import frames


@pytest.fixture
def busy(switch):
    """
    Twelve connections: three VIPs, two servers each, and as many clients.
    """
    for_all = [switch.service(t.service, [t.server, t.second]) for t in (WEB4, WEB6, DNS4)]
    switch.publish(*for_all, timeouts=Timeouts(half_open=20, udp=100))
    for talk in (WEB4, WEB6, DNS4):
        for port in range(20000, 20004):
            switch.run(talk.asks_from(port).asks(*talk.start))
    assert 12 == switch.connections.used()
    return switch


FILTERS = {
    "all": Filter(),
    "a VIP": Filter(vips={Vip.parse(WEB4.service)}),
    "two VIPs": Filter(vips={Vip.parse(WEB4.service), Vip.parse(DNS4.service)}),
    "a server": Filter(backend=SocketAddress.parse(WEB4.server)),
    "a server of a VIP": Filter(
        vips={Vip.parse(WEB4.service)}, backend=SocketAddress.parse(WEB4.second)
    ),
    "a client": Filter(client=(ip_address("198.51.100.7"), None)),
    "a client and its port": Filter(client=(ip_address("198.51.100.7"), 20001)),
    "an IPv6 client": Filter(client=(ip_address("2001:db8:c::7"), None)),
    "nobody": Filter(client=(ip_address("198.51.100.8"), None)),
    "a VIP that is none": Filter(vips=()),
}


def matches(connection, only):
    """Say again what a filter means, on what is shown to people."""
    return (
        (only.vips is None or connection.vip in only.vips)
        and (only.backend is None or connection.backend == only.backend)
        and (only.client is None or connection.client.address == only.client[0])
        and (only.client is None or only.client[1] in (None, connection.client.port))
    )


@pytest.mark.parametrize("name", FILTERS)
def test_what_is_listed_counted_and_flushed(busy, name):
    """
    The same connections by all three; the others stay.
    """

    def listed(*what, **options):  # a tick may pass in between
        return [c._replace(idle_seconds=0) for c in busy.connections.list(*what, **options)]

    only, every = FILTERS[name], listed()
    wanted = [c for c in every if matches(c, only)]

    assert wanted == listed(only)
    assert wanted[:2] == listed(only, limit=2)
    assert len(wanted) == busy.connections.count(only)
    assert len(wanted) == busy.connections.flush(only)
    assert [c for c in every if c not in wanted] == listed()


def test_a_flushed_connection_is_unknown(switch):
    """
    The next packet hears what packets of no connection hear.
    """
    switch.publish(switch.service(WEB4.service, [WEB4.server]))
    establish(switch, WEB4)
    switch.connections.flush()

    assert Verdict.RESET is switch.run(WEB4.asks("A")).verdict
    assert Verdict.TO_KERNEL is switch.reply(WEB4.says("A")).verdict


def test_hundreds_are_flushed(switch):
    """
    More than fit into one run of the program.
    """
    switch.publish(switch.service(DNS4.service, [DNS4.server]))
    for port in range(20000, 20500):
        switch.fast(DNS4.asks_from(port).asks())

    assert 500 == switch.connections.used() == switch.connections.flush()
    assert not switch.entries["key"].any()


def test_a_connection_of_somebody_else_meanwhile(busy, monkeypatch):
    """
    Between the look and the deed an entry may get a new owner, who is spared.
    """
    connections, forget = busy.connections, busy.connections.run_forget

    def late(forgotten):
        busy.entries["key"][busy.entries["key"] > 1] += 1
        return forget(forgotten)

    monkeypatch.setattr(connections, "run_forget", late)

    assert 0 == connections.flush()
    assert 12 == connections.used()


def test_sweep_frees_what_is_over(busy):
    """
    Half-open ones are over, those of UDP are not.
    """
    busy.age(50)

    assert 8 == busy.connections.sweep()
    assert {"udp"} == {c.state for c in busy.connections.list()}
    assert 4 == (busy.entries["key"] > 1).sum()


def test_sweep_spares_what_was_used_meanwhile(busy, monkeypatch):
    """
    A packet came in between the look and the deed.
    """
    busy.age(50)
    connections, forget = busy.connections, busy.connections.run_forget

    def late(forgotten):
        busy.age(-50)
        return forget(forgotten)

    monkeypatch.setattr(connections, "run_forget", late)

    assert 0 == connections.sweep()
    assert 12 == connections.used()


def test_ports_of_a_vip_with_any_port(switch):
    """
    A server is listed, and flushed, by the port that the client chose.
    """
    switch.publish(switch.service("203.0.113.10:*/tcp", ["10.0.1.11"]))
    for port in (80, 443):
        switch.run(frames.tcp(WEB4.client, f"203.0.113.10:{port}"))
    shown = {(str(c.vip), str(c.backend)) for c in switch.connections.list()}

    assert shown == {
        ("203.0.113.10:80/tcp", "10.0.1.11:80"),
        ("203.0.113.10:443/tcp", "10.0.1.11:443"),
    }
    assert 1 == switch.connections.flush(Filter(backend=SocketAddress.parse("10.0.1.11:443")))
    assert ["10.0.1.11:80"] == [str(c.backend) for c in switch.connections.list()]
