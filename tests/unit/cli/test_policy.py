"""
The policies of a pool: how `pool add` and `pool set` say them, how `pool show` and `export` do.
"""

from __future__ import annotations

import json
from unittest.mock import call

import pytest
import yaml

from lbctl.cli import defaults
from lbctl.model import Configuration
from tests.unit.cli.answers import BALANCE

ADD = "pool add web --vip 203.0.113.10:80/tcp"
SAID = [
    ("--check tcp,interval=1", {"health": {"check": "tcp", "interval": 1.0}}),
    ("--check none --passive none --backup none", dict.fromkeys(("health", "passive", "backup"))),
    ("--passive on", {"passive": {}}),
    ("--passive failures=3", {"passive": {"failures": 3}}),
    ("--on-down reset --quorum 2", {"on_down": "reset", "quorum": 2}),
    ("--panic 0.5 --backup sorry", {"panic": 0.5, "backup": "sorry"}),
    ("--panic 0 --quorum 0", {"panic": 0.0, "quorum": 0}),
    ("--scheduler least-load", {"scheduler": "least-load"}),
    ("--scheduler my-own-1", {"scheduler": "my-own-1"}),
    (
        "--rule clients=198.51.100.0/24,pool=staff --rule port=443,pool=tls",
        {
            "rules": [
                {"clients": "198.51.100.0/24", "pool": "staff"},
                {"port": 443, "pool": "tls"},
            ]
        },
    ),
    ("--rule none", {"rules": []}),
]


@pytest.mark.parametrize(("words", "said"), SAID, ids=[row[0] for row in SAID])
def test_set(run, fake, words, said):
    """
    What was said goes to the daemon, and nothing else; `none` takes away.
    """
    result = run("pool", "set", "web", *words.split())

    assert (0, "") == (result.exit_code, result.stderr)
    assert [call.set_pool("web", said, force=False)] == fake.mock_calls


@pytest.mark.parametrize(("words", "said"), SAID, ids=[row[0] for row in SAID])
def test_add(run, fake, words, said):
    """
    A new pool takes the same words.
    """
    run(*ADD.split(), *words.split())

    pool = {"name": "web", "vips": ["203.0.113.10:80/tcp"], **said}
    assert [call.add_pool(pool, force=False)] == fake.mock_calls


def test_balance_keeps_what_is_not_named(run, fake):
    """
    `set` reads the pool first; a new pool has nothing to keep.
    """
    fake.pool.return_value["balance"] = {**BALANCE, "floor": 0.2}
    run("pool", "set", "web", "--balance", "step=0.5")
    run(*ADD.split(), "--balance", "step=0.5")

    merged = {**BALANCE, "floor": 0.2, "step": 0.5}
    assert call.set_pool("web", {"balance": merged}, force=False) == fake.mock_calls[1]
    assert {"step": 0.5} == fake.add_pool.call_args.args[0]["balance"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--check ftp", "'ftp' is not one of tcp"),
        ("--panic nan", "'nan' is not a number"),
        ("--panic 2", "0<=x<=1"),
        ("--quorum -1", "0<=x<=65535"),
        ("--rule none --rule port=1,pool=a", "--rule none stands alone"),
        ("--on-down wait", "not one of keep, reset"),
        ("--scheduler no_name", "nor the name of a plugin"),
    ],
)
def test_wrong_words(run, fake, words, said):
    """
    Exit status 2, one line, and nobody is asked.
    """
    result = run("pool", "set", "web", *words.split())

    assert (2, "", 1) == (result.exit_code, result.stdout, result.stderr.count("\n"))
    assert said in result.stderr
    assert [] == fake.mock_calls


POLICY = {
    "on_down": "reset",
    "health": {
        "interval": 1.0,
        "timeout": 0.5,
        "rise": 2,
        "fall": 3,
        "jitter": 0.1,
        "port": None,
        "to_vip": False,
        "check": "http",
        "path": "/healthz",
        "host": None,
        "status": "200,204",
        "body": None,
        "verify": False,
    },
    "passive": {
        "failures": 5,
        "ratio": 0.5,
        "window": 2.0,
        "inhibit": 5.0,
        "inhibit_max": 3600.0,
    },
    "balance": {**BALANCE, "slow_start": 30.0},
    "quorum": 2,
    "panic": 0.25,
    "backup": "sorry",
    "rules": [
        {"clients": "198.51.100.0/24", "port": None, "pool": "staff"},
        {"clients": None, "port": 443, "pool": "tls"},
    ],
}


