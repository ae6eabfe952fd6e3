"""
The explain command: what is asked of the daemon, and what is shown of its answer.
"""

from __future__ import annotations

import base64
import io
import json
import re

import dpkt
import pytest
from scapy.utils import PcapNgWriter, PcapWriter

from lbctl.cli import packets
from lbctl.errors import LbctlError, NotFound, UsageError
from tests.support import frames
from tests.unit.cli.answers import EXPLANATION

WORDS = ("tcp", "198.51.100.7:40000", "203.0.113.10:80")
ASKED = dict(zip(("protocol", "source", "destination"), WORDS, strict=True))
SYN = frames.tcp("198.51.100.7:40000", "203.0.113.10:80")
ACK = frames.tcp("198.51.100.7:40000", "203.0.113.10:80", "A", b"12345")
SENT = {**EXPLANATION, "verdict": "TO_BACKEND", "backend": "10.0.1.11:8080", "out_nic": "eth2"}


@pytest.fixture(params=[PcapWriter, PcapNgWriter], ids=["pcap", "pcapng"])
def captured(request, tmp_path):
    """
    A file of two packets.
    """
    path = tmp_path / "trouble"
    with request.param(str(path)) as writer:
        for frame in (SYN, ACK):
            writer.write(frames.Ether(frame))
    return path


@pytest.mark.parametrize(
    ("options", "more"),
    [
        ((), {}),
        (("--in", "eth1"), {"in_nic": "eth1"}),
        (("--flags", "SYN,ACK"), {"flags": "SYN,ACK"}),
        (("--length", "1500", "--ttl", "1"), {"length": 1500, "ttl": 1}),
        (("--icmp", "too-big"), {"icmp": "too-big"}),
    ],
    ids=" ".join,
)
def test_what_is_asked(run, fake, options, more):
    """
    The words, and what else was said; what was not is the daemon's to choose.
    """
    assert 0 == run("explain", *WORDS, *options).exit_code
    fake.explain.assert_called_once_with({**ASKED, **more})


def test_stages_are_shown(run):
    """
    A sentence for each, then the verdict, what it means, and what to type; a drop is no failure.
    """
    result = run("explain", *WORDS)

    assert 0 == result.exit_code
    assert result.stdout == (
        "arrive  54 bytes come in by eth1\n"
        "select  nobody serves for pool web\n"
        "finish  XDP_DROP\n"
        "\n"
        "verdict  DROP_NO_BACKEND\n"
        "         No active back-end.  `lbctl pool show` says which are down or draining.\n"
        "next     lbctl pool show web\n"
    )


def test_json_is_the_answer(run):
    """
    As the daemon gave it.
    """
    assert json.loads(run("explain", *WORDS, "-o", "json").stdout) == EXPLANATION


def test_a_capture(run, fake, captured):
    """
    One line for each packet; the frames are sent as they are.
    """
    fake.explain_frames.return_value = [SENT, EXPLANATION]
    result = run("explain", "--pcap", str(captured), "--in", "eth1", "--queue", "3", "--to-nic")

    fake.explain_frames.assert_called_once_with(
        {
            "in_nic": "eth1",
            "queue": 3,
            "to_nic": True,
            "frames": [base64.b64encode(frame).decode() for frame in (SYN, ACK)],
        }
    )
    packet = "TCP SYN 198.51.100.7:40000 > 203.0.113.10:80, 40 bytes"
    assert [re.split(r"\s{2,}", line.strip()) for line in result.stdout.splitlines()] == [
        ["NUMBER", "PACKET", "VERDICT", "BACKEND", "OUT"],
        ["1", packet, "TO_BACKEND", "10.0.1.11:8080", "eth2"],
        ["2", packet, "DROP_NO_BACKEND", "-", "-"],
    ]


def test_a_capture_on_standard_input(run, fake, captured):
    """
    `-`; and no more packets than are wanted.
    """
    result = run(
        "explain", "--pcap", "-", "--limit", "1", "-o", "json", stdin=captured.read_bytes()
    )

    (asked,) = fake.explain_frames.call_args.args
    assert [base64.b64encode(SYN).decode()] == asked["frames"]
    assert [{"number": 1, **EXPLANATION}] == json.loads(result.stdout)


