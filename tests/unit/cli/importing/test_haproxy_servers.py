"""
The servers of HAProxy: addresses, words, schedulers, checks, agents and timeouts.
"""

from __future__ import annotations

import pytest

from lbctl.cli.importing import haproxy
from lbctl.model import (
    Agent,
    HttpCheck,
    OnDown,
    Passive,
    SocketAddress,
    TcpCheck,
    Timeouts,
)
from tests.unit.cli.importing.saying import (
    ADDRESSES,
    IDLE,
    LOST,
    OTHER,
    by_name,
    proxy,
    remarks,
    servers,
    vips,
    why,
)

A = "server a 10.0.1.11:80 check"


def pool(imported):
    """The first pool."""
    return imported.configuration.pools[0]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.0.1.11:8080", "10.0.1.11:8080"),
        ("10.0.1.11", "10.0.1.11:80"),
        ("10.0.1.11:", "10.0.1.11:80"),
        ("10.0.1.11:+8000", "10.0.1.11:8080"),
        ("10.0.1.11:-1", "10.0.1.11:79"),
        ("ipv4@10.0.1.11:8080", "10.0.1.11:8080"),
        ("[2001:db8::11]:8080", "[2001:db8::11]:8080"),
        ("2001:db8::11:8080", "[2001:db8::11]:8080"),
        ("[2001:db8::11]", "[2001:db8::11]:80"),
    ],
)
def test_addresses(address, expected):
    """
    Without a port, or with a sign, it goes by the port of the VIP.
    """
    imported = proxy(f"server a {address}", bind="bind :::80 v4v6")

    assert [(expected, 1, "active")] == servers(pool(imported))


def test_ports_that_go_by_the_vip():
    """
    Each port of a frontend has its own pool then.
    """
    pools = by_name(proxy("server a 10.0.1.11:+8000", bind="bind 203.0.113.10:80,203.0.113.10:81"))

    assert {"web-80": ["203.0.113.10:80/tcp"], "web-81": ["203.0.113.10:81/tcp"]} == {
        name: vips(made) for name, made in pools.items()
    }
    assert [("10.0.1.11:8081", 1, "active")] == servers(pools["web-81"])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("server b www.example.com:80", "names are not resolved"),
        ("server b unix@/run/b.sock", "names are not resolved"),
        ("server b ${HOST}:80", "names are not resolved"),
        ("server b 10.0.1.12:http", "names are not resolved"),
        ("server b 127.0.0.1:80", "not a unicast address"),
        ("server b 10.0.1.12:70000", "the port must be 1 to 65535"),
        ("server b 10.0.1.12:-80", "it has no such port"),
        ("server b 10.0.1.11:80", "this server is there already"),
        ("server b 10.0.1.12:443 ssl verify none", "it expects TLS"),
        ("server b", "it has no address"),
        ("server-template b 1-3 b.example.com:80", "names are not resolved"),
    ],
)
def test_servers_that_are_not_taken(line, said):
    """
    The others are.
    """
    imported = proxy("server a 10.0.1.11:80", line)

    assert [("10.0.1.11:80", 1, "active")] == servers(pool(imported))
    assert {4: LOST} == remarks(imported)
    assert said in why(imported, 4)


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        ("maxconn 100", LOST, "maxconn 100: lbctl does not limit"),
        ("cookie a", LOST, "cookie a: it is of HTTP"),
        ("send-proxy-v2", OTHER, "send-proxy-v2: the server sees the client's address itself"),
        ("source 0.0.0.0 usesrc clientip", IDLE, "servers see the addresses of clients"),
        ("init-addr none", IDLE, "the address of a server is fixed"),
        ("fastinter 500ms", LOST, "fastinter 500ms: checks have nothing like it"),
        ("warp 9", LOST, "warp: lbctl has nothing like it"),
        ("weight 300", LOST, "weight 300: it must be 0 to 256"),
        ("agent-check", LOST, "it needs an agent-port"),
        ("agent-check agent-port 9200 agent-inter soon", LOST, "it is no time"),
        ("on-marked-down nothing", LOST, "it makes no sense"),
        ("slowstart soon", LOST, "it makes no sense"),
    ],
)
def test_words_that_are_not_taken(words, kind, said):
    """
    The server is, and it is said which word of it is not.
    """
    imported = proxy(f"server a 10.0.1.11:80 {words}")

    assert [("10.0.1.11:80", 1, "active")] == servers(pool(imported))
    assert kind == remarks(imported)[3]
    assert said in why(imported, 3)


