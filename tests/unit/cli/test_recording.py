"""
The recording: what is on the disk when something fails, and what a terminal is told.
"""

from __future__ import annotations

import errno
import io

import pytest

from lbctl.cli import recording
from lbctl.cli.recording import Tally
from lbctl.errors import Conflict, DaemonUnreachable, LbctlError
from tests.unit.cli.test_capture import BLOCKS, HEAD

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class FullDisk(io.BytesIO):
    """A file that takes a head and half a block, some bytes at a time."""

    name = "web.pcapng"

    def __init__(self, file):
        super().__init__()
        self.file, self.left = file, len(HEAD) + 50

    def write(self, data):
        """Take a part."""
        if not self.left:
            raise OSError(errno.ENOSPC, "No space left on device")
        took = self.file.write(data[: min(7, self.left)])
        self.left -= took
        return took

    def fileno(self):
        """The file itself."""
        return self.file.fileno()


def test_a_disk_that_is_full(tmp_path):
    """
    The file ends with the last block that has room as a whole.
    """
    path = tmp_path / "web.pcapng"
    with path.open("wb", buffering=0) as file, pytest.raises(LbctlError) as failure:
        recording.write([HEAD, BLOCKS[0], BLOCKS[1]], FullDisk(file), Tally(live=False))

    assert "web.pcapng: No space left on device; what it has so far is complete" == str(
        failure.value
    )
    assert HEAD == path.read_bytes()


def test_a_terminal_is_told_while_it_runs(monkeypatch, capsys):
    """
    In one line, again and again.
    """
    monkeypatch.setattr(recording, "EVERY", 0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with Tally(live=True) as tally:
        tally.update(1, 0)
        tally.update(20, 3)

    said = capsys.readouterr().err
    told = "\rcaptured 1, missed 0\rcaptured 20, missed 3\rcaptured 20, missed 3\n"
    assert f"capturing; Ctrl-C ends it\n{told}" == said


def test_the_stream_of_a_daemon(client, daemon):
    """
    Parts as they come, until there is no daemon any more.
    """
    daemon.raw = CHUNKED + b"5\r\nfirst\r\n"
    with client.capture({}) as stream:
        assert b"first" == next(stream.parts)
        with pytest.raises(DaemonUnreachable, match="lbctld ended before"):
            next(stream.parts)


def test_a_stream_that_is_refused(client, daemon):
    """
    The error is the one that the daemon raised.
    """
    daemon.answers["GET", "/v1/capture"] = (409, {"error": "it is running", "exit_code": 4})
    with pytest.raises(Conflict, match="it is running"), client.capture({"port": 80, "pool": None}):
        pytest.fail("refused")

    assert {"port": "80"} == daemon.requests[-1].params
