"""
`capture`: what the daemon is asked, and what becomes of the packets that come.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from contextlib import contextmanager, nullcontext
from unittest.mock import Mock, call

import pytest

from lbctl.cli import capture
from lbctl.cli.transport import Stream
from lbctl.control.capturing import pcapng
from lbctl.errors import Conflict, DaemonUnreachable, NotFound
from tests.unit.cli.test_completion import offered

TOLD = pcapng.beside(pcapng.INBOUND, 1, "verdict: RESET")
HEAD = pcapng.section("Linux", "lbctl", "")
BLOCKS = [pcapng.packet(0, 0, bytes(60), 60, TOLD, n) for n in (1, 2, 3)]
FILE = HEAD + b"".join(BLOCKS)
NUMBERED = {"x-lbctl-capture": "7"}
DEADLINE = 20.0
NOTHING = {
    "app": None,
    "backend": None,
    "count": None,
    "host": None,
    "nic": [],
    "pool": None,
    "port": None,
    "protocol": None,
    "seconds": None,
    "snap": 2048,
    "verdict": [],
}
ROW = {
    "number": 1,
    "time": "2025-01-02T03:04:05.123456789Z",
    "nic": "ext0",
    "protocol": "tcp",
    "source": "198.51.100.7:40000",
    "destination": "203.0.113.10:80",
    "more": "SYN",
    "bytes": 74,
    "verdict": "TO_BACKEND_NEW",
    "pool": "web",
    "app": "",
    "backend": "10.0.1.11:8080",
    "action": "redirect",
    "out_nic": "int0",
    "leaves": None,
}
DROPPED = ROW | {"number": 2, "verdict": "DROP_NO_SERVICE", "more": ""}
DROPPED |= {"pool": "", "backend": "", "out_nic": ""}
BEGUN = "capturing; Ctrl-C ends it\n"  # said when it is so
LAST = {"captured": 2, "missed": 1, "ended": ""}


def comes(fake, *parts):
    """Let these parts come; an exception among them is raised there."""

    def play():
        for part in parts:
            if isinstance(part, BaseException):
                raise part
            yield part

    fake.capture.return_value = nullcontext(Stream(200, NUMBERED, play()))


def objects(*rows):
    """Rows as the daemon sends them, in pieces of any size."""
    text = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    return [text[i : i + 50] for i in range(0, len(text), 50)]


def test_lines(run, fake):
    """
    One for each packet; how many there were is no packet.
    """
    comes(fake, *objects(ROW, DROPPED, LAST))
    result = run("capture")

    assert (
        "03:04:05.123456  ext0  tcp 198.51.100.7:40000 > 203.0.113.10:80 SYN  TO_BACKEND_NEW"
        "  web 10.0.1.11:8080  out int0\n"
        "03:04:05.123456  ext0  tcp 198.51.100.7:40000 > 203.0.113.10:80  DROP_NO_SERVICE\n"
    ) == result.stdout
    assert f"{BEGUN}captured 2, missed 1\n" == result.stderr
    assert [call.capture({**NOTHING, "form": "json"})] == fake.mock_calls


def test_json(run, fake):
    """
    The objects as they are.
    """
    comes(fake, *objects(ROW, DROPPED, LAST))
    lines = run("capture", "-o", "json").stdout.splitlines()

    assert [ROW, DROPPED] == [json.loads(line) for line in lines]


def test_the_filter(run, fake):
    """
    Every word of it, as the API has it.
    """
    comes(fake)
    words = ["--pool", "web", "--backend", "10.0.1.11:8080", "--host", "[2001:db8::7]"]
    words += ["--port", "80", "--protocol", "udp", "--in", "ext0", "--in", "ext1"]
    words += ["--verdict", "to_backend", "--verdict", "Reset-Down", "--drops"]
    run("capture", *words, "--count", "5", "--seconds", "1.5", "--snap", "64")
    ((wanted,),) = [c.args for c in fake.mock_calls]

    assert {
        "pool": "web",
        "host": "2001:db8::7",
        "port": 80,
        "protocol": "udp",
        "nic": ["ext0", "ext1"],
        "verdict": ["TO_BACKEND", "RESET_DOWN", "drop"],
        "count": 5,
        "seconds": 1.5,
        "snap": 64,
        "form": "json",
    } == {k: v for k, v in wanted.items() if k not in ("app", "backend")}
    assert "10.0.1.11:8080" == str(wanted["backend"])


def test_an_application(run, fake):
    """
    It is asked for by name, and stands where a pool does.
    """
    comes(fake, *objects(ROW | {"verdict": "TO_APP", "pool": "", "app": "voip", "backend": ""}))
    shown = run("capture", "--app", "voip").stdout
    ((wanted,),) = [c.args for c in fake.mock_calls]

    assert "voip" == wanted["app"]
    assert "  TO_APP  voip  out int0\n" in shown


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--verdict", "drop_noservice"], "verdict 'drop_noservice' is unknown; the nearest is"),
        (["--host", "web"], "'web' is not an IP address"),
        (["--snap", "4096"], "4096 is not in the range 1<=x<=2048"),
        (["-w", "x.pcapng", "-o", "json"], "-w writes pcapng, which -o cannot change"),
    ],
)
def test_wrong_usage(run, fake, words, complaint):
    """
    Refused before the daemon is asked.
    """
    result = run("capture", *words)

    assert 2 == result.exit_code
    assert complaint in result.stderr
    assert [] == fake.mock_calls


def test_a_file(run, fake, tmp_path):
    """
    What comes, in whole blocks; the numbers are on standard error.
    """
    comes(fake, FILE[:100], FILE[100:])
    path = tmp_path / "web.pcapng"
    result = run("capture", "-w", path)

    assert (0, "", f"{BEGUN}captured 3, missed 0\n") == (
        result.exit_code,
        result.stdout,
        result.stderr,
    )
    assert FILE == path.read_bytes()
    assert "pcapng" == fake.mock_calls[0].args[0]["form"]


def test_a_file_that_is_there(run, fake, tmp_path):
    """
    It is kept, unless --force is there.
    """
    path = tmp_path / "web.pcapng"
    path.write_text("precious")
    comes(fake, FILE)
    result = run("capture", "-w", path)

    assert (4, []) == (result.exit_code, fake.mock_calls)
    assert f"Error: {path}: exists already; choose another name, or --force\n" == result.stderr
    assert "precious" == path.read_text()
    assert 0 == run("capture", "-w", path, "--force").exit_code
    assert FILE == path.read_bytes()


def test_a_capture_that_is_refused(run, fake, tmp_path):
    """
    No file is made, and one that is there stays as it is.
    """
    path = tmp_path / "web.pcapng"
    path.write_text("precious")
    fake.capture.side_effect = Conflict("a capture is running since yesterday, started by alice")
    result = run("capture", "-w", path, "--force")

    assert (4, "precious") == (result.exit_code, path.read_text())
    assert "Error: a capture is running since yesterday, started by alice\n" == result.stderr
    run("capture", "-w", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_folder_that_is_not_there(run, fake, tmp_path):
    """
    One line says so.
    """
    comes(fake, FILE)
    result = run("capture", "-w", tmp_path / "none" / "web.pcapng")

    assert 1 == result.exit_code
    assert result.stderr.endswith("web.pcapng: there is no such folder; choose another FILE\n")
    assert [] == fake.mock_calls  # no program was swapped for it


def test_a_pipe_that_somebody_made(run, fake, tmp_path):
    """
    It is there to be written to.
    """
    comes(fake, FILE)
    path, read = tmp_path / "pipe", []
    os.mkfifo(path)
    thread = threading.Thread(target=lambda: read.append(path.read_bytes()))
    thread.start()
    result = run("capture", "-w", path)
    thread.join(DEADLINE)

    assert (0, [FILE]) == (result.exit_code, read)


def test_standard_output(run, fake):
    """
    Nothing but blocks is there.
    """
    comes(fake, FILE)
    result = run("capture", "-w", "-")

    assert FILE == result.stdout_bytes
    assert f"{BEGUN}captured 3, missed 0\n" == result.stderr


def test_a_terminal_is_no_place_for_it(run, fake, monkeypatch):
    """
    It would be spoilt.
    """
    monkeypatch.setattr(capture, "sys", Mock(**{"stdout.isatty.return_value": True}))
    result = run("capture", "-w", "-")

    assert (2, []) == (result.exit_code, fake.mock_calls)
    assert "a terminal cannot show a pcapng file" in result.stderr


def test_the_daemon_ends(run, fake, tmp_path):
    """
    What was captured is there, to the last whole block.
    """
    comes(fake, FILE[:-10], DaemonUnreachable("lbctld ended before its answer was complete"))
    result = run("capture", "-w", tmp_path / "web.pcapng")

    assert 5 == result.exit_code
    assert HEAD + BLOCKS[0] + BLOCKS[1] == (tmp_path / "web.pcapng").read_bytes()
    assert (
        f"{BEGUN}captured 2, missed 0\nError: lbctld ended before its answer was complete\n"
        == result.stderr
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
@pytest.mark.parametrize(
    "problem", [None, NotFound("no capture is running")], ids=["asked", "over"]
)
def test_a_signal(run, fake, tmp_path, number, problem):
    """
    The daemon is asked to end this very capture, and what it has left is taken.
    """
    asked = threading.Event()

    def stop(which):
        assert 7 == which
        asked.set()
        if problem:
            raise problem

    def play():
        yield FILE[:-10]
        os.kill(os.getpid(), number)
        assert asked.wait(DEADLINE)
        yield FILE[-10:]

    before = signal.getsignal(number)
    fake.stop_capture.side_effect = stop
    fake.capture.return_value = nullcontext(Stream(200, NUMBERED, play()))
    result = run("capture", "-w", tmp_path / "web.pcapng")

    assert (0, f"{BEGUN}captured 3, missed 0\n") == (result.exit_code, result.stderr)
    assert FILE == (tmp_path / "web.pcapng").read_bytes()
    assert before == signal.getsignal(number)


def test_a_second_signal(run, fake, tmp_path):
    """
    Who cannot wait gets what is there; the connection is closed.
    """
    closed = []

    @contextmanager
    def answer(_):
        try:
            yield Stream(200, NUMBERED, play())
        finally:
            closed.append(True)

    def play():
        yield FILE[:-10]
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        yield FILE[-10:]

    fake.capture.side_effect = answer
    result = run("capture", "-w", tmp_path / "web.pcapng")

    assert (130, [True]) == (result.exit_code, closed)
    assert HEAD + BLOCKS[0] + BLOCKS[1] == (tmp_path / "web.pcapng").read_bytes()


def test_stop(run, fake):
    """
    Whichever runs; whose it was is told.
    """
    fake.stop_capture.return_value = {"who": "alice", "captured": 12}

    assert "capture of alice ended: captured 12\n" == run("capture", "--stop").stdout
    assert [call.stop_capture()] == fake.mock_calls


def test_completion():
    """
    All verdicts, and the word for many of them.
    """
    assert {"drop", "RESET", "DROP_NO_SERVICE"} < set(offered(["capture", "--verdict"], ""))
    assert "drop" == offered(["capture", "--verdict"], "dr")[0]