def test_default_server():
    """
    It holds for the servers behind it; `no-` and a word of their own take it back.
    """
    imported = proxy(
        "server early 10.0.1.10:80",
        "default-server weight 7 disabled check",
        "server a 10.0.1.11:80",
        "server b 10.0.1.12:80 weight 9 enabled no-check",
    )

    assert [("10.0.1.10:80", 1, "active"), ("10.0.1.11:80", 7, "maintenance")] == servers(
        pool(imported)
    )[:2]
    assert ("10.0.1.12:80", 9, "active") == servers(pool(imported))[2]


@pytest.mark.parametrize(
    ("lines", "scheduler", "differs"),
    [
        ([], "wrr", False),
        (["balance roundrobin"], "wrr", False),
        (["balance leastconn"], "wlc", False),
        (["balance source", "hash-type consistent"], "sh", False),
        (["balance hash src"], "sh", False),
        (["balance random(3)"], "p2c", False),
        (["balance first"], "wlc", True),
        (["balance hdr(host)"], "maglev", True),
        (["balance hash path"], "maglev", True),
        (["balance of-my-own"], "wrr", True),
        (["stick on src"], "sh", True),
        (["balance leastconn", "balance source", "no balance"], "wrr", False),
    ],
)
def test_schedulers(lines, scheduler, differs):
    """
    The same or the nearest, and a remark where it is not the same.
    """
    imported = proxy("server a 10.0.1.11:80", *lines)

    assert scheduler == pool(imported).scheduler
    assert differs == (OTHER in remarks(imported).values())


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([A], TcpCheck(timeout=2)),
        (["server a 10.0.1.11:80"], None),
        (
            [f"{A} inter 500ms rise 3 fall 5 port 9000"],
            TcpCheck(interval=0.5, timeout=0.5, rise=3, fall=5, port=9000),
        ),
        ([A, "timeout check 300ms"], TcpCheck(timeout=0.3)),
        ([A, "option httpchk GET /up"], HttpCheck(timeout=2, path="/up")),
        (
            [A, "option httpchk GET /up HTTP/1.1\\r\\nHost:\\ a.example"],
            HttpCheck(timeout=2, path="/up", host="a.example"),
        ),
        (
            [
                *(A, "option httpchk", "http-check send meth GET uri /up hdr Host a.example"),
                "http-check expect status 200,204-206",
            ],
            HttpCheck(timeout=2, path="/up", host="a.example", status="200,204-206"),
        ),
        (
            [A, "option httpchk GET /", 'http-check expect string "all well"'],
            HttpCheck(timeout=2, body="all well", status="100-599"),
        ),
        (
            [A, "option httpchk GET /", "http-check connect port 8443 ssl sni a.example"],
            HttpCheck(timeout=2, check="https", port=8443, host="a.example"),
        ),
        (
            [f"{A} check-ssl verify required check-sni a.example", "option httpchk GET /"],
            HttpCheck(timeout=2, check="https", verify=True, host="a.example"),
        ),
        ([A, "option tcp-check", "tcp-check connect port 81"], TcpCheck(timeout=2, port=81)),
        ([A, "option httpchk GET /", "no option httpchk"], TcpCheck(timeout=2)),
        ([A, "option httpchk GET /", "option tcp-check"], TcpCheck(timeout=2)),
    ],
)
def test_checks(lines, expected):
    """
    The same check, with nothing to say about it.
    """
    imported = proxy(*lines)

    assert expected == pool(imported).health
    assert {} == remarks(imported, LOST, OTHER)


