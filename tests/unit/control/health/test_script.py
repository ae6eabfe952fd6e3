"""The script check with real programs."""

from __future__ import annotations

import asyncio
import os
import select

import pytest

from lbctl.control.health import script
from lbctl.control.health.check import look
from lbctl.control.health.script import ending
from lbctl.model import ScriptCheck, Vip
from tests.unit.control.health.servers import shortly, target

PATIENT = {"interval": 20, "timeout": 20}


@pytest.fixture
def program(tmp_path):
    """Write a shell script; returns the check that runs it."""

    def write(text, **options):
        path = tmp_path / "check"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return ScriptCheck(command=f"{path} one 'and two'", **(options or PATIENT))

    return write


def seen(check):
    """One look."""
    return asyncio.run(look(target(check, 8080)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("exit 0", (True, "exit 0")),
        ("echo all is well", (True, "exit 0")),
        ("exit 3", (False, "exit 3")),
        ("echo; echo disk is full; echo more; exit 1", (False, "exit 1: disk is full")),
        ("echo to stderr >&2; exit 1", (False, "exit 1: to stderr")),
        ("printf 'a\\033[1mb\\377'; exit 1", (False, "exit 1: a[1mb\N{REPLACEMENT CHARACTER}")),
        ("printf '%0200d' 0; exit 1", (False, f"exit 1: {'0' * 100}")),
        ("kill -SEGV $$", (False, "killed by SIGSEGV")),
        ("exec >&- 2>&-; exit 4", (False, "exit 4")),
    ],
)
def test_the_exit_status_decides(program, text, expected):
    """
    The first line of the output is the reason of a failure.
    """
    assert expected == shortly(seen(program(text)))


def test_it_is_told_who_is_meant(program, monkeypatch):
    """
    By its environment, in which nothing of the daemon's own is.
    """
    monkeypatch.setenv("SECRET", "hunter2")
    told = "$LBCTL_POOL $LBCTL_ADDRESS $LBCTL_PORT $LBCTL_TIMEOUT $SECRET/$1/$2"
    expected = (False, "exit 1: web 127.0.0.1 8080 20 /one/and two")

    assert expected == shortly(seen(program(f'echo "{told}"; exit 1')))


def test_it_is_told_of_the_vip():
    """
    And of the mark with which packets reach this server.
    """
    vip = Vip.parse("203.0.113.10:80/tcp")
    told = script.environment(target(ScriptCheck(command="/x"), 80)._replace(vip=vip, mark=7))

    assert ("203.0.113.10", "7") == (told["LBCTL_VIP"], told["LBCTL_MARK"])


def test_much_output_hinders_nobody(program):
    """
    All of it is read, some of it kept.
    """
    text = "echo first; dd if=/dev/zero bs=1k count=4000 2>/dev/null; exit 1"

    assert (False, "exit 1: first") == shortly(seen(program(text)))


def test_endless_output_ends_with_the_time(program):
    """
    Other checks go on meanwhile.
    """
    outcome = seen(program("exec yes", interval=1, timeout=0.2))

    assert (False, "no end in 200 ms") == shortly(outcome)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sleep 60 & sleep 60", (False, "no end in 200 ms")),
        ("trap '' TERM HUP; while :; do :; done", (False, "no end in 200 ms")),
        ("sleep 60 & exit 0", (True, "exit 0")),
    ],
    ids=["hangs", "will not end", "leaves one behind"],
)
def test_nothing_of_it_is_left(program, tmp_path, text, expected):
    """
    The program and what it has started are gone: nobody holds the pipe any more.
    """
    os.mkfifo(tmp_path / "held")
    reader = os.open(tmp_path / "held", os.O_RDONLY | os.O_NONBLOCK)
    try:
        outcome = seen(program(f"exec 3>{tmp_path}/held\n{text}", interval=1, timeout=0.2))
        ready, _, _ = select.select([reader], [], [], 10)

        assert expected == shortly(outcome)
        assert [reader] == ready
        assert b"" == os.read(reader, 1)
    finally:
        os.close(reader)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("/no/such/program", "/no/such/program: no such file or directory"),
        ("/dev/null", "/dev/null: permission denied"),
    ],
)
def test_what_cannot_be_run_says_nothing_of_the_server(command, reason):
    """
    A misspelt command must not take all servers out.
    """
    outcome = seen(ScriptCheck(command=command, **PATIENT))

    assert (False, reason, False) == (outcome.ok, outcome.reason, outcome.conclusive)


@pytest.mark.parametrize(
    ("code", "line", "expected"),
    [(2, "", "exit 2"), (-9, "", "killed by SIGKILL"), (-99, "odd", "exit -99: odd")],
)
def test_endings_have_names(code, line, expected):
    """
    Those of signals, where they have one.
    """
    assert expected == ending(code, line)
