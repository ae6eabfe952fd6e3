"""
Every command: which words call the daemon how, and what is said of it.
"""

from __future__ import annotations

from ipaddress import ip_address
from unittest.mock import call

import pytest

from lbctl.model import SocketAddress, Vip

SERVER = SocketAddress.parse("10.0.1.11:8080")
AGENT = SocketAddress.parse("10.0.1.11:9150")
VIP = Vip.parse("203.0.113.10:443/tcp")
CHANGES = [
    (
        "attach eth1",
        call.attach(("eth1",), "auto"),
        "eth1: attached, native mode, program 938c70b5e007bfbb",
    ),
    (
        "attach eth1 eth2 --mode generic",
        call.attach(("eth1", "eth2"), "generic"),
        "eth1: attached, native mode, program 938c70b5e007bfbb",
    ),
    ("detach eth1", call.detach(("eth1",)), "eth1: detached"),
    ("detach --all", call.detach(None), "eth1: detached"),
    (
        "pool add web --vip 203.0.113.10:80/tcp",
        call.add_pool({"name": "web", "vips": ["203.0.113.10:80/tcp"]}, force=False),
        "pool web: added, VIPs: 2, back-ends: 2",
    ),
    (
        """pool add web --vip [2001:db8::1]:*/udp --vip [2001:db8:0::2]:53/udp
        --backend [2001:db8:1::11]:53 --backend [2001:db8:1::12]:53,weight=3
        --forward dsr --scheduler wrr --on-unknown hash --table-size 251 --force""",
        call.add_pool(
            {
                "name": "web",
                "vips": ["[2001:db8::1]:*/udp", "[2001:db8::2]:53/udp"],
                "backends": [
                    {"address": "[2001:db8:1::11]:53"},
                    {"address": "[2001:db8:1::12]:53", "weight": 3},
                ],
                "forward": "dsr",
                "scheduler": "wrr",
                "on_unknown": "hash",
                "table_size": 251,
            },
            force=True,
        ),
        "pool web: added, VIPs: 2, back-ends: 2",
    ),
    (
        "pool set web --scheduler rr",
        call.set_pool("web", {"scheduler": "rr"}, force=False),
        "pool web: changed",
    ),
    (
        "pool set web --vip 203.0.113.10:443/tcp --backend 10.0.1.11:8080,weight=0",
        call.set_pool(
            "web",
            {
                "vips": ["203.0.113.10:443/tcp"],
                "backends": [{"address": "10.0.1.11:8080", "weight": 0}],
            },
            force=False,
        ),
        "pool web: changed",
    ),
    ("pool remove web", call.remove_pool("web"), "pool web: removed"),
    (
        "vip add web 203.0.113.10:443/tcp",
        call.add_vip("web", VIP),
        "pool web: VIP 203.0.113.10:443/tcp added",
    ),
    (
        "vip remove web 203.0.113.10:443/tcp",
        call.remove_vip("web", VIP),
        "pool web: VIP 203.0.113.10:443/tcp removed",
    ),
    (
        "backend add web 10.0.1.11:8080 --weight 0",
        call.add_backend("web", {"address": "10.0.1.11:8080", "weight": 0}, force=False),
        "pool web: back-end 10.0.1.11:8080 added",
    ),
    (
        "backend remove web 10.0.1.11:8080",
        call.remove_backend("web", SERVER, now=False),
        "pool web: back-end 10.0.1.11:8080 removed",
    ),
    (
        "backend remove web 10.0.1.11:8080 --now",
        call.remove_backend("web", SERVER, now=True),
        "pool web: back-end 10.0.1.11:8080 removed",
    ),
    (
        "backend restore web 10.0.1.11:8080",
        call.set_backend("web", SERVER, {"state": "active"}, force=False),
        "pool web: back-end 10.0.1.11:8080 is active",
    ),
    (
        "backend set web 10.0.1.11:8080 --weight 3 --force",
        call.set_backend("web", SERVER, {"weight": 3}, force=True),
        "pool web: back-end 10.0.1.11:8080 has weight 3",
    ),
    (
        "backend maintenance web 10.0.1.11:8080",
        call.set_backend("web", SERVER, {"state": "maintenance"}),
        "pool web: back-end 10.0.1.11:8080 is in maintenance",
    ),
    (
        "agent add 10.0.1.12:9100 --kind node-exporter",
        call.add_agent({"address": "10.0.1.12:9100", "kind": "node-exporter"}),
        "agent 10.0.1.12:9100: added, back-ends: 1",
    ),
    (
        """agent add 10.0.1.11:9150 --key-file /etc/lbctl/agent.key --path /load --interval 2
        --timeout 0.5 --stale 30 --backend 10.0.1.11:8080 --backend 10.0.1.11:8443""",
        call.add_agent(
            {
                "address": "10.0.1.11:9150",
                "key_file": "/etc/lbctl/agent.key",
                "path": "/load",
                "interval": 2.0,
                "timeout": 0.5,
                "stale": 30.0,
                "backends": ["10.0.1.11:8080", "10.0.1.11:8443"],
            }
        ),
        "agent 10.0.1.11:9150: added, back-ends: 1",
    ),
    (
        "agent remove 10.0.1.11:9150",
        call.remove_agent(AGENT),
        "agent 10.0.1.11:9150: removed",
    ),
    (
        "connection flush",
        call.flush_connections(pool=None, backend=None, client=None),
        "connections flushed: 3",
    ),
    (
        "connection flush --pool web --backend 10.0.1.11:8080 --client 198.51.100.7",
        call.flush_connections(pool="web", backend=SERVER, client=ip_address("198.51.100.7")),
        "connections flushed: 3",
    ),
    (
        "rollback 3",
        call.rollback(3, force=False),
        "+ pool web\n~ settings: timeout udp 60 -> 30\ngeneration 8 is active",
    ),
]
QUESTIONS = [
    ("status", call.status()),
    ("pool list", call.pools()),
    ("pool show web", call.pool("web")),
    ("vip list", call.vips()),
    ("backend list", call.backends(None)),
    ("backend list web", call.backends("web")),
    ("health list", call.health(None)),
    ("health list web", call.health("web")),
    ("agent list", call.agents()),
    ("agent show 10.0.1.11:9150", call.agent(AGENT)),
    ("events", call.events(limit=100, kind=None)),
    ("events --limit 7 --kind health", call.events(limit=7, kind="health")),
    ("route list", call.routes()),
    ("neighbor list", call.neighbors()),
    ("connection list", call.connections(limit=1000, pool=None, backend=None, client=None)),
    (
        "connection list --client 2001:db8::7 --limit 5",
        call.connections(limit=5, pool=None, backend=None, client=ip_address("2001:db8::7")),
    ),
    (
        "connection list --client [2001:db8::7]:4711",
        call.connections(
            limit=1000,
            pool=None,
            backend=None,
            client=SocketAddress.parse("[2001:db8::7]:4711"),
        ),
    ),
    ("connection count --pool web", call.count_connections(pool="web", backend=None, client=None)),
    ("generations", call.generations()),
    ("export", call.configuration()),
    ("stats", call.stats()),
    ("drops", call.drops()),
]


