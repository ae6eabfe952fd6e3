"""
The commands around the test bed: exit status and what they print, without one.
"""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from lbctl.cli import cli
from lbctl.testbed import cli as commands
from lbctl.testbed import demo
from lbctl.testbed.testbed import Testbed


@pytest.mark.parametrize(("kept", "status"), [(True, 0), (False, 1)])
def test_a_broken_promise_is_a_failure(monkeypatch, kept, status):
    """
    For whoever runs the demonstration from a script.
    """
    monkeypatch.setattr(demo, "run", lambda _prefix, keep: kept and not keep)

    assert status == CliRunner().invoke(cli, ["demo"]).exit_code


def test_what_there_is_fits_the_names_in_the_instructions():
    """
    The commands that one is told to type name this very test bed.
    """
    data = commands.describe(Testbed("mine", clients=1, backends=1))

    fields, table, lines = commands.view(data)

    assert ("test bed", "mine") == fields.pairs[0]
    assert 4 + 1 + 1 == len(table.rows)
    assert "  sudo lbctl attach ext0 ext1 int0 int1" in lines.lines
    assert any("--netns mine-switch" in line for line in lines.lines)
    assert any("mine-client0 curl http://203.0.113.10/" in line for line in lines.lines)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["up", "--clients", "0"], 2),
        (["up", "--prefix", "../x"], 2),
        (["status", "--prefix", "nosuch"], 3),
    ],
)
def test_mistakes_have_their_exit_status(arguments, status):
    """
    Before anything is made.
    """
    assert status == CliRunner().invoke(cli, ["testbed", *arguments]).exit_code
