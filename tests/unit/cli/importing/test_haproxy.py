"""
A haproxy.cfg, read: which pools there are, with their VIPs, rules and backups.
"""

from __future__ import annotations

import pytest

from lbctl.cli.importing import haproxy
from lbctl.errors import LbctlError
from tests.unit.cli.importing.saying import (
    ADDRESSES,
    LOST,
    OTHER,
    TWO,
    by_name,
    proxy,
    remarks,
    rules,
    servers,
    vips,
    why,
)

SITE = """\
global
    log /dev/log local0
    maxconn 20000
    daemon

defaults
    mode tcp
    timeout connect 5s
    timeout client 10m
    timeout server 10m

frontend web
    bind *:80
    acl office src 198.51.100.0/24
    use_backend preview if office
    default_backend servers

frontend mail
    bind 203.0.113.25:25
    default_backend relays

backend servers
    balance leastconn
    server w1 10.0.1.11:8080 weight 10
    server w2 10.0.1.12:8080 weight 20
    server sorry 10.0.9.1:8080 backup

backend preview
    server p1 10.0.2.11:8080

backend relays
    balance source
    server r1 10.0.3.11:25 disabled
    server r2 10.0.3.12:25 weight 0
"""


def read(text, addresses=ADDRESSES):
    """Read a text."""
    return haproxy.read(text, addresses)


def test_a_site():
    """
    Frontends become VIPs, backends pools, conditions on clients rules, backups a pool of their own.
    """
    imported = read(SITE)
    pools = by_name(imported)

    assert {34: OTHER} == remarks(imported, LOST, OTHER)
    assert ["servers", "relays", "preview", "servers-backup"] == [*pools]
    assert ["203.0.113.10:80/tcp"] == vips(pools["servers"])
    assert ["clients 198.51.100.0/24 to pool preview"] == rules(pools["servers"])
    assert [("10.0.1.11:8080", 10, "active"), ("10.0.1.12:8080", 20, "active")] == servers(
        pools["servers"]
    )
    assert "servers-backup" == pools["servers"].backup
    assert [("10.0.9.1:8080", 1, "active")] == servers(pools["servers-backup"])
    assert [("10.0.3.11:25", 1, "maintenance"), ("10.0.3.12:25", 1, "draining")] == servers(
        pools["relays"]
    )
    assert ["wlc", "sh", "wrr"] == [p.scheduler for p in pools.values()][:3]
    assert {"nat"} == {pool.forward for pool in pools.values()}


@pytest.mark.parametrize(
    ("bind", "expected"),
    [
        ("*:80", ["203.0.113.10:80/tcp"]),
        (":80", ["203.0.113.10:80/tcp"]),
        ("0.0.0.0:80 name web", ["203.0.113.10:80/tcp"]),
        (":::80 v6only", ["[2001:db8::10]:80/tcp"]),
        ("[::]:80 v4v6", ["203.0.113.10:80/tcp", "[2001:db8::10]:80/tcp"]),
        ("203.0.113.7:80-82", [f"203.0.113.7:{port}/tcp" for port in (80, 81, 82)]),
        ("203.0.113.7:80,203.0.113.8:81", ["203.0.113.7:80/tcp", "203.0.113.8:81/tcp"]),
        ("ipv4@203.0.113.7:80 interface eth0", ["203.0.113.7:80/tcp"]),
        ("2001:db8::7:443", ["[2001:db8::7]:443/tcp"]),
    ],
)
def test_binds(bind, expected):
    """
    Every address and port is a VIP; `*` is what --address says.
    """
    lines = ["server a 10.0.1.11:8080", "server b [2001:db8:1::11]:8080"]
    imported = proxy(*lines, bind=f"bind {bind}")

    assert {*expected} == {v for p in imported.configuration.pools for v in vips(p)}
    assert 2 not in remarks(imported)


@pytest.mark.parametrize(
    ("bind", "said"),
    [
        ("203.0.113.7:443 ssl crt /etc/site.pem", "lbctl does not end TLS"),
        ("/run/haproxy.sock", "it must be an address and a port"),
        ("abns@name", "it must be an address and a port"),
        ("203.0.113.7:1-60000", "up to 256 ports"),
        ("203.0.113.7", "it must be an address and a port"),
        ("127.0.0.1:80", "not a unicast address"),
        ("shop.example.com:80", "'shop.example.com' is not an IP address"),
        ("", "it has no address"),
    ],
)
def test_binds_that_are_not_taken(bind, said):
    """
    It is said why; a frontend without any makes no pool.
    """
    imported = proxy("server a 10.0.1.11:8080", bind=f"bind {bind}")

    assert () == imported.configuration.pools
    assert said in why(imported, 2)
    assert {1: LOST, 2: LOST} == remarks(imported, LOST)


def test_a_star_needs_an_address():
    """
    Which one no text can tell.
    """
    imported = read("listen web\nbind *:80\nbind :::80\nserver a 10.0.1.11:80", ADDRESSES[:1])

    assert ["203.0.113.10:80/tcp"] == vips(*imported.configuration.pools)
    assert "say the IPv6 one with --address" in why(imported, 3)


