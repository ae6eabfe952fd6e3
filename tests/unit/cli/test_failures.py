"""
Every way to fail: one line on standard error, an exit status that says which kind.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from lbctl import errors
from lbctl.cli import cli


@pytest.mark.parametrize("kind", errors.BY_EXIT_CODE.values(), ids=lambda kind: kind.__name__)
def test_exit_status_is_that_of_the_error(run, fake, kind):
    """
    Scripts tell "no such pool" from "no daemon" by it.
    """
    fake.pool.side_effect = kind("pool 'wep': there is none;\n  see `lbctl pool list`")
    result = run("pool", "show", "wep")

    assert (kind.exit_code, "") == (result.exit_code, result.stdout)
    assert "Error: pool 'wep': there is none; see `lbctl pool list`\n" == result.stderr


def test_nobody_sees_a_traceback(run, fake):
    """
    Not even when it is our fault: one line names what it was and how to report it.
    """
    fake.pools.side_effect = ZeroDivisionError("division by zero")
    result = run("pool", "list")

    assert 1 == result.exit_code
    assert (
        "Error: ZeroDivisionError: division by zero: this is a bug in lbctl, please report it; "
        "`lbctl --debug ...` shows where\n"
    ) == result.stderr


def test_who_asks_for_a_traceback_gets_it(fake):
    """
    With --debug the error itself comes out.
    """
    fake.pools.side_effect = ZeroDivisionError("division by zero")
    result = CliRunner().invoke(cli, ["--debug", "pool", "list"], obj=fake)

    assert isinstance(result.exception, ZeroDivisionError)


def test_ctrl_c_is_quiet(run, fake):
    """
    130, as of any program that SIGINT ends, and no words.
    """
    fake.status.side_effect = KeyboardInterrupt
    result = run("status")

    assert (130, "", "") == (result.exit_code, result.stdout, result.stderr.strip())


def test_reader_who_has_seen_enough():
    """
    `lbctl ... | head` says nothing of broken pipes.
    """
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "lbctl", "validate", "--schema"],
            stdout=pipe,
            stderr=subprocess.PIPE,
            check=False,
        )

    assert b"" == done.stderr
    assert 1 == done.returncode


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (
            ["--socket", "/nonexistent/lbctl.sock"],
            "/nonexistent/lbctl.sock; start it with `sudo lbctld --socket /nonexistent/lbctl.sock`",
        ),
        (
            ["--name", "no-such-instance"],
            "/run/lbctl/no-such-instance.sock; start it with `sudo lbctld --name no-such-instance`",
        ),
    ],
    ids=["socket", "name"],
)
def test_no_daemon(words, hint):
    """
    5, and how to start it.
    """
    result = CliRunner().invoke(cli, [*words, "status"])

    assert (5, "") == (result.exit_code, result.stdout)
    assert f"Error: no daemon answers on {hint}\n" == result.stderr


@pytest.mark.parametrize("name", ["../default", "..", ""])
def test_names_that_would_leave_the_folder(name):
    """
    An instance is a name, never a path.
    """
    result = CliRunner().invoke(cli, ["--name", name, "status"])

    assert 2 == result.exit_code
    assert f"Error: --name: {name!r} is not the name of an instance\n" == result.stderr


@pytest.mark.parametrize("variable", ["LBCTL_SOCKET", "LBCTL_NAME"])
def test_environment(daemon, variable):
    """
    The same as the options.
    """
    value = {"LBCTL_SOCKET": daemon.socket, "LBCTL_NAME": "no-such-instance"}[variable]
    daemon.answers["GET", "/v1/connections/count"] = (200, {"count": 7})
    result = CliRunner().invoke(cli, ["connection", "count"], env={variable: value})

    expected = {"LBCTL_SOCKET": (0, "7\n"), "LBCTL_NAME": (5, "")}[variable]
    assert expected == (result.exit_code, result.stdout)