def test_many_packets_take_several_requests(run, fake, tmp_path):
    """
    Each answer is shown, in the order of the file.
    """
    with (tmp_path / "many").open("wb") as file:
        writer = dpkt.pcap.Writer(file)
        for _ in range(250):
            writer.writepkt(SYN, 0)
    fake.explain_frames.side_effect = lambda asked: [EXPLANATION] * len(asked["frames"])
    result = run("explain", "--pcap", str(tmp_path / "many"), "-o", "json")

    assert [100, 100, 50] == [
        len(call.args[0]["frames"]) for call in fake.explain_frames.call_args_list
    ]
    assert list(range(1, 251)) == [row["number"] for row in json.loads(result.stdout)]


def test_what_could_not_be_tried(run, fake, captured):
    """
    The line has no verdict; why is said below.
    """
    untried = {**EXPLANATION, "verdict": "", "note": "a frame of 9000 bytes"}
    fake.explain_frames.return_value = [EXPLANATION, untried]

    assert "\n\n2: a frame of 9000 bytes\n" in run("explain", "--pcap", str(captured)).stdout


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((), "give PROTO SRC[:PORT] DST[:PORT], or --pcap FILE"),
        (WORDS[:2], "give PROTO SRC[:PORT] DST[:PORT], or --pcap FILE"),
        (("sctp", *WORDS[1:]), "'sctp' is not one of tcp, udp, icmp"),
        ((*WORDS, "--to-nic"), "--to-nic is for --pcap"),
        ((*WORDS, "--ttl", "256"), "256 is not in the range"),
        ((*WORDS, "--icmp", "echo"), "'echo' is not one of"),
        (("tcp", "--pcap", "x", "--flags", "SYN"), "leave out tcp --flags"),
    ],
)
def test_wrong_words(run, fake, words, text):
    """
    Exit status 2, and the daemon is not asked.
    """
    result = run("explain", *words)

    assert 2 == result.exit_code
    assert text in result.stderr
    assert not fake.explain.called


def test_no_such_nic(run, fake):
    """
    Exit status 3.
    """
    fake.explain.side_effect = NotFound("NIC 'eth7' is not attached; see `lbctl status`")

    assert 3 == run("explain", *WORDS, "--in", "eth7").exit_code


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"", "neither pcap nor pcapng"), (b"GIF89a" * 9, "neither pcap nor pcapng")],
)
def test_what_is_no_capture(tmp_path, content, text):
    """
    It is named, and what writes one.
    """
    path = tmp_path / "what"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=text):
        list(packets.frames_of(str(path)))


def test_a_capture_of_all_nics(tmp_path):
    """
    What `tcpdump -i any` writes is no Ethernet.
    """
    path = tmp_path / "any.pcap"
    with path.open("wb") as file:
        dpkt.pcap.Writer(file, linktype=113)
    with pytest.raises(UsageError, match=r"not Ethernet \(link type 113\); capture on one NIC"):
        list(packets.frames_of(str(path)))


def test_a_capture_that_was_cut_off(tmp_path):
    """
    The packets before that are there.
    """
    file = io.BytesIO()
    writer = dpkt.pcap.Writer(file)
    for frame in (SYN, ACK):
        writer.writepkt(frame, 0)
    path = tmp_path / "cut.pcap"
    path.write_bytes(file.getvalue()[:-70])
    read = packets.frames_of(str(path))

    assert SYN == next(read)
    with pytest.raises(LbctlError, match="ends within a packet"):
        next(read)


@pytest.mark.parametrize("name", ["nothing", "."])
def test_a_file_that_cannot_be_read(tmp_path, name):
    """
    There is none, or it is a folder.
    """
    with pytest.raises(LbctlError, match=f"--pcap {tmp_path / name}: "):
        list(packets.frames_of(str(tmp_path / name)))