def test_words_of_a_bind():
    """
    What reaches into the connection is said, the rest of them is nobody's business.
    """
    imported = proxy("server a 10.0.1.11:80", bind="bind 203.0.113.7:80 accept-proxy maxconn 9")

    assert "accept-proxy: the servers themselves" in why(imported, 2)
    assert "maxconn: lbctl does not limit" in why(imported, 2)


def test_frontends_with_the_same_backend():
    """
    Without rules they share a pool; one with rules has a copy, for a target must not have any.
    """
    imported = read(
        "frontend plain\nbind 203.0.113.1:80\ndefault_backend app\n"
        "frontend too\nbind 203.0.113.2:80\ndefault_backend app\n"
        "frontend ruled\nbind 203.0.113.3:80\nuse_backend other if { src 10.0.0.0/8 }\n"
        f"default_backend app{TWO}"
    )
    pools = by_name(imported)

    assert ["app", "ruled", "other"] == [*pools]
    assert ["203.0.113.1:80/tcp", "203.0.113.2:80/tcp"] == vips(pools["app"])
    assert servers(pools["app"]) == servers(pools["ruled"])
    assert ([], ["clients 10.0.0.0/8 to pool other"]) == (
        rules(pools["app"]),
        rules(pools["ruled"]),
    )


def test_both_families():
    """
    A pool has one; servers that no VIP of their family leads to are told of.
    """
    lines = ["server a 10.0.1.11:80", "server b [2001:db8:1::11]:80"]
    both = by_name(proxy(*lines, bind="bind :::80 v4v6"))
    one = proxy(*lines)

    assert {"web": ["10.0.1.11:80"], "web-v6": ["[2001:db8:1::11]:80"]} == {
        name: [address for address, *_ in servers(pool)] for name, pool in both.items()
    }
    assert {4: LOST} == remarks(one, LOST)
    assert "no VIP of its address family" in why(one, 4)


def test_only_rules():
    """
    A frontend without a default serves the clients of its rules, and nobody else.
    """
    imported = read(f"frontend f\nbind *:80\nuse_backend app if {{ src 10.0.0.0/8 }}{TWO}")
    pools = by_name(imported)

    assert ["f", "app"] == [*pools]
    assert ([], ["clients 10.0.0.0/8 to pool app"]) == (servers(pools["f"]), rules(pools["f"]))


def test_several_backups():
    """
    They serve together; with allbackups HAProxy has it so as well.
    """
    lines = [
        *("server a 10.0.1.11:80", "server b 10.0.1.12:80 backup", "server c 10.0.1.13:80 backup"),
    ]

    assert {4: OTHER, 5: OTHER} == remarks(proxy(*lines))
    assert {} == remarks(proxy(*lines, "option allbackups"))


@pytest.mark.parametrize(
    ("text", "pools"),
    [
        (
            "listen a\nbind *:80\nserver s 10.0.1.11:80\nlisten a\nbind *:81\nserver s 10.0.1.1:81",
            1,
        ),
        (
            "listen a\nbind *:80\nserver s 10.0.1.11:80\nlisten b\nbind *:80\nserver s 10.0.1.1:80",
            1,
        ),
        ("listen a\nbind *:80\nmode log\nserver s 10.0.1.11:80", 0),
        ("listen a\nbind *:80\ndisabled\nserver s 10.0.1.11:80", 0),
        ("listen\nbind *:80\nserver s 10.0.1.11:80", 0),
        ("listen a\nbind *:80\ndefault_backend nowhere", 0),
        ("backend lonely\nserver s 10.0.1.11:80", 0),
        ("listen stats\nbind *:80\nstats enable", 0),
    ],
)
def test_proxies_that_are_not_taken(text, pools):
    """
    It is said, and those beside them are taken.
    """
    imported = read(text)

    assert pools == len(imported.configuration.pools)
    assert remarks(imported, LOST)


def test_an_address_beside_the_name():
    """
    As it was written before there were binds.
    """
    imported = read("listen web 203.0.113.7:80\n server a 10.0.1.11:80")

    assert ["203.0.113.7:80/tcp"] == vips(*imported.configuration.pools)


def test_what_cannot_stand_in_defaults():
    """
    No proxy has it then.
    """
    imported = read("defaults\nbind *:81\nlisten web\nbind *:80\nserver a 10.0.1.11:80")

    assert ["203.0.113.10:80/tcp"] == vips(*imported.configuration.pools)
    assert {2: LOST} == remarks(imported)


@pytest.mark.parametrize("text", ["", "\n", "-A -t 203.0.113.10:80 -s rr", "peers p\n", "\0", '"'])
def test_no_file_of_haproxy(text):
    """
    Without any section that HAProxy has it is something else.
    """
    with pytest.raises(LbctlError, match="there is no frontend, backend or listen in it"):
        read(text)
