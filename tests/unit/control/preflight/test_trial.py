"""
Which back-ends are tried, and how.
"""

from __future__ import annotations

import socket
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_address

import pytest

from lbctl.control.health.target import Outcome
from lbctl.control.preflight import trial
from lbctl.control.preflight.facts import Answer, Way
from lbctl.control.preflight.segments import Probe
from lbctl.control.preflight.trial import FAR, NEAR, Means, tried
from lbctl.model import SocketAddress, Vip
from lbctl.shared.abi import NextHopState
from lbctl.shared.routing import NextHop
from tests.unit.control.preflight.made import BACKEND, DSR, ONE, VIP

HOP = NextHop(0, b"server", b"switch", 1500, NextHopState.RESOLVED)
NAT = replace(BACKEND, accepts=None, returns=None)
LOOPBACK = ip_address("127.0.0.1")  # where ports can be held without privilege
SERVER = replace(DSR, accepts=None, has={}, way=Way("eth0", source=LOOPBACK))
STRANGER = ip_address("192.0.2.1")
VIPS = (VIP, Vip.parse("203.0.113.10:53/udp"), Vip.parse("203.0.113.20:*/tcp"))


class Asking:
    """Remembers the probes, and has one answer for all."""

    def __init__(self, answer=Answer.ACCEPTED):
        self.answer = answer
        self.probes = []

    def __call__(self, probes):
        """Answer."""
        self.probes += probes
        return None if self.answer is None else [self.answer for _ in probes]


def means(asking, said=Answer.ACCEPTED, **more):
    """What it takes, with a server that says the same to every connection."""
    usual = {
        "hops": {ONE.address: HOP},
        "strangers": {4: STRANGER},
        "vips": {"web": VIPS},
        "connect": lambda addresses: dict.fromkeys(addresses, said),
        "ask": asking,
    }
    return Means(**{**usual, **more})


@pytest.mark.parametrize("answer", Answer)
def test_a_nat_server_is_asked_by_a_stranger(answer):
    """
    At its MAC, from an address that is nobody's; as far as a container behind it.
    """
    asking = Asking(answer)
    (found,) = tried([NAT], means(asking))
    (probe,) = asking.probes

    assert (Answer.ACCEPTED, answer) == (found.accepts, found.returns)
    source = SocketAddress(STRANGER, probe.source.port)
    assert Probe("eth0", b"switch", b"server", source, ONE, FAR) == probe


def test_a_dsr_server_is_asked_for_each_vip():
    """
    Of TCP; for any port at the server's. From the switch itself, and no further than the server.
    """
    asking = Asking()
    (found,) = tried([SERVER], means(asking))

    assert {VIPS[0]: Answer.ACCEPTED, VIPS[2]: Answer.ACCEPTED} == found.has
    assert ["203.0.113.10:80", "203.0.113.20:8080"] == [str(p.destination) for p in asking.probes]
    assert {(LOOPBACK, NEAR)} == {(p.source.address, p.hops) for p in asking.probes}
    assert 2 == len({probe.source.port for probe in asking.probes})


@pytest.mark.parametrize(
    ("backend", "more"),
    [
        (NAT, {"said": Answer.REFUSED}),
        (NAT, {"said": None}),
        (NAT, {"strangers": {}}),
        (NAT, {"hops": {}}),
        (replace(NAT, way=Way("eth0", gateway=ip_address("10.0.9.1"))), {}),
        (replace(NAT, way=None), {}),
        (replace(NAT, tcp=False), {}),
        (replace(NAT, hop=NextHopState.UNRESOLVED), {}),
        (replace(SERVER, way=Way("eth0")), {}),
    ],
    ids=["refuses", "unknown", "no-stranger", "no-hop", "routed", "no-way", "udp", "lost", "dsr"],
)
def test_who_is_not_asked(backend, more):
    """
    Nothing would follow from silence: so none is taken for it.
    """
    asking = Asking(Answer.SILENT)
    (found,) = tried([backend], means(asking, **more))

    assert [] == asking.probes
    assert (None, {}) == (found.returns, found.has)


def test_a_server_of_two_pools_is_asked_once_a_port():
    """
    Each pool hears the answer.
    """
    asking = Asking(Answer.SILENT)
    found = tried([NAT, replace(NAT, pool="other")], means(asking))

    assert [Answer.SILENT] * 2 == [one.returns for one in found]


def test_packet_sockets_are_not_permitted():
    """
    Then nothing is known but that it accepts.
    """
    (found,) = tried([NAT], means(Asking(None)))

    assert (Answer.ACCEPTED, None) == (found.accepts, found.returns)


@contextmanager
def server():
    """A server on loopback, and its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield SocketAddress(LOOPBACK, listener.getsockname()[1])


def test_connections():
    """
    One is accepted, and one refused.
    """
    with server() as gone:
        pass
    with server() as there:
        found = trial.connect([there, gone])

    assert {there: Answer.ACCEPTED, gone: Answer.REFUSED} == found


@pytest.mark.parametrize(("conclusive", "expected"), [(True, Answer.SILENT), (False, None)])
def test_a_connection_that_fails_otherwise(monkeypatch, conclusive, expected):
    """
    Where this host could not even ask nothing is known.
    """

    async def look(_):
        return Outcome(ok=False, reason="no answer", seconds=1.0, conclusive=conclusive)

    monkeypatch.setattr(trial, "look", look)

    assert {ONE: expected} == trial.connect([ONE])


def test_nobody_to_connect_to():
    """
    No loop is begun for nothing.
    """
    assert {} == trial.connect([])


def test_an_address_that_is_ours_no_more():
    """
    Nothing is asked from there.
    """
    asking = Asking(Answer.SILENT)
    gone = replace(SERVER, way=Way("eth0", source=STRANGER))

    assert {} == tried([gone], means(asking))[0].has
    assert [] == asking.probes