def test_show(run, fake):
    """
    What is not as usual, in the words that `pool set` takes; then how the pool stands.
    """
    fake.pool.return_value.update(POLICY, served_by="sorry", panicking=True, problem="no reports")
    shown = run("pool", "show", "web").stdout.split("\n\n")[0]

    assert r"""
table-size  65537
on-down     reset
check       http,interval=1,timeout=0.5,path=/healthz,status=200\,204
passive     on
balance     slow_start=30
quorum      2
panic       0.25
backup      sorry
rule        clients=198.51.100.0/24,pool=staff
rule        port=443,pool=tls
served-by   sorry
problem     no reports
panicking   too few back-ends are well: all of them are used""" == shown[
        shown.index("\ntable-size") :
    ]


def test_columns_that_say_something(run, fake):
    """
    With agents, a scheduler that asks for more than it was given, and a server in trouble.
    """
    one, two = fake.pool.return_value["backends"]
    one.update(wanted=0.5, measured=0.3, load=0.25, report_age_seconds=0.44)
    two.update(state="down", reason="connection refused")
    table = run("pool", "show", "web").stdout.split("\n\n")[1]

    assert [
        "ADDRESS STATE WEIGHT WANTED GIVEN MEASURED CONNECTIONS NEW/S LOAD AGE REASON",
        "10.0.1.11:8080 active 1 50.0% 33.3% 30.0% 5 12.2 25% 0.4 -",
        "10.0.1.12:8080 down 2 0.0% 0.0% - 1234 0.0 - - connection refused",
    ] == [" ".join(line.split()) for line in table.splitlines()]
    assert max(map(len, table.splitlines())) <= 110


@pytest.mark.parametrize(
    ("served_by", "backends", "expected"),
    [("web", 1, None), ("sorry", 1, "sorry"), ("sorry", 0, "sorry"), (None, 1, "nobody")],
)
def test_pool_list_says_who_serves(run, fake, served_by, backends, expected):
    """
    Only where that is not the pool itself.
    """
    (pool,) = fake.pools.return_value
    pool.update(served_by=served_by, backends=pool["backends"][:backends])
    head, row = run("pool", "list").stdout.splitlines()

    assert bool(expected) == head.endswith("SERVED-BY")
    assert not expected or row.endswith(expected)


def test_an_empty_pool_is_not_down(run, fake):
    """
    It has nobody who could serve.
    """
    fake.pools.return_value[0].update(served_by=None, backends=[])

    assert "SERVED-BY" not in run("pool", "list").stdout


AGENT = {"address": "10.0.1.11:9150", "kind": "orca", "stale": 30.0}
FULL = Configuration.model_validate(
    {
        "nics": [{"name": "eth1"}],
        "pools": [
            {"name": "web", "vips": ["203.0.113.10:*/tcp"], **POLICY},
            *({"name": name} for name in ("sorry", "staff", "tls")),
        ],
        "agents": [AGENT],
        "settings": {"resource_manager": "remote"},
    }
).model_dump(mode="json")


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_export_leaves_nothing_out_that_matters(run, fake, form):
    """
    `export | apply` sends back exactly what the daemon has.
    """
    fake.configuration.return_value = FULL
    run("apply", "-f", "-", stdin=run("export", "-o", form).stdout)

    fake.apply.assert_called_once_with(FULL, dry_run=False, force=False)


def test_export_is_short(run, fake):
    """
    What is as usual is not there; fields that were always there are.
    """
    fake.configuration.return_value = FULL
    exported = yaml.safe_load(run("export").stdout)
    web, sorry, *_ = exported["pools"]

    assert ["name", "vips", "forward", "scheduler", "on_unknown", "table_size", "backends"] == [
        *sorry
    ]
    assert [AGENT] == exported["agents"]
    assert "remote" == exported["settings"]["resource_manager"]
    assert {"slow_start": 30.0} == web["balance"]
    assert {} == web["passive"]
    assert [
        {"clients": "198.51.100.0/24", "pool": "staff"},
        {"port": 443, "pool": "tls"},
    ] == web["rules"]
    assert {
        "check": "http",
        "interval": 1.0,
        "timeout": 0.5,
        "path": "/healthz",
        "status": "200,204",
    } == web["health"]


def test_an_empty_configuration_has_the_usual_keys(run, fake):
    """
    As before there were agents.
    """
    fake.configuration.return_value = Configuration().model_dump(mode="json")
    exported = json.loads(run("export", "-o", "json").stdout)

    assert {"version", "nics", "pools", "settings"} == set(exported)
    assert {"timeouts"} == set(exported["settings"])
    assert exported == defaults.compact(exported)
