"""What is told of packets that go nowhere, of frames as they are, and of what cannot be tried."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lbctl.errors import LbctlError, NotFound
from lbctl.shared.routing import NextHopState
from tests.packets.telling import CLIENT, SERVER, VIP, Told, text
from tests.packets.world import WEB4
from tests.support import frames


@pytest.mark.parametrize(
    ("state", "verdict", "sentence", "following"),
    [
        ("UNRESOLVED", "DROP_NO_NEIGHBOR", "the MAC of the next hop to", "ping -c 1 10.0.1.11"),
        ("NO_ROUTE", "DROP_NO_ROUTE", "no route leads to", "ip route get 10.0.1.11"),
        (
            "NOT_ATTACHED",
            "DROP_NOT_ATTACHED",
            "by a NIC that has no switching processor",
            "ip route get 10.0.1.11",
        ),
    ],
)
def test_a_server_that_is_not_reached(switch, state, verdict, sentence, following):
    """
    What is in the way, and what to type.
    """
    told = Told(switch, {}, state=NextHopState[state]).ask("tcp", CLIENT, VIP)

    assert (verdict, following) == (told.verdict, told.next)
    assert sentence in text(told, "route")
    assert SERVER in text(told, "route")


def test_too_big(switch):
    """
    The sizes, and who is told.
    """
    told = Told(switch, {}, mtu=1400).ask("tcp", CLIENT, VIP, length=1500)

    assert f"1500 bytes are more than the way to {SERVER} takes (MTU 1400)" == text(told, "route")
    assert "is told by ICMP fragmentation needed (MTU 1400)" in text(told, "too_big")


def test_frames_as_they_are(switch):
    """
    For whom they are says by which NIC they come; another station's are only told of.
    """
    told = Told(switch, {})
    strange = frames.Way(frames.ROUTER, "02:00:00:00:00:77")
    inside, other = told.of(WEB4.says("A")), told.of(WEB4.asks("S", way=strange))
    forced = told.of(WEB4.asks("S", way=strange), to_nic=True)

    assert ("inside", "outside") == (inside.in_nic, other.in_nic)
    assert "TO_KERNEL_OTHER_MAC" == other.verdict
    assert "02:00:00:00:00:77, another station" in text(other, "arrive")
    assert "TO_BACKEND_NEW" == forced.verdict


def test_checksums_that_were_wrong_before(switch):
    """
    As captures have them where the NIC would have made them: told, and not held against the switch.
    """
    told = Told(switch, {}).of(WEB4.asks("S", chksum=0x1234))

    assert "the TCP checksum was wrong when it came" in text(told, "rewrite")


@pytest.mark.parametrize(
    ("frame", "verdict", "stage", "sentence"),
    [
        (WEB4.asks("S")[:50], "DROP_MALFORMED", "parse", "says 40 bytes, and there are 36"),
        (WEB4.asks("S", ip={"flags": "MF"}), "DROP_FRAGMENT", "service", "it is a fragment"),
        (WEB4.asks("S", ttl=1), "DROP_TTL_EXPIRED", "route", "its TTL is 1"),
        (frames.echo(CLIENT, VIP, reply=True), "TO_KERNEL", "icmp", "neither an echo request"),
    ],
)
def test_odd_frames(switch, frame, verdict, stage, sentence):
    """
    Why each of them goes where it goes.
    """
    told = Told(switch, {}).of(frame)

    assert verdict == told.verdict
    assert sentence in text(told, stage)


def test_a_frame_that_cannot_be_tried(switch):
    """
    The others are told all the same.
    """
    told = Told(switch, {}).of(bytes(10))

    assert ("", ()) == (told.verdict, told.stages)
    assert told.note.startswith("a frame of 10 bytes")


def test_no_such_nic(switch):
    """
    The two ways in which there is none.
    """
    told = Told(switch, {})
    with pytest.raises(NotFound, match="NIC 'eth7' is not attached; see `lbctl status`"):
        told.ask("tcp", CLIENT, VIP, nic="eth7")
    told.dataplane.attached = list
    with pytest.raises(LbctlError, match="no NIC is attached"):
        told.ask("tcp", CLIENT, VIP)


def test_what_is_published_meanwhile(switch):
    """
    The packet is tried again, so that all sentences are about one configuration.
    """
    told, tries = Told(switch, {}), []
    explain = told.dataplane.explain

    def publish_once(*args):
        tries.append(args)
        trial = explain(*args)
        if len(tries) == 1:
            told.publications.count += 1
        return trial

    told.dataplane = SimpleNamespace(
        explain=publish_once,
        attached=told.dataplane.attached,
        configuration=switch.configuration,
    )

    assert "TO_BACKEND_NEW" == told.ask("tcp", CLIENT, VIP, flags="SYN").verdict
    assert 2 == len(tries)
