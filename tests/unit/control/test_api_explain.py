"""The endpoints of explaining, over a switch without a kernel."""

from __future__ import annotations

import base64
from dataclasses import replace
from types import SimpleNamespace

import pytest

from lbctl.control.explaining import explanation
from lbctl.control.explaining.headers import decode
from lbctl.shared import syscall
from tests.support import frames
from tests.unit.control.explaining import cases
from tests.unit.control.explaining.cases import CLIENT, SYN

VIP = "203.0.113.10:80"
WORDS = {"protocol": "tcp", "source": CLIENT, "destination": VIP}


@pytest.fixture
def asked(client, plane, monkeypatch):
    """
    A client of a switch that drops every frame, and the frames that it was given.
    """
    given = []

    def explain(frame, _ifindex, _about, _queue):
        given.append(frame)
        return cases.case(frame, action=syscall.DROP, finish={"verdict": "DROP_INTERNAL"}).trial

    plane.explain = explain
    plane.nics["eth0"] = replace(plane.nics["eth0"], mac=cases.NIC.mac)
    kernel = SimpleNamespace(way_to=lambda _: None)
    monkeypatch.setattr("lbctl.control.explaining.arrival.NetworkKernel", lambda: kernel)
    return SimpleNamespace(post=client.post, given=given)


def test_words(asked):
    """
    An ACK is tried first, and a SYN where it belongs to nothing.
    """
    answer = asked.post("/v1/explain", json=WORDS)

    assert 200 == answer.status_code
    assert {"DROP_INTERNAL", "DROP"} == {answer.json()["verdict"], answer.json()["action"]}
    assert ["TCP ACK", "TCP SYN"] == [decode(frame).what for frame in asked.given]


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"flags": "RST"}, "TCP RST"),
        ({"protocol": "udp"}, "UDP"),
        ({"icmp": "unreachable"}, "ICMP unreachable"),
    ],
)
def test_what_leaves_nothing_open(asked, more, what):
    """
    One try.
    """
    asked.post("/v1/explain", json=WORDS | more)

    assert [what] == [decode(frame).what for frame in asked.given]


@pytest.mark.parametrize("to_nic", [False, True])
def test_frames(asked, to_nic):
    """
    As they are, or for the NIC's MAC; one or several.
    """
    other = frames.tcp(CLIENT, VIP, way=frames.Way(frames.ROUTER, "02:00:00:00:00:77"))
    text = base64.b64encode(other).decode()
    one = asked.post("/v1/explain", json={"frame": text, "to_nic": to_nic})
    several = asked.post("/v1/explain/frames", json={"frames": [text, text], "to_nic": to_nic})

    assert [one.json()] * 2 == several.json()
    assert [SYN if to_nic else other] * 3 == asked.given


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "text"),
    [
        ("", WORDS | {"in_nic": "eth7"}, 404, 3, "NIC 'eth7' is not attached"),
        ("", WORDS | {"protocol": "sctp"}, 400, 2, "protocol: "),
        ("", WORDS | {"ttl": 0}, 400, 2, "ttl: "),
        ("", WORDS | {"destination": "203.0.113.10"}, 400, 2, "destination: '203.0.113.10' has no"),
        ("", WORDS | {"colour": "red"}, 400, 2, "colour"),
        ("", {"frame": "?"}, 400, 2, "frame: "),
        ("", {}, 400, 2, "protocol: is missing"),
        ("/frames", {"frames": ["AAAA"] * 1001}, 400, 2, "frames: "),
    ],
)
def test_refusals(asked, path, body, status, code, text):  # noqa: PLR0913, PLR0917
    """
    In the form of all others.
    """
    answer = asked.post(f"/v1/explain{path}", json=body)

    assert (status, code) == (answer.status_code, answer.json()["exit_code"])
    assert text in answer.json()["error"]
    assert not asked.given


def test_it_says_so_when_the_configuration_never_rests(asked, controller, monkeypatch):
    """
    Rather than mix two of them.
    """
    monkeypatch.setattr(
        explanation, "_moment", lambda _: asked.given.append(b"") or len(asked.given)
    )
    answer = asked.post("/v1/explain", json=WORDS)

    assert (422, 1) == (answer.status_code, answer.json()["exit_code"])
    assert "changes all the time" in answer.json()["error"]
    assert 1 == controller.current.number
