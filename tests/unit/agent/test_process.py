"""The agent as a process: started, asked and stopped, from a checkout and from its own wheel."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lbctl.agent import daemon
from lbctl.agent.settings import Settings
from lbctl.agent.wire import open_, read_key
from tests.unit.agent.servers import ask

ROOT = Path(__file__).parents[3]
NONCE = "0123456789abcdef"
# Whatever is not of Python, of click or of psutil is not there.
ALONE = """
import sys
class Alone:
    def find_spec(self, name, path=None, target=None):
        allowed = sys.stdlib_module_names | {"lbctl", "click", "psutil", "colorama"}
        if name.split(".")[0] not in allowed:
            raise ImportError(f"{name} is not there")
sys.meta_path.insert(0, Alone())
sys.path.insert(0, sys.argv.pop(1))
import lbctl
assert lbctl.__file__.startswith(sys.path[0]), lbctl.__file__
from lbctl.agent.cli import main
main()
"""


@pytest.fixture
def start(tmp_path):
    """Start agents; give the process and the line that it is ready with.  End them all."""
    started = []

    def agent(*words, **environment):
        process = subprocess.Popen(
            [sys.executable, "-m", "lbctl.agent", "--state-file", tmp_path / "state", *words],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process, process.stdout.readline()

    yield agent
    for process in started:
        process.kill()
        process.communicate()


def test_it_is_started_asked_and_stopped(start, tmp_path):
    """
    One line when it is ready, systemd is told, and SIGTERM is a good end.
    """
    key, notified = tmp_path / "key", tmp_path / "notify"
    key.write_text("a key that nobody knows")
    key.chmod(0o600)
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as switch,
    ):
        systemd.bind(str(notified))
        switch.bind(("127.0.0.1", 0))
        systemd.settimeout(20)
        switch.settimeout(20)
        listen = ("--listen", "127.0.0.1:0", "--name", "192.0.2.11:80", "--key-file", key)
        push = ("--push", f"127.0.0.1:{switch.getsockname()[1]}")
        process, line = start(*listen, *push, NOTIFY_SOCKET=str(notified))
        address = line.split("listens on ")[1].split(",")[0]
        host, _, port = address.partition(":")
        request = f"GET /report?nonce={NONCE} HTTP/1.1\r\n\r\n".encode()
        response = asyncio.run(ask((host, port), request))
        pushed = open_(read_key(key), switch.recv(65536))
        process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=20)
        told = [systemd.recv(100), systemd.recv(100)]

    said = open_(read_key(key), response.partition(b"\r\n\r\n")[2])
    assert line == (
        f"lbctl-agent '192.0.2.11:80' is ready: listens on {address}, signs reports, "
        f"pushes to {push[1]}\n"
    )
    assert ("192.0.2.11:80", NONCE) == (said.agent, said.nonce)
    assert "192.0.2.11:80" == pushed.agent
    assert said.report.memory
    assert [b"READY=1", b"STOPPING=1"] == told
    assert (0, ("", "")) == (process.returncode, rest)


def test_a_held_connection_does_not_keep_it(start):
    """
    It ends at once, however many clients are waiting.
    """
    process, line = start("--listen", "127.0.0.1:0")
    host, _, port = line.split("listens on ")[1].split(",")[0].partition(":")
    with socket.create_connection((host, port)) as client:
        client.send(b"GET /metrics")
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=20)

    assert (0, ("", "")) == (process.returncode, rest)
    assert "no key, so no reports" in line


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--key-file", "/nonexistent/key"], "lbctl-agent key --output"),
        (["--listen", "192.0.2.1:8407"], "192.0.2.1:8407: cannot listen"),
    ],
)
def test_what_cannot_start_says_so_in_a_line(start, words, expected):
    """
    And never that it is ready.
    """
    process, line = start(*words)
    _, error = process.communicate(timeout=20)

    assert ("", 1) == (line, len(error.splitlines()))
    assert expected in error
    assert process.returncode in (1, 3)


def test_a_part_that_fails_ends_the_agent(monkeypatch):
    """
    The system starts it anew; an agent that is half alive would tell nothing.
    """

    async def broken(_):
        raise ZeroDivisionError

    monkeypatch.setattr(daemon.Sampler, "run", broken)
    lines = []

    with pytest.raises(ZeroDivisionError):
        asyncio.run(daemon.run(Settings(), lines.append))
    assert ["lbctl-agent is ready: listens on nothing, no key, so no reports"] == lines


def test_one_report_has_rates(tmp_path):
    """
    It looks twice, so that there is a CPU to tell.
    """
    settings = Settings(state_file=tmp_path / "state")
    report = asyncio.run(daemon.report_once(settings, 0.5))

    assert report.cpu is not None
    assert report.memory


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel of the agent alone and unpack it."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT / "packaging" / "lbctl-agent",
        check=True,
        capture_output=True,
    )
    (path,) = folder.glob("lbctl_agent-*.whl")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder / "content")
    return folder / "content"


def test_the_wheel_has_the_agent_and_nothing_else(wheel):
    """
    What it needs of lbctl, the unit for systemd and the licence.
    """
    found = {str(path.relative_to(wheel)) for path in wheel.rglob("*") if path.is_file()}
    sources = {f"lbctl/agent/{path.name}" for path in (ROOT / "lbctl" / "agent").glob("*.py")}
    shared = {"lbctl/__init__.py", "lbctl/errors.py", "lbctl/py.typed"}
    others = {"lbctl/agent/lbctl-agent.service", "lbctl/agent/LICENSE.txt"}

    assert sources | shared | others == {name for name in found if ".dist-info/" not in name}
    (script,) = wheel.glob("*.dist-info/entry_points.txt")
    assert "lbctl-agent = lbctl.agent.cli:main" in script.read_text()


@pytest.mark.parametrize("words", [["--help"], ["report", "--port", "1", "-o", "json"]])
def test_the_wheel_needs_only_click_and_psutil(wheel, tmp_path, words):
    """
    Every other package is blocked.
    """
    done = subprocess.run(
        [sys.executable, "-c", ALONE, wheel, *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert "" == done.stderr
    if words[-1] == "json":
        assert {"1": 0} == json.loads(done.stdout)["connections"]
    else:
        assert "lbctl-agent" in done.stdout


def test_the_wheel_asks_for_no_more_than_that(wheel):
    """
    By its own account.
    """
    (metadata,) = wheel.glob("*.dist-info/METADATA")
    wanted = {
        line.split(": ")[1].split(">")[0]
        for line in metadata.read_text().splitlines()
        if line.startswith("Requires-Dist")
    }

    assert {"click", "psutil"} == wanted
