"""ORCA load reports as JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.agent.wire import BadReport, LoadReport
from lbctl.control.resources.orca import read_orca


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            {
                "cpu_utilization": 0.5,
                "mem_utilization": 0.25,
                "application_utilization": 1.5,
                "rps_fractional": 12.5,
                "eps": 1,
                "named_metrics": {"clients": 7.0, "execution_seconds": 0.1, "other": 9},
            },
            LoadReport(
                cpu=0.5,
                memory=0.25,
                utilization=1.5,
                requests_per_second=12.5,
                clients=7,
                execution_seconds=0.1,
            ),
        ),
        (
            {
                "cpuUtilization": 0.5,
                "memUtilization": 0.25,
                "applicationUtilization": 1.5,
                "rpsFractional": 12.5,
                "namedMetrics": {"clients": 7},
            },
            LoadReport(cpu=0.5, memory=0.25, utilization=1.5, requests_per_second=12.5, clients=7),
        ),
        ({}, LoadReport()),
        ({"utilization": {"x": 1}, "request_cost": {"y": 2}}, LoadReport()),
    ],
)
def test_names_in_both_spellings(data, expected):
    """
    Those of the message, and those that protobuf makes of them in JSON.
    """
    assert expected == read_orca(json.dumps(data).encode())


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"hello",
        b"[]",
        b"\xff",
        b"[" * 30000,
        b'{"cpu_utilization": NaN}',
        b'{"cpu_utilization": -0.1}',
        b'{"cpu_utilization": 1e400}',
        b'{"cpu_utilization": "0.5"}',
        b'{"cpu_utilization": true}',
        b'{"mem_utilization": 1.5}',
        b'{"named_metrics": []}',
        b'{"named_metrics": {"clients": 1.5}}',
        b'{"named_metrics": {"clients": 1e99}}',
        b'{"rps_fractional": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_cannot_be_is_refused(answer):
    """
    Wrong types, ranges and texts that are not JSON.
    """
    with pytest.raises(BadReport):
        read_orca(answer)


@given(st.binary(max_size=300))
def test_whatever_comes_is_a_report_or_refused(answer):
    """
    No bytes make it fail in another way.
    """
    try:
        report = read_orca(answer)
    except BadReport:
        return
    assert isinstance(report, LoadReport)
