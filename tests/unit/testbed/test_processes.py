"""
Processes are known by number and start, and ended only if they are the same.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lbctl.testbed.processes import Process

STUBBORN = (
    "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
)


@pytest.fixture
def sleeper():
    """A process that would run for a minute."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as child:
        yield child
        child.kill()


def test_a_process_is_ended(sleeper):
    """
    At the first request, if it is willing.
    """
    process = Process.of(sleeper.pid, "server0", sleeper.args)
    assert process.is_alive()

    process.end()

    assert -15 == sleeper.wait()
    assert not process.is_alive()


def test_a_stubborn_process_is_ended(monkeypatch):
    """
    After a moment of grace.
    """
    monkeypatch.setattr("lbctl.testbed.processes.GRACE", 0.1)
    command = [sys.executable, "-c", STUBBORN]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        Process.of(child.pid, "", command).end()

        assert -9 == child.wait()


def test_another_process_of_the_same_number_is_left_alone(sleeper):
    """
    Numbers are used again.
    """
    known = Process.of(sleeper.pid, "server0", sleeper.args)
    other = known._replace(started=known.started - 1)

    other.end()

    assert not other.is_alive()
    assert sleeper.poll() is None


def test_a_process_that_is_gone_is_no_error(sleeper):
    """
    Before and after its parent has collected it.
    """
    process = Process.of(sleeper.pid, "", sleeper.args)
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert not process.is_alive()
    process.end()
    sleeper.wait()

    process.end()

    assert not process.is_alive()


@pytest.mark.parametrize(
    ("command", "name"),
    [(["/usr/bin/tcpdump", "-i", "eth0"], "tcpdump"), (["python", "-m", "a.b", "--x"], "a.b")],
)
def test_a_process_has_the_name_that_people_know(command, name):
    """
    Not that of the interpreter.
    """
    assert name == Process.of(os.getpid(), "", command).name
