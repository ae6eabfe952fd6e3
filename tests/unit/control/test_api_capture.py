"""The API of captures: what is asked for, and how it is refused."""

from __future__ import annotations

import json

import pytest

from tests.unit.control.capturing import rig
from tests.unit.control.client import Client


@pytest.fixture
def plane(links):
    """A switch that can capture."""
    return rig.Dataplane(links)


@pytest.fixture
def daemon(app, controller):
    """A client of a switch with the NIC eth0."""
    app.state.controller = controller
    return Client(app)


def test_lines(daemon, plane):
    """An object for each packet, then how many there were."""
    plane.at_start = (rig.record(bytes(60), in_nic=2), rig.record(bytes(60), in_nic=2))
    answer = daemon.get("/v1/capture?form=json&count=2&nic=eth0&verdict=to_backend")
    *rows, last = map(json.loads, answer.text.splitlines())

    assert "application/x-ndjson" == answer.headers["content-type"]
    assert [1, 2] == [row["number"] for row in rows]
    assert {"captured": 2, "missed": 0, "ended": ""} == last
    assert not plane.running


def test_a_file(daemon, plane):
    """The header says which capture it is."""
    plane.at_start = (rig.record(bytes(60), in_nic=2),)
    first, second = (daemon.get("/v1/capture?count=1") for _ in range(2))

    assert "application/x-pcapng" == first.headers["content-type"]
    assert [0x0A0D0D0A, 1, 6, 5] == [kind for kind, _ in rig.blocks(first.content)]
    assert ["1", "2"] == [answer.headers["x-lbctl-capture"] for answer in (first, second)]


@pytest.mark.parametrize(
    ("query", "status", "complaint"),
    [
        ("pool=none", 404, "there is no pool 'none'; see `lbctl pool list`"),
        ("nic=eth9", 404, "NIC 'eth9' is not attached; see `lbctl status`"),
        ("verdict=drop_noservice", 400, "verdict 'drop_noservice' is unknown; the nearest is"),
        ("port=0", 400, "port: must be greater than or equal to 1, not '0'"),
        ("backend=web", 400, "backend: 'web' is not ADDRESS:PORT"),
        ("colour=red", 400, "colour: there is no such key; check its spelling"),
    ],
)
def test_refusals(daemon, plane, query, status, complaint):
    """In one line, before anything is done."""
    answer = daemon.get(f"/v1/capture?{query}")

    assert status == answer.status_code
    assert answer.json()["error"].startswith(complaint)
    assert "new_capture" not in plane.calls


def test_there_is_none_to_end(daemon):
    """That is said."""
    answer = daemon.delete("/v1/capture")

    assert 404 == answer.status_code
    assert answer.json()["error"].startswith("no capture is running")
