"""
`events --follow`: what happens, as it happens, whatever becomes of the daemon.
"""

from __future__ import annotations

import json
from unittest.mock import call

import pytest
import yaml

from lbctl.cli import events
from lbctl.errors import DaemonUnreachable, NotPermitted
from tests.unit.cli.answers import ANSWERS

FOUND = ANSWERS["events"]
LATER = {
    "number": 44,
    "time": "2025-01-02T03:04:09Z",
    "kind": "passive",
    "subject": "web 10.0.1.11:8080",
    "text": "released",
}
AWAY = DaemonUnreachable("no daemon answers")


@pytest.fixture
def pauses(monkeypatch):
    """
    Nobody sleeps; gives how long.
    """
    slept = []
    monkeypatch.setattr(events.time, "sleep", slept.append)
    return slept


def test_lines(run, fake):
    """
    The newest, then what comes after the last that was seen; quiet, even at Ctrl-C.
    """
    fake.events.side_effect = [FOUND, [], [LATER], KeyboardInterrupt]
    result = run("events", "--follow", "--limit", "2", "--kind", "health")

    assert (130, "") == (result.exit_code, result.stderr.strip())
    assert (
        "2025-01-02T03:04:05Z  health         web 10.0.1.12:8080  "
        "active -> down: connection refused\n"
        "2025-01-02T03:04:06Z  pool           web  backup sorry serves\n"
        "2025-01-02T03:04:09Z  passive        web 10.0.1.11:8080  released\n"
    ) == result.stdout
    assert [
        call.events(limit=2, kind="health"),
        call.events(after=43, wait=25.0, kind="health"),
        call.events(after=43, wait=25.0, kind="health"),
        call.events(after=44, wait=25.0, kind="health"),
    ] == fake.mock_calls


def test_nothing_has_happened_yet(run, fake):
    """
    Then everything is new.
    """
    fake.events.side_effect = [[], [LATER], KeyboardInterrupt]

    assert "released" in run("events", "--follow").stdout
    assert call.events(after=0, wait=25.0, kind=None) == fake.mock_calls[1]


def test_json(run, fake):
    """
    One object a line.
    """
    fake.events.side_effect = [FOUND, [LATER], KeyboardInterrupt]
    lines = run("events", "--follow", "-o", "json").stdout.splitlines()

    assert [*FOUND, LATER] == [json.loads(line) for line in lines]


def test_yaml(run, fake):
    """
    One document for each.
    """
    fake.events.side_effect = [FOUND, [LATER], KeyboardInterrupt]

    said = run("events", "--follow", "-o", "yaml").stdout
    assert [*FOUND, LATER] == list(yaml.safe_load_all(said))


def test_a_daemon_that_restarts(run, fake, pauses):
    """
    Said once, on standard error; then it goes on where it was.
    """
    fake.events.side_effect = [FOUND, AWAY, AWAY, AWAY, [LATER], KeyboardInterrupt]
    result = run("events", "--follow", "-o", "json")

    assert "lbctld does not answer; waiting for it" == result.stderr.strip()
    assert [43, 43, 43, 43, 44] == [c.kwargs["after"] for c in fake.mock_calls[1:]]
    assert LATER == json.loads(result.stdout.splitlines()[-1])
    assert [1.0] * 3 == pauses


def test_a_daemon_that_was_never_there(run, fake, pauses):
    """
    That is a mistake, not a restart.
    """
    fake.events.side_effect = AWAY

    assert 5 == run("events", "--follow").exit_code
    assert [] == pauses


def test_other_failures_end_it(run, fake, pauses):
    """
    Waiting would not help.
    """
    fake.events.side_effect = [FOUND, NotPermitted("no")]

    assert 6 == run("events", "--follow").exit_code
    assert [] == pauses


def test_a_reader_who_has_seen_enough(run, fake):
    """
    `lbctl events --follow | head` ends without a word.
    """
    fake.events.side_effect = [FOUND, BrokenPipeError(32, "Broken pipe")]
    result = run("events", "--follow")

    assert (1, "") == (result.exit_code, result.stderr)


def test_the_client_is_more_patient_than_the_daemon(client, daemon, monkeypatch):
    """
    An answer after `wait` seconds is no failure.
    """
    patience = []
    monkeypatch.setattr(
        "lbctl.cli.transport._knock", lambda request: patience.append(request.patience)
    )
    client.events(after=1, wait=25)
    client.check_health("web", "10.0.1.11:8080", patience=10)
    client.status()

    assert [30, 15, 5] == patience
    assert {"after": "1", "wait": "25"} == daemon.requests[0].params
