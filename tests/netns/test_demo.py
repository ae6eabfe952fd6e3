"""
The demonstration keeps its promises, and leaves nothing behind.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from lbctl.testbed import namespaces
from lbctl.testbed.processes import environment
from lbctl.testbed.stage import PINS
from lbctl.testbed.testbed import FOLDER


def remains(pid):
    """What there is of the demonstration of that process."""
    name = f"lbdemo{pid}"
    places = [
        path for folder in (FOLDER, PINS, Path("/run/lbctl")) for path in folder.glob(f"{name}*")
    ]
    return places + [other for other in namespaces.names() if other.startswith(name)]


def test_the_demonstration_keeps_its_promises():
    """
    As `lbctl demo` on a pipe: plain text, exit status 0, nothing left.
    """
    command = [sys.executable, "-m", "lbctl", "demo"]
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as demo:
        said = demo.communicate(timeout=110)[0]

    assert 0 == demo.returncode, said
    assert "9 of 9 promises kept" in said
    assert "\x1b" not in said
    assert "BROKEN" not in said
    assert [] == remains(demo.pid)
    for pid in map(int, re.findall(r"^\$ kill -9 (\d+)$", said, re.MULTILINE)):
        assert not Path(f"/proc/{pid}").exists()


def test_the_demonstration_tidies_up_when_it_is_ended_early():
    """
    By SIGTERM, in the middle.
    """
    command = [sys.executable, "-m", "lbctl", "demo"]
    env = {**environment(), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as demo:
        for line in demo.stdout:
            if "each a new connection" in line:
                break
        demo.terminate()
        demo.communicate(timeout=60)

    assert 128 + 15 == demo.returncode
    assert [] == remains(demo.pid)
    assert os.getpid() != demo.pid
