"""The filter: from words to what the switching processors read."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from pydantic import ValidationError

from lbctl.control import program_edits
from lbctl.control.capturing import verdicts
from lbctl.control.capturing.wanted import Wanted
from lbctl.errors import NotFound, UsageError
from lbctl.model import App, SocketAddress, Vip
from lbctl.shared import abi, addresses
from lbctl.shared.abi import Liked, Verdict
from lbctl.shared.configuration import BackendRecord
from tests.unit.control import fakes
from tests.unit.control.capturing import rig

ALL_NICS = (1 << abi.NICS_MAX) - 1
SERVICE, FIRST, SECOND = 0, rig.SERVICES, rig.SERVICES + 1  # places of the marks


def written(switch, **words):
    """What the filter and the marks are; marks that are not 0, by place."""
    capture = rig.Capture()
    Wanted(**words).write(capture, switch)
    capture.close()
    marks = {int(i): int(capture.marked[i]) for i in np.flatnonzero(capture.marked)}
    return capture.filter[0], marks


def test_every_packet(switch):
    """Without a word: any NIC and verdict, and nothing else is asked."""
    row, marks = written(switch)

    assert (ALL_NICS, 0xFFFFFFFF, 0, 0) == tuple(
        int(row[name]) for name in ("nics", "verdicts", "asks", "protocol")
    )
    assert abi.SNAP == row["snap"]
    assert {} == marks


def test_verdicts(switch):
    """A bit for each; drop is all that begin so."""
    row, _ = written(switch, verdict=["to_backend", "RESET"])
    assert 1 << Verdict.TO_BACKEND | 1 << Verdict.RESET == row["verdicts"]

    row, _ = written(switch, verdict=["drop"])
    drops = [v for v in Verdict if v.name.startswith("DROP_")]
    assert sum(1 << verdict for verdict in drops) == row["verdicts"]


def test_a_pool(switch):
    """Its services are marked."""
    row, marks = written(switch, pool="web")

    assert Liked.SERVICE == row["asks"]
    assert {SERVICE: Liked.SERVICE} == marks


def test_an_application(switch):
    """Its VIPs are marked, and no others; none once it has gone."""
    voip = App.model_validate(
        {"name": "voip", "vips": ["203.0.113.20:5060/udp", "203.0.113.20:*/udp"]}
    )
    switch.change("app add voip", "root", partial(program_edits.add_app, app=voip))
    row, marks = written(switch, app="voip")

    assert Liked.SERVICE == row["asks"]
    assert {SERVICE + 1: Liked.SERVICE, SERVICE + 2: Liked.SERVICE} == marks
    assert "app voip" == Wanted(app="voip").words()
    switch.change("app remove voip", "root", partial(program_edits.remove_app, name="voip"))
    row, marks = written(switch, app="voip")
    assert (Liked.SERVICE, {}) == (row["asks"], marks)


@pytest.mark.parametrize("other", [{"pool": "web"}, {"backend": str(fakes.ONE)}])
def test_an_application_and_a_pool(switch, other):
    """No packet is for both: that is a mistake, not a filter."""
    with pytest.raises(UsageError, match="leave one of them out"):
        Wanted(app="voip", **other).check(switch)


def test_a_backend(switch):
    """Its record is marked, and no other."""
    row, marks = written(switch, backend=str(fakes.TWO))

    assert Liked.BACKEND == row["asks"]
    assert {SECOND: Liked.BACKEND} == marks


def test_a_backend_of_every_port(switch):
    """Its record has no port: its address says who it is."""
    host = SocketAddress(fakes.ONE.address, 0)
    switch.dataplane.configuration.kept[9] = BackendRecord(Vip.parse("203.0.113.9:*/tcp"), host)
    _, marks = written(switch, backend=str(fakes.ONE))

    assert {FIRST: Liked.BACKEND, rig.SERVICES + 9: Liked.BACKEND} == marks


def test_a_host(switch):
    """Of the frame, or the server that it goes to."""
    row, marks = written(switch, host="10.0.1.11")

    assert Liked.HOST == row["asks"]
    assert addresses.words(fakes.ONE.address).tolist() == row["host"].tolist()
    assert {FIRST: Liked.HOST} == marks


def test_a_host_written_as_ipv6(switch):
    """It is the IPv4 host."""
    assert (
        written(switch, host="::ffff:10.0.1.11")[0].tobytes()
        == written(switch, host="10.0.1.11")[0].tobytes()
    )


@pytest.mark.parametrize("port", [80, 8080])
def test_a_port(switch, port):
    """Of the frame, or on the other side of the switch: VIP and server have one each."""
    row, marks = written(switch, port=port)

    assert (Liked.PORT, port) == (row["asks"], row["port"])
    assert {FIRST: Liked.PORT, SECOND: Liked.PORT} == marks


def test_several_words(switch):
    """All of them must be true; a mark has all that its server has."""
    row, marks = written(switch, host="10.0.1.12", port=8080, backend=str(fakes.TWO), pool="web")

    asked = Liked.HOST | Liked.PORT | Liked.BACKEND | Liked.SERVICE
    assert asked == row["asks"]
    assert {
        SERVICE: Liked.SERVICE,
        FIRST: Liked.PORT,
        SECOND: Liked.HOST | Liked.PORT | Liked.BACKEND,
    } == marks


@pytest.mark.parametrize(("name", "number"), [("tcp", 6), ("udp", 17), ("icmp", 1)])
def test_a_protocol(switch, name, number):
    """By its number."""
    assert number == written(switch, protocol=name)[0]["protocol"]


def test_nics(switch):
    """A bit for the slot; one that has gone has none."""
    slot = switch.dataplane.nics["eth1"].slot
    assert 1 << slot == written(switch, nic=["eth1"])[0]["nics"]

    del switch.dataplane.nics["eth1"]
    assert 0 == written(switch, nic=["eth1"])[0]["nics"]


def test_how_much_of_a_packet(switch):
    """What is asked for; for a line the headers are enough."""
    assert 64 == written(switch, snap=64)[0]["snap"]
    assert 128 == written(switch, form="json")[0]["snap"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ({"pool": "none"}, "there is no pool 'none'; see `lbctl pool list`"),
        ({"app": "none"}, "there is no app 'none'; see `lbctl app list`"),
        ({"nic": ["eth9"]}, "NIC 'eth9' is not attached; see `lbctl status`"),
        (
            {"backend": "10.0.1.99:1"},
            "no pool has a back-end 10.0.1.99:1; see `lbctl backend list`",
        ),
    ],
)
def test_what_is_not_there(switch, words, complaint):
    """It is refused, by name."""
    with pytest.raises(NotFound) as refusal:
        Wanted(**words).check(switch)
    assert complaint == str(refusal.value)


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        ("drop_noservice", "verdict 'drop_noservice' is unknown; the nearest is DROP_NO_SERVICE"),
        ("zzz", "verdict 'zzz' is unknown; see `lbctl stats` for their names"),
        ("continue", "verdict 'continue' is unknown; the nearest is DROP_NO_CONNECTION"),
    ],
)
def test_verdicts_that_there_are_not(word, complaint):
    """The nearest is told."""
    with pytest.raises(UsageError) as refusal:
        verdicts.named([word])
    assert complaint == str(refusal.value)


@pytest.mark.parametrize(
    "words",
    [
        {"port": 0},
        {"port": 65_536},
        {"protocol": "sctp"},
        {"snap": 0},
        {"snap": abi.SNAP + 1},
        {"count": 0},
        {"seconds": 0},
        {"seconds": float("nan")},
        {"host": "web"},
        {"form": "pcap"},
        {"unknown": 1},
    ],
    ids=str,
)
def test_what_cannot_be(words):
    """It is no filter."""
    with pytest.raises(ValidationError):
        Wanted(**words)


def test_words():
    """For the journal, and for whoever comes second."""
    wanted = Wanted(verdict=["drop", "RESET"], pool="web", backend="10.0.1.11:80", nic=["eth0"])

    assert "every packet" == Wanted().words()
    assert "verdict drop or RESET, pool web, back-end 10.0.1.11:80, in by eth0" == wanted.words()
