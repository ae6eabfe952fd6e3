"""The difference between two configurations, in the words that `lbctl diff` prints."""

from __future__ import annotations

import pytest

from lbctl.control.difference import difference
from tests.unit.control.fakes import configured, web

WEB = web(1, 2)
OTHER_VIP = "203.0.113.11:80/tcp"
SPARE, AGENT = {"name": "spare"}, {"address": "10.0.1.11:9777", "kind": "orca"}
LB0 = {"name": "lb0", "addresses": ["203.0.113.1/32"]}
VOIP = {"name": "voip", "vips": ["203.0.113.20:5060/udp"]}
RULES = [{"clients": "198.51.100.0/24", "pool": "spare"}]
INSTEAD = {"on_down": "reset", "quorum": 1, "panic": 0.5, "backup": "spare", "rules": RULES}
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
        ["~ order of NICs, pools, agents, programs or processors"],
    ),
    "a check comes": (
        {"pools": [WEB]},
        {"pools": [web(1, 2, health={"check": "http"}, passive={})]},
        ["~ pool web: health none -> http", "~ pool web: passive none -> on"],
    ),
    "a check goes": (
        {"pools": [web(1, 2, health={"check": "tcp"}, passive={})]},
        {"pools": [WEB]},
        ["~ pool web: health tcp -> none", "~ pool web: passive on -> none"],
    ),
    "a check of another kind": (
        {"pools": [web(1, 2, health={"check": "tcp"})]},
        {"pools": [web(1, 2, health={"check": "udp"})]},
        ["~ pool web: health tcp -> udp"],
    ),
    "parts of a check, of passive health and of the balance": (
        {"pools": [web(1, 2, health={"check": "http"}, passive={})]},
        {
            "pools": [
                web(
                    *(1, 2),
                    health={"check": "https", "interval": 5, "host": "a.example"},
                    passive={"ratio": 0.1},
                    balance={"slow_start": 30},
                )
            ]
        },
        [
            "~ pool web: health interval 2 -> 5",
            "~ pool web: health check http -> https",
            "~ pool web: health host none -> a.example",
            "~ pool web: passive ratio 0.5 -> 0.1",
            "~ pool web: balance slow_start 0 -> 30",
        ],
    ),
    "who serves instead": (
        {"pools": [WEB, SPARE]},
        {"pools": [web(1, 2, **INSTEAD), SPARE]},
        [
            "~ pool web: on_down keep -> reset",
            "~ pool web: quorum 0 -> 1",
            "~ pool web: panic 0 -> 0.5",
            "~ pool web: backup none -> spare",
            "~ pool web: rules none -> clients 198.51.100.0/24 to pool spare",
        ],
    ),
    "nobody serves instead": (
        {"pools": [web(1, 2, backup="spare", rules=RULES), SPARE]},
        {"pools": [WEB, SPARE]},
        [
            "~ pool web: backup spare -> none",
            "~ pool web: rules clients 198.51.100.0/24 to pool spare -> none",
        ],
    ),
    "agents": (
        {"agents": [AGENT, {**AGENT, "address": "10.0.1.12:9777"}]},
        {
            "agents": [
                {**AGENT, "interval": 2, "backends": ["10.0.1.11:80", "10.0.1.11:81"]},
                {**AGENT, "address": "10.0.1.13:9777"},
            ]
        },
        [
            "- agent 10.0.1.12:9777",
            "~ agent 10.0.1.11:9777: interval 1 -> 2",
            "~ agent 10.0.1.11:9777: backends none -> 10.0.1.11:80, 10.0.1.11:81",
            "+ agent 10.0.1.13:9777",
        ],
    ),
    "the order of agents": (
        {"agents": [AGENT, {**AGENT, "address": "10.0.1.12:9777"}]},
        {"agents": [{**AGENT, "address": "10.0.1.12:9777"}, AGENT]},
        ["~ order of NICs, pools, agents, programs or processors"],
    ),
    "pseudo interfaces": (
        {"pseudo": [LB0, {"name": "lb1", "addresses": ["203.0.113.9"]}]},
        {
            "pseudo": [
                {"name": "lb0", "addresses": ["203.0.113.2/32", "2001:db8::1/64"], "mtu": 1400},
                {"name": "lb2", "addresses": ["203.0.113.9"]},
            ]
        },
        [
            "- pseudo lb1",
            "~ pseudo lb0: mtu none -> 1400",
            "- pseudo lb0: address 203.0.113.1/32",
            "+ pseudo lb0: address 203.0.113.2/32",
            "+ pseudo lb0: address 2001:db8::1/64",
            "+ pseudo lb2",
        ],
    ),
    "apps": (
        {"apps": [VOIP, {"name": "old", "vips": ["203.0.113.53:53/udp"]}]},
        {
            "apps": [
                {
                    "name": "voip",
                    "vips": ["203.0.113.20:5061/udp"],
                    "queues": [0, 1],
                    "on_exit": "kernel",
                    "hung_after": 0.5,
                },
                {"name": "new", "vips": ["203.0.113.53:53/udp"]},
            ]
        },
        [
            "- app old",
            "~ app voip: queues none -> 0, 1",
            "~ app voip: on_exit reset -> kernel",
            "~ app voip: hung_after 5 -> 0.5",
            "- app voip: vip 203.0.113.20:5060/udp",
            "+ app voip: vip 203.0.113.20:5061/udp",
            "+ app new",
        ],
    ),
    "the order in an app": (
        {"apps": [{**VOIP, "vips": [*VOIP["vips"], OTHER_VIP]}]},
        {"apps": [{**VOIP, "vips": [OTHER_VIP, *VOIP["vips"]]}]},
        ["~ app voip: order of vips"],
    ),
    "the order of apps": (
        {"apps": [VOIP, {"name": "new", "vips": [OTHER_VIP]}]},
        {"apps": [{"name": "new", "vips": [OTHER_VIP]}, VOIP]},
        ["~ order of NICs, pools, agents, programs or processors"],
    ),
    "processors": (
        {"processors": [{"name": "one", "cpus": [1]}, {"name": "two", "cpus": [2]}]},
        {
            "processors": [
                {"name": "two", "cpus": [2, 3], "nics": ["eth0"], "polling": "busy"},
                {"name": "three", "cpus": [1], "role": "control"},
            ]
        },
        [
            "- processor one",
            "~ processor two: cpus 2 -> 2, 3",
            "~ processor two: nics none -> eth0",
            "~ processor two: polling interrupt -> busy",
            "+ processor three",
        ],
    ),
    "where the resource manager runs": (
        {},
        {"settings": {"resource_manager": "remote"}},
        ["~ settings: resource_manager local -> remote"],
    ),
    "nothing": ({"pools": [WEB]}, {"pools": [WEB]}, []),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_difference_is_one_line(case):
    """No change is silent: unequal configurations always have a line."""
    old, new, lines = case

    assert difference(configured(**old), configured(**new)) == tuple(lines)
