"""
Captures under traffic: what Wireshark's tools read of them, and that no request fails for them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import closing

import pytest

from lbctl.testbed.processes import environment
from tests.netns.live import (
    PATIENCE,
    ask,
    connect,
    datagrams,
    going,
    none_failed,
    one_line,
    switch,
    until,
    vip4,
    vip6,
)

WEB = 10
BEGUN = "capturing; Ctrl-C ends it\n"  # said when it is so
URL = f"http://{vip4(WEB)}/"
FIELDS = (
    "frame.comment",
    "frame.interface_name",
    "frame.packet_flags_direction",
    "frame.packet_id",
)
IN, OUT = 1, 2


@pytest.fixture(scope="module")
def live():
    """Two clients and three servers behind one VIP, IPv4 alone."""
    with switch() as live:
        live.pool("web", f"{vip4(WEB)}:80/tcp", live.backends())
        yield live


@pytest.fixture
def plain(live):
    """The plain program's tag on all NICs, which is there again when the test is over."""
    before = live.tags()
    yield before
    until(lambda: before == live.tags(), "the plain program is not put back")
    assert not (live.pin_dir / "capture").exists()


@pytest.fixture
def path(tmp_path):
    """Where the file goes."""
    return tmp_path / "packets.pcapng"


def capturing(live, plain, *words):
    """Start a capture, and wait until its program is on the NICs."""
    child = live.typing("capture", *words)

    def runs():
        assert child.poll() is None, child.communicate()
        return not live.tags() & plain

    until(runs, "the capture does not start")
    return child


def ended(child, number=None):
    """End a capture, as Ctrl-C does; returns its exit status and what it said at the end."""
    if number is not None:
        child.send_signal(number)
    _, said = child.communicate(timeout=PATIENCE)
    return child.returncode, said


