"""The difference between two configurations, in the words that `lbctl diff` prints."""

from __future__ import annotations

import pytest

from lbctl.control.difference import difference
from tests.unit.control.fakes import configured, web

WEB = web(1, 2)
OTHER_VIP = "203.0.113.11:80/tcp"
CASES = {
    "a pool comes": ({}, {"pools": [WEB]}, ["+ pool web"]),
    "a pool goes": ({"pools": [WEB]}, {}, ["- pool web"]),
    "a weight changes": (
        {"pools": [WEB]},
        {"pools": [web(3, 2)]},
        ["~ pool web: back-end 10.0.1.11:8080 weight 1 -> 3"],
    ),
    "a back-end drains": (
        {"pools": [WEB]},
        {"pools": [{**WEB, "backends": [{**WEB["backends"][0], "state": "draining"}]}]},
        [
            "- pool web: back-end 10.0.1.12:8080",
            "~ pool web: back-end 10.0.1.11:8080 state active -> draining",
        ],
    ),
    "a back-end comes": (
        {"pools": [WEB]},
        {"pools": [web(1, 2, 1, 7)]},
        ["+ pool web: back-end 10.0.1.13:8080", "+ pool web: back-end 10.0.1.14:8080 weight 7"],
    ),
    "a VIP is exchanged, and how packets get there": (
        {"pools": [WEB]},
        {"pools": [web(1, 2, vips=[OTHER_VIP], scheduler="rr")]},
        [
            "~ pool web: scheduler maglev -> rr",
            "- pool web: vip 203.0.113.10:80/tcp",
            "+ pool web: vip 203.0.113.11:80/tcp",
        ],
    ),
    "NICs": (
        {"nics": [{"name": "eth0"}, {"name": "eth1"}]},
        {"nics": [{"name": "eth1", "mode": "generic"}, {"name": "eth2", "mode": "native"}]},
        ["- nic eth0", "+ nic eth2 mode native", "~ nic eth1: mode auto -> generic"],
    ),
    "a timeout": (
        {},
        {"settings": {"timeouts": {"udp": 30}}},
        ["~ settings: timeout udp 60 -> 30"],
    ),
    "the order in a pool": (
        {"pools": [WEB]},
        {"pools": [{**WEB, "backends": WEB["backends"][::-1]}]},
        ["~ pool web: order of VIPs or back-ends"],
    ),
    "the order of pools": (
        {"pools": [WEB, {"name": "dns"}]},
        {"pools": [{"name": "dns"}, WEB]},
        ["~ order of NICs or pools"],
    ),
    "nothing": ({"pools": [WEB]}, {"pools": [WEB]}, []),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_difference_is_one_line(case):
    """No change is silent: unequal configurations always have a line."""
    old, new, lines = case

    assert difference(configured(**old), configured(**new)) == tuple(lines)
