"""What the forms make of captured packets."""

from __future__ import annotations

import io
import json
import struct
import time
from collections import Counter
from functools import partial

import pytest
from scapy.utils import RawPcapNgReader

from lbctl.control import edits, program_edits
from lbctl.control.capturing.forms import Lines, Pcapng, iso
from lbctl.control.capturing.names import Names
from lbctl.model import App
from lbctl.shared.abi import Verdict
from tests.support import frames
from tests.unit.control.capturing import rig

CAME = frames.tcp("198.51.100.7:40000", "203.0.113.10:80")
LEAVES = frames.tcp("198.51.100.7:40000", "10.0.1.11:8080")
ONE_NIC, OTHER_NIC = 2, 3  # slots of eth0 and eth1
NEW = {"verdict": Verdict.TO_BACKEND_NEW, "service": 0, "backend": 0}
VOIP = App.model_validate({"name": "voip", "vips": ["203.0.113.20:5060/udp"]})
WAY = {"in_nic": ONE_NIC, "out_nic": OTHER_NIC}


@pytest.fixture
def names(switch):
    """The names of the switch."""
    found = Names()
    found.refresh(switch)
    return found


@pytest.fixture
def counts():
    """What the NICs have received; a test may add to it."""
    return Counter()


@pytest.fixture
def pcapng(names, counts):
    """The form of a file."""
    return Pcapng(names, "why", 2048, lambda: Counter(counts))


def told(form, *records):
    """What scapy reads of a file with these records: NIC, direction, comment, frame."""
    data = form.head() + form.packets(records)
    return [
        (about.ifname.decode(), about.direction, about.comments[0].decode(), frame)
        for frame, about in RawPcapNgReader(io.BytesIO(data))
    ]


def test_a_packet_that_left(pcapng):
    """It is there twice, and either says where the other is."""
    assert [
        ("eth0", 1, f"{PREFIX}, out eth1", CAME),
        ("eth1", 2, f"{PREFIX}, in eth0", LEAVES),
    ] == told(pcapng, rig.record(CAME, LEAVES, **NEW, **WAY))


PREFIX = "verdict: TO_BACKEND_NEW, pool web, back-end 10.0.1.11:8080"


def test_a_packet_that_went_nowhere(pcapng):
    """Its comment says what that means."""
    dropped = rig.record(CAME, verdict=Verdict.DROP_NO_SERVICE, in_nic=ONE_NIC)
    ((nic, direction, comment, frame),) = told(pcapng, dropped)

    assert ("eth0", 1, CAME) == (nic, direction, frame)
    assert comment.startswith("verdict: DROP_NO_SERVICE (For a VIP's address, but")


def test_a_packet_of_the_kernel(pcapng):
    """There is no more to say than that."""
    passed = rig.record(CAME, verdict=Verdict.TO_KERNEL, in_nic=ONE_NIC, out_nic=ONE_NIC)

    assert [("eth0", 1, "verdict: TO_KERNEL", CAME)] == told(pcapng, passed)


def test_a_nic_that_comes_later(pcapng, names):
    """The file hears of it when its first packet comes."""
    before = told(pcapng, rig.record(CAME, in_nic=ONE_NIC))
    place = names.nics.pop(OTHER_NIC)
    pcapng.forget()
    names.nics[7] = place._replace(name="eth7")
    blocks = rig.blocks(pcapng.packets([rig.record(CAME, in_nic=7), rig.record(CAME, in_nic=7)]))

    assert "eth0" == before[0][0]
    assert [1, 6, 6] == [kind for kind, _ in blocks]
    assert b"eth7" in blocks[0][1]
    assert [2, 2] == [struct.unpack_from("<I", body)[0] for _, body in blocks[1:]]


def test_a_nic_that_nobody_knows(pcapng):
    """It is called by its slot."""
    assert ["slot9"] == [nic for nic, *_ in told(pcapng, rig.record(CAME, in_nic=9))]


