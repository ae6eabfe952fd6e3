"""
Drops by whose packets they were, with cause and cure.
"""

from __future__ import annotations

import json

import pytest

from lbctl.cli import counters, render
from lbctl.shared.abi import VERDICT_NOTES, Verdict
from tests.unit.cli.answers import ANSWERS

VIP = "203.0.113.10:80/tcp"
BY_POOL = [
    {"reason": "DROP_NO_BACKEND", "packets": 40, "pool": "web", "app": None, "vip": VIP},
    {"reason": "RESET", "packets": 9, "pool": "web", "app": None, "vip": VIP},
]
SERVER = {"pool": "web", "vip": VIP, "backend": "10.0.1.11:8080"}
BY_BACKEND = [
    {"reason": "TO_BACKEND_UNTRACKED", "packets": 3, **SERVER},
    {"reason": "DROP_NO_NEIGHBOR", "packets": 2, **SERVER},
]


@pytest.mark.parametrize(
    ("by", "expected"),
    [("nic", ANSWERS["drops"]), ("pool", BY_POOL), ("backend", BY_BACKEND)],
)
def test_drops_by(run, by, expected):
    """
    As documented; most first, and without the ends that are nothing to worry about.
    """
    assert expected == json.loads(run("drops", "--by", by, "-o", "json").stdout)


def test_drops_by_nic_are_the_default(run, fake):
    """
    Scripts rely on it.
    """
    run("drops")

    assert [("drops", (), {})] == fake.method_calls


def test_drops_by_pool_as_a_table(run):
    """
    Then each reason with its note, and how to see such packets.
    """
    assert (
        f"""\
REASON           POOL  VIP                  PACKETS
DROP_NO_BACKEND  web   203.0.113.10:80/tcp       40
RESET            web   203.0.113.10:80/tcp        9

DROP_NO_BACKEND: {VERDICT_NOTES[Verdict.DROP_NO_BACKEND]}
RESET: {VERDICT_NOTES[Verdict.RESET]}
To see such packets: `lbctl capture --verdict DROP_NO_BACKEND`; what becomes of one: \
`lbctl explain`
"""
        == run("drops", "--by", "pool").stdout
    )


def test_drops_of_an_application(run, fake):
    """
    Beside those of pools, each with its owner; what the application got is no drop.
    """
    own = {"DROP_APP_GONE": 50, "RESET": 3, "TO_APP": 900}
    voip = {"pool": None, "app": "voip", "vip": "203.0.113.20:5060/udp", "verdicts": own}
    fake.stats.return_value["services"] = [*ANSWERS["stats"]["services"], voip]
    lines = run("drops", "--by", "pool").stdout.splitlines()

    assert (
        """\
REASON           POOL  APP   VIP                    PACKETS
DROP_APP_GONE    -     voip  203.0.113.20:5060/udp       50
DROP_NO_BACKEND  web   -     203.0.113.10:80/tcp         40
RESET            web   -     203.0.113.10:80/tcp          9
RESET            -     voip  203.0.113.20:5060/udp        3""".splitlines()
        == lines[:5]
    )
    assert f"DROP_APP_GONE: {VERDICT_NOTES[Verdict.DROP_APP_GONE]}" in lines


def test_what_an_application_got(run, fake):
    """
    It is counted by VIP, and nowhere else.
    """
    own = {"pool": None, "app": "voip", "vip": "203.0.113.20:5060/udp", "verdicts": {"TO_APP": 9}}
    fake.stats.return_value["services"] = [own]
    lines = run("stats").stdout.splitlines()

    assert "POOL  APP   VIP                    VERDICT  PACKETS" in lines
    assert "-     voip  203.0.113.20:5060/udp  TO_APP         9" in lines


def test_no_drops(run, fake):
    """
    Nothing to explain then.
    """
    fake.stats.return_value["services"] = []
    result = run("drops", "--by", "pool")

    assert ("", "no packet was discarded\n") == (result.stdout, result.stderr)


def test_each_reason_is_explained_once(run, fake):
    """
    However many NICs have it.
    """
    fake.drops.return_value = [{**ANSWERS["drops"][0], "nic": f"eth{n}"} for n in range(3)]

    assert 1 == run("drops").stdout.count("The sender is broken.")


def test_a_verdict_of_a_newer_daemon():
    """
    It has no note here, and that is no reason to fail.
    """
    assert "" == counters.note("DROP_OF_THE_FUTURE")


@pytest.mark.parametrize("by", ["pool", "backend"])
def test_watching_drops(run, fake, monkeypatch, by):
    """
    Rates of them, as by NIC.
    """
    clock = iter([100.0, 102.0])
    monkeypatch.setattr(render.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(render.time, "sleep", lambda _: None)
    later = json.loads(json.dumps(ANSWERS["stats"]))
    for row in (later["services"][0], later["backends"][0]):
        row["verdicts"]["DROP_NO_ROUTE"] = 500
    fake.stats.side_effect = [ANSWERS["stats"], later, KeyboardInterrupt]
    first, second = run("drops", "--watch", "--by", by).stdout.split("REASON")[1:]

    assert "PACKETS/S" not in first
    assert "PACKETS/S" in second
    assert "250" == second.splitlines()[1].split()[-1]


def test_stats_where_nothing_is_unusual(run, fake):
    """
    No table of VIPs then; and none of back-ends that are not there.
    """
    fake.stats.return_value.update(services=[], backends=[])
    result = run("stats")

    assert 3 == len(result.stdout.splitlines())
    assert "no packets of back-ends yet\n" == result.stderr