@pytest.mark.parametrize(("words", "expected", "said"), CHANGES, ids=[row[0] for row in CHANGES])
def test_changes(run, fake, words, expected, said):
    """
    One call, one sentence.
    """
    result = run(*words.split())

    assert (0, f"{said}\n", "") == (result.exit_code, result.stdout, result.stderr)
    assert [expected] == fake.mock_calls


@pytest.mark.parametrize(("words", "expected"), QUESTIONS, ids=[row[0] for row in QUESTIONS])
def test_questions(run, fake, words, expected):
    """
    One call that changes nothing; what is printed is in test_output.
    """
    result = run(*words.split())

    assert (0, "") == (result.exit_code, result.stderr)
    assert [expected] == fake.mock_calls


def test_attach_prints_a_line_for_each_nic(run, fake):
    """
    Mode and program may differ.
    """
    fake.attach.return_value = [
        {"name": "eth1", "mode": "native", "program_tag": "aa"},
        {"name": "eth2", "mode": "generic", "program_tag": "bb"},
    ]

    assert run("attach", "eth1", "eth2").stdout == (
        "eth1: attached, native mode, program aa\neth2: attached, generic mode, program bb\n"
    )


def test_restored_is_not_always_active(run, fake):
    """
    A server that checks found down stays so until it passes them; the state is the daemon's word.
    """
    fake.set_backend.return_value.update(state="down", reason="connection refused")
    result = run("backend", "restore", "web", "10.0.1.11:8080")

    assert "pool web: back-end 10.0.1.11:8080 is down: connection refused\n" == result.stdout


def test_key_file_of_this_folder(run, fake, tmp_path, monkeypatch):
    """
    The daemon works elsewhere: it is told the whole path.
    """
    monkeypatch.chdir(tmp_path)
    run("agent", "add", "10.0.1.11:9150", "--key-file", "agent.key")

    assert str(tmp_path / "agent.key") == fake.add_agent.call_args.args[0]["key_file"]