def test_a_part_of_a_packet(pcapng):
    """The file says how long it was."""
    short = rig.record(CAME[:20], in_nic=ONE_NIC, came_length=1514)
    data = pcapng.head() + pcapng.packets([short])

    assert [(CAME[:20], 1514)] == [(f, m.wirelen) for f, m in RawPcapNgReader(io.BytesIO(data))]


def test_time(pcapng):
    """What the kernel counts from its start becomes the time of day."""
    before = time.time_ns()
    now = rig.record(CAME, in_nic=ONE_NIC, time=time.clock_gettime_ns(time.CLOCK_MONOTONIC))
    ((_, about),) = RawPcapNgReader(io.BytesIO(pcapng.head() + pcapng.packets([now])))

    seen = (about.tshigh << 32) + about.tslow
    assert abs(seen - before) < 60e9  # the same minute, not the same year


def statistics(form, missed):
    """Received, accepted, missed and delivered packets of each NIC."""
    return [
        tuple(struct.unpack_from("<Q", body, 40 + 12 * i)[0] for i in range(4))
        for _, body in rig.blocks(form.status(missed))
    ]


def test_statistics(pcapng, counts):
    """Of each NIC, since the start; missed packets have no NIC."""
    counts.update({ONE_NIC: 10, OTHER_NIC: 5})
    told(pcapng, *[rig.record(CAME, LEAVES, **WAY)] * 3)

    assert [(10, 5, 2, 3), (5, 0, 0, 0)] == statistics(pcapng, 2)
    assert b"missed packets are those of all NICs" in pcapng.status(2)
    assert b"missed" not in pcapng.status(0)
    assert b"its time is over" in pcapng.status(0, "its time is over")


def test_counters_that_began_anew(pcapng, counts):
    """A NIC was attached again: it has received what was captured at least."""
    counts[ONE_NIC] = -1000
    told(pcapng, *[rig.record(CAME, in_nic=ONE_NIC)] * 3)

    assert (3, 3, 0, 3) == statistics(pcapng, 0)[0]


def test_lines(names):
    """One object for each: what it was, what became of it, and what left."""
    form = Lines(names)
    data = form.packets([rig.record(CAME, LEAVES, **NEW, **WAY), rig.record(CAME, in_nic=ONE_NIC)])
    first, second = map(json.loads, data.splitlines())
    sender = {"protocol": "tcp", "source": "198.51.100.7:40000"}

    assert b"" == form.head()
    assert {
        "number": 1,
        "time": first["time"],
        "nic": "eth0",
        **sender,
        "destination": "203.0.113.10:80",
        "more": "SYN",
        "bytes": 54,
        "verdict": "TO_BACKEND_NEW",
        "pool": "web",
        "app": "",
        "backend": "10.0.1.11:8080",
        "action": "redirect",
        "out_nic": "eth1",
        "leaves": {**sender, "destination": "10.0.1.11:8080", "more": "SYN", "bytes": 54},
    } == first
    assert (2, None, "") == (second["number"], second["leaves"], second["out_nic"])
    assert {"captured": 2, "missed": 3, "ended": "why"} == json.loads(form.status(3, "why"))


def test_a_packet_of_an_application(switch):
    """Its name is in the comment of a file, and in a line; a freed index is another's some day."""
    names, index = Names(), 0  # of pool web, until it is removed
    names.refresh(switch)
    switch.change("pool remove web", "root", partial(edits.remove_pool, name="web"))
    switch.change("app add voip", "root", partial(program_edits.add_app, app=VOIP))
    names.refresh(switch)
    record = rig.record(CAME, verdict=Verdict.TO_APP, service=index, in_nic=ONE_NIC)
    ((_, _, comment, _),) = told(Pcapng(names, "why", 2048, Counter), record)
    row = json.loads(Lines(names).packets([record]))

    assert "verdict: TO_APP, app voip" == comment
    assert ("", "voip", "") == (row["pool"], row["app"], row["out_nic"])


def test_iso():
    """With every digit, in UTC."""
    assert "2025-01-02T03:04:05.000000006Z" == iso(1_735_787_045_000_000_006)
