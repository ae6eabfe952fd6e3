"""Programs on the switch in the metrics: as the API shows them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lbctl.control.metrics import catalogue, series
from lbctl.control.program_state import AppState, PortState
from lbctl.shared.abi import Verdict
from lbctl.shared.counters import Count
from tests.support.promtool import promtool
from tests.unit.control.test_api_programs import INNER, LB0, PORT, RUNS, VOIP
from tests.unit.control.test_metrics import Found

VIP = VOIP["vips"][0]


@pytest.fixture(autouse=True)
def _no_devices(monkeypatch):
    """What interfaces this machine has is not asked."""
    monkeypatch.setattr("lbctl.pseudo.device.find", lambda _owner, _name: None)


@pytest.fixture
def programs(served, controller):
    """What runs, of application voip and others: a mapping that a test fills."""
    states = {}
    controller.programs = SimpleNamespace(running=states.get, follow=lambda _configuration: None)
    served.post("/v1/apps", json=VOIP)
    return states


@pytest.mark.parametrize(
    ("state", "up"),
    [
        (None, 0),
        (AppState(None, "root", 0.0, exits=3), 0),
        (AppState(7, "root", 0.0, hung=True), 0),
        (AppState(7, "root", 0.0), 1),
    ],
    ids=["never ran", "ended", "hangs", "runs"],
)
def test_whether_an_application_runs(programs, controller, state, up):
    """A hung one does not, though there is a process."""
    programs["voip"] = state
    found = Found(controller)

    assert up == found.value(catalogue.APP_UP, app="voip")
    assert (state.exits if state else 0) == found.value(catalogue.APP_EXITS, app="voip")


def test_what_became_of_an_applications_packets(programs, controller):
    """By verdict as they came, by what it did, and those that it lost by where and why."""
    other = PortState("eth1", 0, zero_copy=False, received=5, fill_empty=4, rx_dropped=1)
    programs["voip"] = AppState(7, "root", 0.0, (PORT, other), exits=1, hung_count=2)
    controller.dataplane.reasons[0][1, Verdict.TO_APP] = 40
    found = Found(controller)

    assert {("voip", VIP, "TO_APP"): 40} == found.all(catalogue.APP_VERDICTS)
    assert 12 == found.value(catalogue.APP_PACKETS, app="voip", what="received")
    assert {
        ("voip", "eth0", "3", "rx_ring_full"): 2,
        ("voip", "eth0", "3", "fill_empty"): 0,
        ("voip", "eth0", "3", "rx_dropped"): 0,
        ("voip", "eth1", "0", "rx_ring_full"): 0,
        ("voip", "eth1", "0", "fill_empty"): 4,
        ("voip", "eth1", "0", "rx_dropped"): 1,
    } == found.all(catalogue.APP_LOST)
    assert 2 == found.value(catalogue.APP_HANGS, app="voip")


def test_pseudo_interfaces(served, controller):
    """Whether they are there, and what goes by; a counter that several share is left out."""
    served.post("/v1/pseudo", json=LB0)
    assert {("lb0",): 0} == Found(controller).all(catalogue.PSEUDO_UP)

    controller.dataplane.nics["lb0-s"] = INNER
    controller.dataplane.counts = [
        Count(2, Verdict.TO_PSEUDO, 7, 700),
        Count(56, Verdict.FROM_PSEUDO, 5, 500),
    ]
    found = Found(controller)
    one = {"pseudo": "lb0"}
    told = (catalogue.PSEUDO_UP, catalogue.PSEUDO_RECEIVED, catalogue.PSEUDO_SENT)
    assert (1, 7, 5) == tuple(found.value(metric, **one) for metric in told)

    served.post("/v1/pseudo", json={"name": "lb1", "addresses": ["203.0.113.9"]})
    assert {} == Found(controller).all(catalogue.PSEUDO_RECEIVED)


def test_they_are_as_the_catalogue_says(programs, served, controller):
    """Labels, how many there can be, and what Prometheus says of their names."""
    programs["voip"] = RUNS
    served.post("/v1/pseudo", json=LB0)
    controller.dataplane.nics["lb0-s"] = INNER
    controller.dataplane.counts = [Count(56, Verdict.FROM_PSEUDO, 5, 500)]
    found = Found(controller)

    for sample in found.samples:
        assert set(catalogue.BY_NAME[sample.name].labels) == set(sample.labels)
    assert len(found.samples) <= series.most_series(controller.configuration)
    assert "" == promtool("check", "metrics", text=found.text)
