"""The words of HAProxy's agent check."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.agent.wire import MAX_REASON, BadReport, LoadReport, Wish, decode_report, encode_report
from lbctl.control.resources.haproxy import Haproxy, Said, hear
from lbctl.model import AgentKind
from tests.unit.control.resources.servers import Watched, agent, saying, serving


def heard(*lines):
    """Give the report after these lines."""
    said = Said()
    for line in lines:
        said = hear(line, said)
    return said.report()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("75%", LoadReport(weight=0.75)),
        ("0%", LoadReport(weight=0.0)),
        ("weight:150%", LoadReport(weight=1.5)),
        ("weight:50", LoadReport(weight=0.5)),
        ("weight:256", LoadReport(weight=2.56)),
        ("up 75%", LoadReport(weight=0.75, wish=Wish.UP)),
        ("75%,UP\tready", LoadReport(weight=0.75, wish=Wish.UP)),
        ("drain", LoadReport(wish=Wish.DRAIN)),
        ("maint", LoadReport(wish=Wish.MAINT)),
        ("up drain", LoadReport(wish=Wish.DRAIN)),
        ("down", LoadReport(wish=Wish.DOWN)),
        ("fail #disk full", LoadReport(wish=Wish.DOWN, reason="disk full")),
        ("stopped#by hand", LoadReport(wish=Wish.DOWN, reason="by hand")),
        ("up #not a reason", LoadReport(wish=Wish.UP)),
        ("maxconn:30", LoadReport()),
        ("frobnicate 75% maxconn:30", LoadReport(weight=0.75)),
        ("10% 20%", LoadReport(weight=0.2)),
    ],
)
def test_words(line, expected):
    """
    In any order, in capitals or not; unknown ones are passed over.
    """
    assert expected == heard(line)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("50% drain", "up"), LoadReport(weight=0.5, wish=Wish.DRAIN)),
        (("drain", "ready"), LoadReport(wish=Wish.UP)),
        (("down #x", "75%"), LoadReport(weight=0.75, wish=Wish.DOWN, reason="x")),
        (("down #x", "down #y"), LoadReport(wish=Wish.DOWN, reason="y")),
        (("down #x", "ready"), LoadReport(wish=Wish.DOWN, reason="x")),
        (("down #x", "up"), LoadReport(wish=Wish.UP)),
        (("drain", "down", "up"), LoadReport(wish=Wish.DRAIN)),
        (("drain", "down", "ready"), LoadReport(wish=Wish.DOWN)),
    ],
)
def test_only_the_agent_takes_back_what_it_said(lines, expected):
    """
    What a line does not mention stays, and `up` and `ready` take back different things.
    """
    assert expected == heard(*lines)


@pytest.mark.parametrize(
    "line", ["", "   ", "#down", "hello", "weight:257", "weight:-1", "-5%", "1e3%", "999999999%"]
)
def test_garbage_is_refused(line):
    """
    A line without any word that is known, or a weight out of its range.
    """
    with pytest.raises(BadReport):
        heard(line)


@given(st.text(max_size=300))
def test_whatever_comes_is_a_report_or_refused(text):
    """
    And a report is one that can be passed on.
    """
    for line in (text, f"down 5% #{text}"):
        try:
            report = heard(line)
        except BadReport:
            continue
        assert report == decode_report(encode_report(report))
        assert len(report.reason) <= MAX_REASON


def test_a_failure_to_connect_changes_nothing():
    """
    It is counted, but the agent's last word stands.
    """

    async def run():
        manager = Watched()
        async with serving(saying(b"40% down #x\n")) as address:
            haproxy = agent(address, AgentKind.HAPROXY)
            async with manager.running(haproxy):
                await manager.until(lambda: manager.only.answers)
        async with manager.running(haproxy):
            await manager.until(lambda: manager.only.failures)
            return manager.only

    state = asyncio.run(run())

    assert LoadReport(weight=0.4, wish=Wish.DOWN, reason="x") == state.reading.report
    assert "Connection refused" == state.problem


def test_bytes_that_are_no_text_are_no_failure():
    """
    They are shown as what they are not.
    """
    report = Haproxy().read(None, b"down #\xff\x1b[2J")

    assert LoadReport(wish=Wish.DOWN, reason="\ufffd?[2J") == report
