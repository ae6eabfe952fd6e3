"""The Prometheus source: reading the text, and turning metrics into figures."""

from __future__ import annotations

import asyncio
import logging
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.agent.prometheus import Metric, Metrics, PrometheusProbe, totals
from lbctl.agent.readings import SourceError
from lbctl.agent.wire import LoadReport
from lbctl.errors import UsageError
from tests.unit.agent.servers import OK, Clock, answering

TEXT = """\
# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{code="200",path="/a}b"} 1027 1395066363000
requests_total{path="with \\"quotes\\", and {braces}",code="200",} 3
requests_total{code="500"} 3 # {trace_id="x"} 1
requests_total_other 77
busy 1.5e+1
 \t
broken{code="200" 5
nothing
edge +Inf
"""


def metric(text):
    """Read a metric."""
    return Metric.parse(text)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("requests_total", 1033),
        ('requests_total{code="200"}', 1030),
        ('requests_total{code="200",path="/a}b"}', 1027),
        ('requests_total{ path = "with \\"quotes\\", and {braces}" }', 3),
        ("busy", 15),
        ("edge", math.inf),
    ],
)
def test_samples_are_added_up(name, expected):
    """
    Those of the name that have the labels; time stamps and exemplars are none of it.
    """
    assert {metric(name): expected} == totals(TEXT, [metric(name)])


@pytest.mark.parametrize("name", ["request", 'requests_total{code="404"}', "broken", "nothing"])
def test_what_is_not_there_is_left_out(name):
    """
    It is not 0: nobody has told it.
    """
    assert {} == totals(TEXT, [metric(name)])


@given(st.text())
def test_any_text_is_read(text):
    """
    What is no sample counts for nothing.
    """
    assert set(totals(f"a{text}\n{text}", [metric("a"), metric("b")])) <= {metric("a"), metric("b")}


@given(
    st.dictionaries(st.from_regex("[a-z_]{1,9}", fullmatch=True), st.text(max_size=9), max_size=3),
    st.floats(allow_nan=False),
)
def test_a_written_sample_is_read(labels, value):
    """
    Whatever its labels say.
    """
    escaped = {
        name: text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
        for name, text in labels.items()
        if not set(text) & set("\r\v\f\x1c\x1d\x1e\x85\u2028\u2029")  # lines to Python
    }
    inner = ",".join(f'{name}="{text}"' for name, text in escaped.items())
    wanted = Metric("x", frozenset((name, labels[name]) for name in escaped))

    assert {wanted: value} == totals(f"x{{{inner}}} {value!r}", [wanted])


@pytest.mark.parametrize("text", ["", "9x", "a b", "a{b}", 'a{b="c"', "a{}x", 'a{b="c"} '])
def test_what_is_no_metric_is_refused(text):
    """
    The error shows how one looks.
    """
    with pytest.raises(UsageError, match="http_requests_total"):
        Metric.parse(text)


def test_a_metric_is_shown_as_it_was_typed():
    """
    For the log.
    """
    assert ['a{b="c",d="e"}', "a"] == [str(metric('a{d="e",b="c"}')), str(metric("a{}"))]


METRICS = Metrics(
    requests=metric("requests_total"),
    clients=metric("busy"),
    execution=metric("seconds"),
    utilization=metric("used"),
)


def page(requests, seconds, count, busy="15", used="0.5"):
    """Make the page of an application."""
    return (
        f"{OK}requests_total {requests}\nbusy {busy}\nused {used}\n"
        f'seconds_bucket{{le="1"}} 3\nseconds_sum {seconds}\nseconds_count {count}\n'
    )


def sampled(*pages, seconds=2.0):
    """Look at each of *pages*, with *seconds* between; give the reports."""

    async def look():
        clock = Clock()
        async with answering(*pages) as url:
            probe = PrometheusProbe(url, METRICS, 1.0, clock)
            reports = []
            for _ in pages:
                reports.append(await probe.sample())
                clock.now += seconds
            return reports

    return asyncio.run(look())


def test_counters_become_rates_and_means():
    """
    With the second look; gauges are told from the first.
    """
    first, second = sampled(page(100, 7, 50), page(150, 12, 60))

    assert LoadReport(utilization=0.5, clients=15) == first
    assert (
        LoadReport(utilization=0.5, clients=15, requests_per_second=25, execution_seconds=0.5)
        == second
    )


def test_an_application_that_restarts_has_no_rate_for_one_look():
    """
    Its counters begin anew.
    """
    reports = sampled(page(100, 7, 50), page(5, 1, 2), page(9, 3, 4))

    assert [None, None, 2.0] == [report.requests_per_second for report in reports]
    assert [None, None, 1.0] == [report.execution_seconds for report in reports]


def test_nobody_served_is_no_execution_time():
    """
    And a rate of 0.
    """
    _, report = sampled(page(100, 7, 50), page(100, 7, 50))

    assert (0.0, None) == (report.requests_per_second, report.execution_seconds)


@pytest.mark.parametrize(
    "changes", [{"busy": "NaN"}, {"busy": "+Inf"}, {"busy": "-4"}, {"used": "x"}, {"used": "1e9"}]
)
def test_figures_that_are_none_are_an_error(changes):
    """
    They never reach the switch.
    """
    with pytest.raises(SourceError, match=r"127\.0\.0\.1"):
        sampled(page(1, 1, 1, **changes))


def test_a_metric_that_is_not_there_is_told_once(caplog):
    """
    It may be misspelt; the others are read all the same.
    """
    with caplog.at_level(logging.WARNING):
        reports = sampled(f"{OK}busy 3\nused 0.25\nseconds_sum 1\n", f"{OK}busy 3\nused 0.25\n")

    assert [LoadReport(clients=3, utilization=0.25)] * 2 == reports
    assert ["requests_total", "seconds_count", "seconds_sum"] == sorted(
        record.message.split("metric ")[1].split(";")[0] for record in caplog.records
    )
