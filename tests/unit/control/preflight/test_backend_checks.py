"""
The checks of back-ends.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from lbctl.control.preflight.backend_checks import CHECKS, no_answers, return_route, vip_missing
from lbctl.control.preflight.facts import Answer, Way
from lbctl.model import State, Vip
from lbctl.shared.abi import NextHopState
from tests.unit.control.preflight.made import BACKEND, DSR, VIP, judged

ANY = Vip.parse("203.0.113.20:*/tcp")
UNTRIED = {"accepts": None, "returns": None}
GONE = {**UNTRIED, "nic": "", "nic_mtu": None}
EXPLAIN = "lbctl explain tcp 10.0.1.11:8080 192.0.2.1:50000 --flags SYN,ACK"

CASES = {
    "all is well": (BACKEND, {}),
    "all is well, dsr": (DSR, {}),
    "udp is not tried": (replace(BACKEND, tcp=False, **UNTRIED), {}),
    "the switch itself": (
        replace(BACKEND, hop=NextHopState.NO_ROUTE, way=Way("lo", own=True), tcp=False),
        {"own_address": ("error", "lbctl backend remove web 10.0.1.11:8080")},
    ),
    "no route": (
        replace(BACKEND, hop=NextHopState.NO_ROUTE, way=None, tcp=False),
        {"no_route": ("error", "ip route add 10.0.1.11 via GATEWAY")},
    ),
    "not attached": (
        replace(BACKEND, hop=NextHopState.NOT_ATTACHED, way=Way("eth7"), tcp=False),
        {"route_not_attached": ("error", "lbctl attach eth7")},
    ),
    "no neighbor": (
        replace(BACKEND, hop=NextHopState.UNRESOLVED, tcp=False),
        {"no_neighbor": ("error", "ping -c 3 10.0.1.11")},
    ),
    "its gateway is no neighbor": (
        replace(
            BACKEND,
            hop=NextHopState.UNRESOLVED,
            way=Way("eth0", ip_address("10.0.1.9")),
            tcp=False,
        ),
        {"no_neighbor": ("error", "ping -c 3 10.0.1.9")},
    ),
    "a route with a small MTU": (
        replace(BACKEND, mtu=1400),
        {"route_mtu": ("warning", "ip route get 10.0.1.11")},
    ),
    "its check failed": (
        replace(BACKEND, state=State.DOWN, reason="connection refused"),
        {"backend_down": ("warning", "lbctl health check web 10.0.1.11:8080")},
    ),
    "inhibited": (
        replace(BACKEND, state=State.DRAINING, reason="inhibited", checked=False),
        {"backend_down": ("warning", "lbctl backend list web")},
    ),
    "drained by its administrator": (replace(BACKEND, state=State.DRAINING), {}),
    "refuses, and nobody checks": (
        replace(BACKEND, accepts=Answer.REFUSED, returns=None, checked=False),
        {"backend_refuses": ("error", "lbctl pool set web --check tcp")},
    ),
    "refuses, and its check says so": (
        replace(BACKEND, accepts=Answer.REFUSED, returns=None),
        {},
    ),
    "could not be tried": (
        replace(BACKEND, **UNTRIED, checked=False),
        {"backend_refuses": "?", "return_route": "?"},
    ),
    "answers take another way": (
        replace(BACKEND, returns=Answer.SILENT),
        {"return_route": ("error", "ip route replace default via 10.0.1.1  # on 10.0.1.11")},
    ),
    "answers to some take another way": (
        replace(BACKEND, returns=Answer.SILENT, connections=9, answers=5),
        {"return_route": ("warning", "ip route replace default via 10.0.1.1  # on 10.0.1.11")},
    ),
    "never an answer": (
        replace(BACKEND, connections=3),
        {"no_answers": ("error", EXPLAIN)},
    ),
    "never an answer, and a check has found out": (
        replace(BACKEND, connections=3, state=State.DOWN, reason="no answer"),
        {"backend_down": ("warning", "lbctl health check web 10.0.1.11:8080")},
    ),
    "only just asked": (replace(BACKEND, connections=2), {}),
    "dsr answers are not seen": (replace(DSR, connections=9), {}),
    "no VIP": (
        replace(DSR, has={VIP: Answer.SILENT}),
        {"vip_missing": ("error", "ip address add 203.0.113.10/32 dev lo  # on 10.0.1.11")},
    ),
    "the VIP, and nobody listens": (
        replace(DSR, has={VIP: Answer.ACCEPTED, ANY: Answer.REFUSED}),
        {"vip_missing": ("error", "ss -ltn sport = :8080  # on 10.0.1.11")},
    ),
    "the VIP could not be tried": (replace(DSR, has={}), {"vip_missing": "?"}),
}


@pytest.mark.parametrize(("backend", "expected"), CASES.values(), ids=CASES)
def test_backend(backend, expected):
    """
    What is said of such a back-end.
    """
    assert expected == judged(CHECKS, backend)


def test_who_refused_is_told_from_who_was_silent():
    """
    Both have answered no connection.
    """
    asked = replace(BACKEND, connections=5)

    assert "was given 5 connections and answered none of them" == no_answers(asked).what
    assert "refused them all" in no_answers(replace(asked, resets=5)).what


def test_commands_for_ipv6():
    """
    They have the option that `ip` needs.
    """
    address = BACKEND.address._replace(address=ip_address("2001:db8:a::11"))
    backend = replace(
        BACKEND, address=address, returns=Answer.SILENT, gateway=ip_address("2001:db8:a::1")
    )
    vip = Vip.parse("[2001:db8:f::1]:80/tcp")

    expected = "ip -6 route replace default via 2001:db8:a::1  # on 2001:db8:a::11"
    assert expected == return_route(backend).cure
    dsr = replace(DSR, address=address, has={vip: Answer.SILENT})
    assert "ip address add 2001:db8:f::1/128 dev lo  # on 2001:db8:a::11" == vip_missing(dsr).cure
