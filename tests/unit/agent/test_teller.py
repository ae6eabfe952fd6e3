"""The teller: statements, metrics and the agent check's line."""

from __future__ import annotations

import asyncio
import re

import pytest

from lbctl.agent.sampler import Sampler
from lbctl.agent.state import State, StateFile, write_state
from lbctl.agent.teller import Teller, capacity
from lbctl.agent.wire import LoadReport, Statement, Wish, open_
from tests.unit.agent.servers import Clock, FakeProbe

KEY = b"a key that nobody knows"
NONCE = "0123456789abcdef"
FULL = LoadReport(
    cpu=0.25,
    memory=0.5,
    utilization=0.75,
    clients=3,
    requests_per_second=4.5,
    execution_seconds=0.01,
    connections={443: 2, 80: 1},
    weight=0.5,
)


@pytest.fixture
def make(tmp_path):
    """Make a teller of a report; an administrator's state may be set in `state`."""

    def teller(report=FULL, name=None, key=KEY):
        sampler = Sampler([FakeProbe(report, name='with "quotes"')])
        asyncio.run(sampler.look())
        return Teller(sampler, StateFile(tmp_path / "state"), key, name, Clock(1e9))

    return teller


def test_a_statement_has_the_nonce_that_was_asked(make):
    """
    And the time, the figures and what the server wants.
    """
    report = LoadReport(cpu=0.25, wish=Wish.UP)
    said = open_(KEY, make(LoadReport(cpu=0.25)).statement(KEY, NONCE, "192.0.2.1:8407"))

    assert Statement("192.0.2.1:8407", 1e9, NONCE, report) == said


def test_a_name_that_was_given_comes_first(make):
    """
    The address that was asked may be another, behind a NAT.
    """
    said = open_(KEY, make(name="192.0.2.11:80").statement(KEY, NONCE, "10.0.0.1:8407"))

    assert "192.0.2.11:80" == said.agent


def test_the_graver_wish_is_told(make, tmp_path):
    """
    An application that drains is not made to come back, nor an administrator overruled.
    """
    app = make(LoadReport(wish=Wish.DRAIN, reason="cold"))
    found = [app.report()]
    write_state(tmp_path / "state", State(Wish.UP))
    found.append(app.report())
    write_state(tmp_path / "state", State(Wish.MAINT, "disk"))
    found.append(app.report())

    cold = LoadReport(wish=Wish.DRAIN, reason="cold")
    assert [cold, cold, LoadReport(wish=Wish.MAINT, reason="disk")] == found


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (LoadReport(), None),
        (LoadReport(cpu=0.25), 75),
        (LoadReport(cpu=0.25, utilization=0.5), 50),
        (LoadReport(cpu=0.25, utilization=0.5, weight=1.5), 150),
        (LoadReport(cpu=0.0), 100),
        (LoadReport(cpu=1.7), 1),
        (LoadReport(weight=0.0), 0),
    ],
)
def test_capacity_is_what_is_left(report, expected):
    """
    Of the application's own measure first; a busy server is not drained by it.
    """
    assert expected == capacity(report)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (None, "75% up\n"),
        (State(Wish.UP), "75% up ready\n"),
        (State(Wish.DRAIN, "why"), "drain\n"),
        (State(Wish.MAINT), "maint\n"),
        (State(Wish.DOWN, "disk full"), "down # disk full\n"),
    ],
)
def test_the_check_is_one_line(make, tmp_path, state, expected):
    """
    "ready" ends a drain that HAProxy remembers, where an administrator has said "up".
    """
    if state:
        write_state(tmp_path / "state", state)

    assert expected == make(LoadReport(cpu=0.25)).check_line()


def test_a_server_that_knows_nothing_of_its_load_is_up(make):
    """
    Without a weight.
    """
    assert "up\n" == make(LoadReport()).check_line()


def test_metrics_have_all_figures(make):
    """
    By the names that the documentation gives.
    """
    text = make(name="192.0.2.11:80").metrics()

    assert [
        'lbctl_agent_answers_total{kind="agent_check"} 0',
        'lbctl_agent_answers_total{kind="metrics"} 0',
        'lbctl_agent_answers_total{kind="push"} 0',
        'lbctl_agent_answers_total{kind="refused"} 0',
        'lbctl_agent_answers_total{kind="report"} 0',
        "lbctl_agent_clients 3",
        'lbctl_agent_connections{port="443"} 2',
        'lbctl_agent_connections{port="80"} 1',
        "lbctl_agent_cpu_ratio 0.25",
        "lbctl_agent_execution_seconds 0.01",
        "lbctl_agent_memory_ratio 0.5",
        "lbctl_agent_requests_per_second 4.5",
        'lbctl_agent_source_errors_total{source="with \\"quotes\\""} 0',
        "lbctl_agent_utilization_ratio 0.75",
        "lbctl_agent_weight_ratio 0.5",
        'lbctl_agent_wish{wish="down"} 0',
        'lbctl_agent_wish{wish="drain"} 0',
        'lbctl_agent_wish{wish="maint"} 0',
        'lbctl_agent_wish{wish="up"} 1',
    ] == sorted(
        line for line in text.splitlines() if not line.startswith("#") and "info" not in line
    )


def test_metrics_are_in_the_text_format(make):
    """
    Each has its help and type once, before its samples; what is not told is not there.
    """
    text = make(LoadReport(cpu=0.5)).metrics()
    family = r"^# HELP (\S+) \S.*\n# TYPE (\S+) (?:gauge|counter)\n"
    families = re.findall(family, text, re.MULTILINE)
    samples = re.findall(r"^(\w+)(?:\{.*\})? \S+$", text, re.MULTILINE)

    assert len(families) == len(set(families))
    assert {name for name, _ in families} == set(samples)
    assert "lbctl_agent_memory_ratio" not in samples
    assert text.endswith("\n")
