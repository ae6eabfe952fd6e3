"""
Conditions of HAProxy: which become rules, which are decided here, which cannot be taken.
"""

from __future__ import annotations

import pytest

from lbctl.cli.importing import haproxy
from tests.unit.cli.importing.saying import ADDRESSES, TWO, remarks, rules, vips, why


def read(text):
    """Read a text."""
    return haproxy.read(text, ADDRESSES)


@pytest.mark.parametrize(
    ("uses", "expected"),
    [
        ("use_backend other if { src 198.51.100.0/24 }", ["198.51.100.0/24"]),
        (
            "use_backend other if { src 198.51.100.7 198.51.100.9 }",
            [
                "198.51.100.7/32",
                "198.51.100.9/32",
            ],
        ),
        (
            "use_backend other if { src 198.51.100.7/24 } or { src 192.0.2.1 }",
            [
                "198.51.100.0/24",
                "192.0.2.1/32",
            ],
        ),
        (
            "use_backend other if { src 198.51.100.0/24 } { src 198.51.100.0/28 }",
            [
                "198.51.100.0/28",
            ],
        ),
        ("use_backend other if { src 198.51.100.0/24 } { dst_port 80 }", ["198.51.100.0/24"]),
        ("use_backend other if { src 198.51.100.0/24 } !{ dst_port 443 }", ["198.51.100.0/24"]),
        ("use_backend other if { src 2001:db8::/32 }", []),
        ("use_backend other if { src 198.51.100.0/24 } { dst 203.0.113.99 }", []),
        ("use_backend other if FALSE", []),
    ],
)
def test_rules(uses, expected):
    """
    Conditions on clients become rules, those on the VIP's own address and port are decided here.
    """
    imported = read(f"frontend f\nbind *:80\n{uses}\ndefault_backend app{TWO}")
    pool = imported.configuration.pools[0]

    assert "app" == pool.name
    assert [f"clients {network} to pool other" for network in expected] == rules(pool)
    assert 3 not in remarks(imported)


@pytest.mark.parametrize(
    "condition",
    [
        "if { dst_port 80 }",
        "if { dst_port 70:90 }",
        "if { dst_port lt 100 }",
        "if { dst_port ge 80 }",
        "unless { dst_port 443 }",
        "if { dst 203.0.113.0/24 }",
        "if TRUE",
        "if { src 0.0.0.0/0 }",
        "",
    ],
)
def test_conditions_that_always_hold(condition):
    """
    The VIP belongs to that backend then, without a rule.
    """
    imported = read(
        f"frontend f\nbind *:80\nuse_backend other {condition}\ndefault_backend app{TWO}"
    )
    (pool,) = imported.configuration.pools

    assert ("other", ["203.0.113.10:80/tcp"], []) == (pool.name, vips(pool), rules(pool))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("use_backend other if { path_beg /api }", "only addresses and ports decide"),
        ("use_backend other if { src -f /etc/office.lst }", "only addresses and ports decide"),
        ("use_backend other if !{ src 198.51.100.0/24 }", "only addresses and ports decide"),
        ("use_backend other unless { src 198.51.100.0/24 }", "only addresses and ports decide"),
        ("use_backend other if { dst_port http }", "only addresses and ports decide"),
        ("use_backend other if { src www.example.com }", "only addresses and ports decide"),
        ("use_backend other if { src ::ffff:10.0.0.1 }", "only addresses and ports decide"),
        ("use_backend other if { src fe80::%1/64 }", "only addresses and ports decide"),
        ("use_backend other if office", "there is no acl 'office'"),
        ("use_backend other if { src 198.51.100.7", "a { is not closed"),
        ("use_backend other if { src 198.51.100.7 } or", "a test is missing"),
        ("use_backend other if", "a condition"),
        ("use_backend %[req.hdr(host)]", "there is no such backend"),
        ("use_backend nowhere if TRUE", "there is no such backend"),
        ("use_backend empty if TRUE", "no server of it can serve this VIP"),
    ],
)
def test_conditions_that_are_not_taken(line, said):
    """
    Connections go on to the default then.
    """
    text = f"frontend f\nbind *:80\n{line}\ndefault_backend app{TWO}backend empty\n server x x:80"
    pool = read(text).configuration.pools[0]

    assert ("app", []) == (pool.name, rules(pool))
    assert said in why(read(text), 3)


def test_the_first_condition_wins():
    """
    What an earlier line has, a later one cannot have; a narrower earlier one is an exception.
    """
    imported = read(
        "frontend f\nbind *:80\n"
        "use_backend third if { src 10.1.0.0/16 }\n"
        "use_backend other if { src 10.0.0.0/8 }\n"
        "use_backend third if { src 10.2.0.0/16 }\n"
        f"default_backend app{TWO}backend third\n server t 10.0.3.11:80\n"
    )
    pool = imported.configuration.pools[0]

    assert ["clients 10.1.0.0/16 to pool third", "clients 10.0.0.0/8 to pool other"] == rules(pool)


def test_an_exception_for_the_default():
    """
    A rule cannot name its own pool, so that one is not taken.
    """
    imported = read(
        "frontend f\nbind *:80\n"
        "use_backend app if { src 10.1.0.0/16 }\n"
        "use_backend other if { src 10.0.0.0/8 }\n"
        f"default_backend app{TWO}"
    )

    assert ["clients 10.0.0.0/8 to pool other"] == rules(imported.configuration.pools[0])
    assert "it is an exception to a later line" in why(imported, 3)