def tshark(path, *options):
    """What tshark reads of a file, in lines; it must not complain."""
    done = subprocess.run(
        ["tshark", "-n", "-r", str(path), *options],
        env={**os.environ, "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if "as user" not in line]
    assert (0, []) == (done.returncode, complaints)
    return done.stdout.splitlines()


def packets(path):
    """Comment, NIC, direction and number of every packet in a file."""
    options = [word for field in FIELDS for word in ("-e", field)]
    rows = (line.split("\t") for line in tshark(path, "-T", "fields", *options))
    return [(comment, nic, int(way, 16), number) for comment, nic, way, number in rows]


@pytest.mark.usefixtures("plain")
def test_ten_thousand_packets(live, path):
    """
    Each is there as it came and, if it left, as it left, with its verdict; nobody notices.
    """
    with live.crowd(URL, options=("--rate=400",)) as crowd:
        going(crowd)
        said = live.typed("capture", "--count", "10000", "-w", path).stderr
        going(crowd)
        none_failed(crowd)
    found = packets(path)
    came = [row for row in found if row[2] == IN]
    left = {row[3]: row for row in found if row[2] == OUT}

    assert f"{BEGUN}captured 10000, missed 0\n" == said
    assert [str(n) for n in range(1, 10_001)] == [row[3] for row in came]
    assert len(found) == len(came) + len(left)
    for comment, nic, _, number in came:
        if "TO_BACKEND" in comment or "TO_CLIENT" in comment:
            there, out, _, _ = left[number]
            assert comment.startswith("verdict: TO_")
            assert ", pool web, back-end 10.0." in comment
            assert comment.endswith(f", out {out}")
            assert there.endswith(f", in {nic}")
    assert {"TO_BACKEND_NEW", "TO_BACKEND", "TO_CLIENT"} <= {
        comment.split()[1].rstrip(",") for comment, *_ in came
    }


def test_wireshark_reads_along(live, plain):
    """
    What tshark prints comes while the capture runs, from a pipe.
    """
    lbctl = [sys.executable, "-m", "lbctl", "capture", "--pool", "web", "-w", "-"]
    env = {**environment(), "LBCTL_SOCKET": str(live.socket)}
    read = ["tshark", "-n", "-l", "-r", "-", "-T", "fields", "-e", "frame.comment"]
    with live.bed.popen(None, lbctl, env=env, stdout=subprocess.PIPE) as capture:
        reader = live.bed.popen(
            None, read, stdin=capture.stdout, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        capture.stdout.close()
        with reader:
            until(lambda: not live.tags() & plain, "the capture does not start")
            assert 0 == live.curl(URL).returncode
            first = reader.stdout.readline()
            assert capture.poll() is None
            capture.send_signal(signal.SIGINT)
            assert 0 == capture.wait(PATIENCE)
            assert 0 == reader.wait(PATIENCE)

    assert first.startswith(b"verdict: TO_BACKEND_NEW, pool web, back-end ")


def test_drops(live, plain, path):
    """
    Only those that are asked for; what each means stands beside it.
    """
    child = capturing(live, plain, "--drops", "--count", "3", "-w", path)
    with closing(live.inside("client0", datagrams)) as plug:
        for _ in range(3):
            assert 0 == live.curl(URL).returncode
            plug.sendto(b"nobody", (vip4(WEB), 5353))

    assert (0, f"{BEGUN}captured 3, missed 0\n") == ended(child)
    assert 3 == len(packets(path))
    for comment, nic, direction, _ in packets(path):
        assert comment.startswith("verdict: DROP_NO_SERVICE (For a VIP's address")
        assert ("ext0", IN) == (nic, direction)


def test_lines(live, plain):
    """
    A connection from its first packet, told as it comes.
    """
    child = capturing(live, plain, "--host", str(live.bed.clients[0].ipv4), "-o", "json")
    with closing(live.inside("client0", connect, vip4(WEB), 80)) as plug:
        ask(plug)
        rows = [json.loads(child.stdout.readline()) for _ in range(4)]

    assert 0 == ended(child, signal.SIGTERM)[0]
    assert [("SYN", "TO_BACKEND_NEW"), ("SYN,ACK", "TO_CLIENT"), ("ACK", "TO_BACKEND")] == [
        (row["more"], row["verdict"]) for row in rows[:3]
    ]
    assert f"{vip4(WEB)}:80" == rows[0]["destination"] == rows[1]["leaves"]["source"]


def test_a_change_in_the_midst(live, plain, path):
    """
    New features, new program: the capture goes on, with the new pool in it; then all is as before.
    """
    before = live.export()
    try:
        with live.crowd(URL) as crowd:
            child = live.typing("capture", "-w", path)
            until(lambda: not live.tags() & plain, "the capture does not start")
            going(crowd)
            live.pool("six", f"{vip6(WEB)}:80/tcp", live.backends(6))
            assert 0 == live.curl(f"http://{vip6(WEB)}/").returncode
            going(crowd)
            assert 0 == ended(child, signal.SIGINT)[0]
            none_failed(crowd)
        comments = [row[0] for row in packets(path)]
    finally:
        plain.clear()
        plain |= live.tags()
        live.apply(before)

    assert any("TO_BACKEND_NEW, pool six, back-end [" in comment for comment in comments)
    assert "pool web" in comments[-1] or any("pool web" in c for c in comments[-50:])


def test_the_daemon_is_killed(live, plain, path):
    """
    Packets go on; the next daemon puts the plain program back, and the file can be read.
    """
    with live.crowd(URL) as crowd:
        child = capturing(live, plain, "-w", path)
        until(lambda: path.exists() and path.stat().st_size > 100_000, "nothing is written")
        live.kill()
        status, said = ended(child)
        going(crowd)
        assert (live.pin_dir / "capture").exists()
        live.start()
        assert live.tags() == plain
        assert not (live.pin_dir / "capture").exists()
        going(crowd)
        none_failed(crowd)

    assert 5 == status
    assert "lbctld ended before its answer was complete" in said
    assert len(packets(path)) > 100


def test_the_daemon_ends(live, plain, path):
    """
    So does the capture, with its statistics.
    """
    child = capturing(live, plain, "-w", path)
    assert 0 == live.curl(URL).returncode
    live.end()
    status, said = ended(child)
    live.start()

    assert 0 == status
    assert f"{BEGUN}captured {len({row[3] for row in packets(path)})}, missed 0\n" == said


def test_the_second_is_refused(live, plain, path):
    """
    It hears who was first; whoever may can end that one.
    """
    child = capturing(live, plain, "--pool", "web", "-w", path)
    refused = live.refused(4, "capture", "--drops")
    stopped = live.lbctl("capture", "--stop")

    assert "a capture of pool web is running since 20" in refused
    assert "started by root; wait, or end it: `lbctl capture --stop`" in refused
    assert stopped.startswith("capture of root ended: captured ")
    assert 0 == ended(child)[0]
    assert one_line(live.typed("capture", "--stop"), 3).startswith("Error: no capture is running")


def test_the_reader_is_killed(live, plain, path):
    """
    Although no packet comes, the plain program is back at once; the journal has it all.
    """
    child = capturing(live, plain, "--port", "9", "-w", path)
    child.kill()
    until(lambda: live.tags() == plain, "the plain program is not put back")
    child.communicate()
    told = [event["text"] for event in live.json("events", "--kind", "capture")[-2:]]

    assert "started by root" == told[0]
    assert told[1].endswith("0 packets captured, 0 missed; started by root, its reader hung up")
