"""The clients of a server that died get a segment that they must answer."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6

from lbctl.control import clients
from lbctl.control.clients import Lost, lost, prompt, segment
from lbctl.control.standing import NOTHING_FOUND, Standings
from lbctl.model import SocketAddress, State, Vip
from tests.unit.control.fakes import ONE, TWO, VIP, configured, connection, standings, web

ports = st.integers(1, 65535)
ADDRESSES = {
    IP: st.tuples(st.just("203.0.113.10"), st.integers(1, 254).map(lambda n: f"198.51.100.{n}")),
    IPv6: st.tuples(
        st.just("2001:db8::10"), st.integers(1, 9999).map(lambda n: f"2001:db8:1::{n}")
    ),
}


@pytest.mark.parametrize("family", ADDRESSES)
@given(data=st.data(), vip_port=ports, client_port=ports)
def test_the_segment_is_one_that_scapy_would_make(family, data, vip_port, client_port):
    """A bare ACK from the VIP with the numbers 0; lengths and checksums are right."""
    source, target = data.draw(ADDRESSES[family])
    vip = Vip.parse(f"{f'[{source}]' if ':' in source else source}:{vip_port}/tcp")
    client = SocketAddress(ip_address(target), client_port)
    limit = {"hlim": 64} if family is IPv6 else {"ttl": 64, "id": 0, "chksum": 0}
    tcp = TCP(sport=vip_port, dport=client_port, flags="A", seq=0, ack=0, window=0)

    expected = bytes(family(src=source, dst=target, **limit) / tcp)

    assert expected == segment(vip, client)


# -- who was lost --------------------------------------------------------------------------

RESET = web(1, 1, on_down="reset")
BEFORE_AND_NOW = {
    "it died": (NOTHING_FOUND, standings(ONE), [Lost(VIP, ONE)]),
    "it died while it drained": (
        standings(ONE, state=State.DRAINING),
        standings(ONE),
        [Lost(VIP, ONE)],
    ),
    "it was dead before": (standings(ONE), standings(ONE), []),
    "it drains": (NOTHING_FOUND, standings(ONE, state=State.DRAINING), []),
    "it came back": (standings(ONE), NOTHING_FOUND, []),
}


@pytest.mark.parametrize("case", BEFORE_AND_NOW.values(), ids=BEFORE_AND_NOW)
def test_a_server_is_lost_when_it_dies(case):
    """Once, and only in a pool that says so."""
    before, now, expected = case
    configuration, keeping = configured(pools=[RESET]), configured(pools=[web(1, 1)])

    assert expected == lost(before, configuration, now, configuration)
    assert lost(before, keeping, now, keeping) == []


def test_a_server_that_goes_into_maintenance_is_lost():
    """And one that comes in maintenance is not: it never had a client."""
    old = configured(pools=[RESET])
    new = old.model_dump(mode="json")
    new["pools"][0]["backends"][0]["state"] = "maintenance"
    new["pools"][0]["backends"].append({"address": "10.0.1.13:8080", "state": "maintenance"})

    found = lost(NOTHING_FOUND, old, NOTHING_FOUND, configured(**new))

    assert found == [Lost(VIP, ONE)]


def test_a_server_is_lost_for_every_vip_that_leads_to_it():
    """By TCP; through a rule, too; as a VIP of any port knows it."""
    vips = ["203.0.113.10:*/tcp", "203.0.113.10:*/udp"]
    rules = [{"clients": "198.51.100.0/24", "pool": "special"}]
    configuration = configured(
        pools=[
            web(1, vips=vips, on_down="reset", rules=rules),
            {"name": "special", "backends": [{"address": str(TWO)}]},
        ]
    )
    found = standings(TWO, pool="special")

    assert lost(NOTHING_FOUND, configuration, found, configuration) == [
        Lost(Vip.parse("203.0.113.10:*/tcp"), SocketAddress(TWO.address, 0))
    ]


# -- telling them --------------------------------------------------------------------------


class Plug:
    """A raw socket that remembers what was sent, and to whom."""

    def __init__(self, sent: list, unreachable: str = "") -> None:
        self.sent, self.unreachable = sent, unreachable

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.sent.append("closed")

    def sendto(self, packet: bytes, target: tuple[str, int]) -> None:
        """Send, unless there is no way."""
        if target[0] == self.unreachable:
            raise OSError(101, "Network is unreachable")
        self.sent.append((target, packet))


def plane(rows: list):
    """A switch with these connections, whoever asks."""
    return SimpleNamespace(connections=SimpleNamespace(list=lambda _only, _most: rows))


def test_every_client_of_the_server_is_told(monkeypatch):
    """One segment each; who cannot be reached finds out by himself."""
    sent: list = []
    monkeypatch.setattr(clients, "_raw_socket", lambda _: Plug(sent, "198.51.100.2"))
    rows = [connection(number) for number in (1, 2, 3)]

    count = prompt(plane(rows), [Lost(VIP, ONE)])

    assert count == 2
    assert sent == [
        (("198.51.100.1", 0), segment(VIP, rows[0].client)),
        (("198.51.100.3", 0), segment(VIP, rows[2].client)),
        "closed",
    ]


def test_clients_that_cannot_be_told_are_a_warning(monkeypatch, caplog):
    """The change that they were lost by is made all the same."""

    def refuse(_version: int):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(clients, "_raw_socket", refuse)

    assert prompt(plane([connection(1)]), [Lost(VIP, ONE)]) == 0
    assert "the clients of 10.0.1.11:8080 could not be told" in caplog.text


def test_nobody_is_told_without_need(monkeypatch):
    """No socket is opened for a server without connections."""
    opened: list = []
    monkeypatch.setattr(socket, "socket", lambda *given: opened.append(given))

    assert prompt(plane([]), [Lost(VIP, ONE)]) == 0
    assert opened == []


def test_who_did_not_change_was_not_lost():
    """The same moment twice."""
    configuration = configured(pools=[RESET])
    found = Standings({}, {})

    assert lost(found, configuration, found, configuration) == []