@pytest.mark.parametrize(
    ("lines", "line", "said"),
    [
        ([A, "option httpchk"], 4, "it is asked by GET"),
        ([A, "option mysql-check user x"], 4, "that a connection can be opened is all"),
        ([A, "option tcp-check", "tcp-check expect string PONG"], 5, "is all that is asked"),
        ([A, "option httpchk GET /", "http-check expect rstatus ^2"], 5, "only `status`"),
        ([A, "option httpchk GET /", "http-check expect status 2xx"], 5, "only `status`"),
        ([A, "option httpchk GET /", "http-check send hdr X-A b"], 5, "no header X-A is sent"),
        ([A, "option httpchk GET /", "http-check disable-on-404"], 5, "nothing like it"),
        ([A, "option httpchk GET no-path"], 1, "check tcp instead: http.path: "),
        ([A, "option httpchk /up"], 4, "it is asked by GET"),
        ([A, "option httpchk GET /", "http-check send body x"], 5, "no body is sent"),
        ([A, "option tcp-check", "tcp-check connect ssl"], 5, "is all that is asked"),
        ([A, "option tcp-check", "tcp-check connect addr 10.0.0.9"], 5, "checks have no addr"),
        ([A, "http-check expect status 200"], 4, "the check is not httpchk"),
        ([A, "timeout check soon"], 4, "it is no time"),
        ([A, "timeout check 5s"], 4, "a check ends before the next one begins: 2 s"),
        ([A, "server b 10.0.1.12:80"], 4, "it is checked, for others of its pool are"),
        ([A, "server b 10.0.1.12:80 check inter 9s"], 4, "that of the first"),
        ([f"{A} inter soon"], 3, "it is no time"),
        ([f"{A} rise 0"], 3, "it must be 1 to 100"),
    ],
)
def test_checks_that_differ(lines, line, said):
    """
    There is a check all the same, and it is said what is not the same.
    """
    imported = proxy(*lines)

    assert pool(imported).health is not None
    assert said in why(imported, line)


def test_agents():
    """
    One agent for all back-ends on its machine; what it says of weights needs a scheduler for it.
    """
    words = "agent-check agent-port 9200 agent-inter 5s"
    imported = proxy(f"server a 10.0.1.11:80 {words}", f"server b 10.0.1.11:81 {words}")
    both = tuple(SocketAddress.parse(f"10.0.1.11:{port}") for port in (80, 81))
    agent = Agent(address="10.0.1.11:9200", kind="haproxy", interval=5, stale=15, backends=both)

    assert (agent,) == imported.configuration.agents
    assert "least-load" == pool(imported).scheduler
    assert {1: OTHER} == remarks(imported)


def test_agents_beside_another_scheduler():
    """
    It stays, and it is said that only their drain, maintenance and down count.
    """
    imported = proxy("balance leastconn", "server a 10.0.1.11:80 agent-check agent-port 9200")

    assert "wlc" == pool(imported).scheduler
    assert "count with least-load only" in why(imported, 1)


def test_what_a_server_that_is_down_brings():
    """
    Words of servers that are a policy of the pool here.
    """
    words = "on-marked-down shutdown-sessions slowstart 30s observe layer4"
    made = pool(proxy(f"server a 10.0.1.11:80 {words}"))
    one = proxy(f"server a 10.0.1.11:80 {words}", "server b 10.0.1.12:80")

    assert (OnDown.RESET, 30, Passive()) == (made.on_down, made.balance.slow_start, made.passive)
    assert "slowstart 30s: a pool has this for all of its servers" in why(one, 3)


def test_timeouts():
    """
    The longest holds for the switch; who had another one is told.
    """
    lines = [
        *("server a 10.0.1.11:80", "timeout client 50s", "timeout server 1m", "timeout tunnel 1h"),
        *("timeout client-fin 30s", "timeout connect 5s", "timeout server-fin soon"),
    ]
    imported = proxy(*lines)

    times = Timeouts(established=3600, closing=30)
    assert times == imported.configuration.settings.timeouts
    assert {4: OTHER, 5: OTHER, 8: IDLE, 9: LOST} == remarks(imported)


def test_timeouts_of_others():
    """
    What no traffic goes through says nothing; the model's limits are kept.
    """
    text = "backend idle\ntimeout server 2h\nlisten a\nbind *:80\nserver a 10.0.1.1:80\n"
    made = haproxy.read(f"{text}timeout client 1ms\ntimeout server 1ms\n", ADDRESSES)

    assert Timeouts(established=2) == made.configuration.settings.timeouts
