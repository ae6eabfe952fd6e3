"""
`preflight`: what is printed, and what it exits with.
"""

from __future__ import annotations

import json
from unittest.mock import call

import pytest

from lbctl.control.preflight import inspection
from lbctl.control.preflight.finding import Report
from lbctl.errors import DaemonUnreachable, LbctlError

DOWN = {
    "check": "nic-down",
    "severity": "error",
    "subject": "NIC eth1",
    "what": "is down",
    "why": "no packet comes in or leaves",
    "cure": "ip link set eth1 up",
}
MTU = {**DOWN, "check": "small-mtu", "severity": "warning", "what": "has an MTU of 1400"}


@pytest.fixture
def found(fake):
    """
    The report, with one error and one warning more.
    """
    report = fake.preflight.return_value
    report["findings"] = [DOWN, MTU, *report["findings"]]
    return report


@pytest.mark.usefixtures("found")
def test_findings_by_severity(run, fake):
    """
    A block for each, with the cure in a line of its own; the status is 1, with the first cure.
    """
    result = run("preflight", "eth1", "eth2")

    assert (
        """\
error: NIC eth1 is down [nic-down]
    why: no packet comes in or leaves
    $ ip link set eth1 up

warning: NIC eth1 has an MTU of 1400 [small-mtu]
    why: no packet comes in or leaves
    $ ip link set eth1 up

note: VIP 203.0.113.10:80/tcp of pool web has not got a single packet so far [vip-without-packets]
    why: clients and routers need a route for it that leads to this switch
    $ ip route add 203.0.113.10 via SWITCH  # on the router in front

not checked: no-native-mode of NIC eth1: its driver does not tell
"""
        == result.stdout
    )
    assert (1, "Error: 1 error; begin with `ip link set eth1 up`\n") == (
        result.exit_code,
        result.stderr,
    )
    assert [call.preflight(("eth1", "eth2"))] == fake.mock_calls


def test_several_errors(run, found):
    """
    They are counted.
    """
    found["findings"].insert(0, DOWN)

    assert "Error: 2 errors; begin with `ip link set eth1 up`\n" == run("preflight").stderr


def test_without_an_error(run, found):
    """
    Warnings and notes are no failure.
    """
    del found["findings"][0]
    result = run("preflight")

    assert (0, "") == (result.exit_code, result.stderr)
    assert result.stdout.startswith("warning: ")


def test_all_is_well(run, fake):
    """
    That is said, and how much was looked at.
    """
    fake.preflight.return_value = {"findings": [], "checks": ["a", "b"], "not_checked": []}

    assert "nothing is wrong (2 checks)\n" == run("preflight").stdout


def test_as_data(run, found):
    """
    As it came, with an error, too.
    """
    result = run("preflight", "-o", "json")

    assert (1, found) == (result.exit_code, json.loads(result.stdout))


def test_without_a_daemon(run, fake, monkeypatch):
    """
    What can be looked at is; before that it says how to start one, and the status is 5.
    """
    asked = []

    def look(names):
        asked.append(names)
        return Report.model_validate({"findings": [DOWN], "checks": ["nic-down"]})

    monkeypatch.setattr(inspection, "inspect_machine", look)
    said = "no daemon answers on /run/x.sock; start it with `sudo lbctld --name x`"
    fake.preflight.side_effect = DaemonUnreachable(said)
    result = run("preflight", "eth1", "-o", "json")
    report = json.loads(result.stdout)

    assert (5, f"Error: {said}\n") == (result.exit_code, result.stderr)
    assert ["no-daemon", "nic-down"] == report["checks"]
    assert ["sudo lbctld --name x", DOWN["cure"]] == [one["cure"] for one in report["findings"]]
    assert [("eth1",)] == asked


def test_a_daemon_that_fails(run, fake):
    """
    It is there: what it says is what there is to say.
    """
    fake.preflight.side_effect = LbctlError("internal error")
    result = run("preflight")

    assert (1, "", "Error: internal error\n") == (result.exit_code, result.stdout, result.stderr)
