"""
`health`: what is printed of checks, and what `health check` exits with.
"""

from __future__ import annotations

from unittest.mock import call

from lbctl.errors import NotFound
from lbctl.model import SocketAddress

SERVER = SocketAddress.parse("10.0.1.11:8080")
CHECK = ("health", "check", "web", str(SERVER))


def test_check(run, fake):
    """
    0 when it is well; the daemon may take as long as the check itself, and its usual time.
    """
    fake.pool.return_value["health"] = {"check": "script", "timeout": 90.0}
    result = run(*CHECK)

    assert (0, "well: status 200\n") == (result.exit_code, result.stdout)
    assert [call.pool("web"), call.check_health("web", SERVER, patience=90.0)] == fake.mock_calls


def test_check_of_one_that_is_not_well(run, fake):
    """
    1, the reason on standard output, and no error: that was the answer.
    """
    fake.check_health.return_value = {"ok": False, "reason": "refused", "seconds": 0.0004}
    result = run(*CHECK)

    assert (1, "not well: refused\n", "") == (
        result.exit_code,
        result.stdout,
        result.stderr,
    )
    assert '"ok": false' in run(*CHECK, "-o", "json").stdout


def test_check_without_a_check(run, fake):
    """
    What the daemon says of it.
    """
    fake.check_health.side_effect = NotFound("pool 'web' has no check; see `lbctl pool set`")
    result = run(*CHECK)

    assert (3, "") == (result.exit_code, result.stdout)
    assert call.check_health("web", SERVER, patience=0) == fake.mock_calls[1]


def test_inhibited(run, fake):
    """
    Until when, where there is one.
    """
    fake.health.return_value[0]["inhibited_until"] = "2025-01-02T03:05:00Z"
    lines = run("health", "list").stdout.splitlines()

    assert ["INHIBITED", "2025-01-02T03:05:00Z"] == [line.split()[8] for line in lines[:2]]


def test_agent_that_never_spoke(run, fake):
    """
    It has no figures to show.
    """
    fake.agent.return_value = fake.agents.return_value[1]
    shown = run("agent", "show", "10.0.1.12:9150").stdout

    assert "cpu" not in shown
    assert "\nage        -\n" in shown
    assert "\nproblem    signed with another key\n" in shown