def test_detach_all_of_nothing(run, fake):
    """
    No failure, but not silence either.
    """
    fake.detach.return_value = []
    result = run("detach", "--all")

    assert (0, "", "no NIC is attached\n") == (result.exit_code, result.stdout, result.stderr)


def test_connection_list_says_when_it_stops(run):
    """
    As many rows as asked for: there may be more.
    """
    result = run("connection", "list", "--limit", "1")

    assert "the first 1; there may be more, see --limit\n" == result.stderr


WRONG = [
    ("attach", "Missing argument 'IFACE"),
    ("attach eth1 --mode fast", "'fast' is not one of auto, native, generic"),
    ("detach", "Name the NICs, or say --all; see `lbctl detach --help`"),
    ("detach eth1 --all", "Name the NICs, or say --all"),
    ("pool add web", "Missing option '--vip'; see `lbctl pool add --help`"),
    ("pool add web --vip 203.0.113.10:80", "add /tcp or /udp"),
    ("pool add web --vip 203.0.113.10:80/sctp", "must be tcp or udp, not 'sctp'"),
    ("pool add web --vip 203.0.113.10:99999/tcp", "the port must be 1 to 65535, not '99999'"),
    ("pool add web --vip 2001:db8::1:80/tcp", "write an IPv6 address in brackets"),
    ("pool add web --vip 203.0.113.10:80/tcp --backend 10.0.1.11", "not ADDRESS:PORT"),
    (
        "pool add web --vip 203.0.113.10:80/tcp --backend 10.0.1.11:80,weight=x",
        "after the comma only weight=N can stand",
    ),
    (
        "pool add web --vip 203.0.113.10:80/tcp --backend 10.0.1.11:80,heft=1",
        "after the comma only weight=N can stand",
    ),
    (
        "pool add web --vip 203.0.113.10:80/tcp --backend 10.0.1.11:80,weight=65536",
        "less than or equal to 65535",
    ),
    ("pool add web --vip 203.0.113.10:80/tcp --scheduler Best", "not one of maglev, rr, wrr"),
    ("pool set web", "Say what to change"),
    ("agent add 10.0.1.11:9150", "kind lbctl needs a key_file; see `lbctl agent add --help`"),
    ("agent add 10.0.1.11:9150 --kind haproxy --key-file k", "haproxy cannot be signed"),
    ("agent add 10.0.1.11:9150 --kind orca --interval nan", "interval: must be"),
    ("agent add 10.0.1.11:9150 --kind telnet", "not one of lbctl, push, haproxy"),
    ("health check web", "Missing argument 'ADDR:PORT'"),
    ("events --limit 0", "x>=1"),
    ("vip add web 127.0.0.1:80/tcp", "not a unicast address"),
    ("backend add web 10.0.1.11:0", "the port must be 1 to 65535, not '0'"),
    ("backend set web 10.0.1.11:80", "Missing option '--weight'"),
    ("backend set web 10.0.1.11:80 --weight -1", "0<=x<=65535"),
    ("backend drain web 10.0.1.11:80 --timeout -1", "x>=0"),
    ("backend drain web 10.0.1.11:80 --timeout nan", "'nan' is not a number"),
    ("connection list --client 198.51.100", "'198.51.100' is not ADDRESS:PORT"),
    ("connection list --limit 0", "x>=1"),
    ("rollback one", "'one' is not a valid integer"),
    ("status -o xml", "'xml' is not one of 'table', 'json', 'yaml'"),
    ("validate", "Give a file with -f, or say --schema"),
    ("apply", "Missing option '-f'"),
    ("apply -f no-such-file", "No such file"),
    ("completion tcsh", "'tcsh' is not one of 'bash', 'zsh', 'fish'"),
    ("attachh", "No such command 'attachh', did you mean 'attach'?; see `lbctl --help`"),
    ("pool lst", "No such command 'lst'"),
    ("--wrong", "No such option"),
    ("status --wrong", "No such option"),
]


@pytest.mark.parametrize(("words", "said"), WRONG, ids=[row[0] for row in WRONG])
def test_wrong_usage(run, fake, words, said):
    """
    Exit status 2, one line that says what is wrong, and nobody is asked.
    """
    result = run(*words.split())

    assert (2, "") == (result.exit_code, result.stdout)
    assert said in result.stderr
    assert result.stderr.startswith("Error: ")
    assert 1 == result.stderr.count("\n")
    assert [] == fake.mock_calls
