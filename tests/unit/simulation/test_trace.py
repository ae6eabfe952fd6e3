"""Traces: CSV and JSON lines, and a line that says which line is wrong."""

from __future__ import annotations

from io import StringIO

import pytest

from lbctl.errors import UsageError
from lbctl.simulation.scenario import Hog, Sample, Scenario
from lbctl.simulation.trace import read

CSV = """\
time,server,cpu,memory,rate
30,a,0.75,,
0,a,0.10,0.4,
0,,,,180
"""
LINES = """\
{"time": 30, "server": "a", "cpu": 0.75}
{"time": 0, "server": "a", "cpu": 0.10, "memory": 0.4}

{"time": 0, "rate": 180}
"""
SAMPLES = [
    Sample(0.0, "a", cpu=0.1, memory=0.4),
    Sample(0.0, None, rate=180.0),
    Sample(30.0, "a", cpu=0.75),
]


@pytest.mark.parametrize("text", [CSV, LINES], ids=["CSV", "JSON lines"])
def test_both_forms_say_the_same(text):
    """
    In the order of time, which a recording of several servers need not have.
    """
    assert SAMPLES == read(StringIO(text))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "trace: no lines; a trace has at least time and server"),
        ("time,server,cpu\n1,a,1.5", "line 2: cpu is '1.5'; it must be 0 to 1"),
        ("time,server,cpu\n1,a,nan", "line 2: cpu is 'nan'; it must be 0 to 1"),
        ("time,server,cpu\n1,a,lots", "line 2: cpu is 'lots'; it must be 0 to 1"),
        ("time,server,cpu\n,a,0.5", "line 2: no time; each line has time, in seconds"),
        ("time,server,cpu\n1,,0.5", "line 2: neither a server nor a rate; name one of them"),
        ('{"time": 0, "server": "a"', "line 1: no JSON"),
        ('{"time": 0, "server": 1}', "line 1: server 1 is no name; put it in quotes"),
        ('{"time": 0, "server": "a", "cpu": [1]}', r"line 1: cpu is \[1\]; it must be 0 to 1"),
        ('{"time": 0, "rate": 1}\n[]', "line 2: not an object"),
    ],
)
def test_what_is_wrong_is_named(text, why):
    """
    One line with the line's number.
    """
    with pytest.raises(UsageError, match=why):
        read(StringIO(text))


def test_what_is_no_text_is_refused(tmp_path):
    """
    A picture, say.
    """
    (tmp_path / "trace").write_bytes(b"\x89PNG\xff")
    with (tmp_path / "trace").open(encoding="utf-8") as file, pytest.raises(UsageError) as caught:
        read(file)

    assert str(caught.value).endswith("a trace is CSV or JSON lines")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a@60-120", Hog("a", 60, 120, 0.6)),
        ("b@0.5-2:80%", Hog("b", 0.5, 2, 0.8)),
    ],
)
def test_hogs(text, expected):
    """
    Server, from, to and, if it is not the usual one, the part of the CPU.
    """
    assert expected == Hog.parse(text)


@pytest.mark.parametrize("text", ["a", "a@60", "a@60-50", "a@1-2:0%", "a@1-2:101%", "a@1.2.3-4"])
def test_hogs_that_make_no_sense(text):
    """
    One line that names what was said.
    """
    with pytest.raises(ValueError, match=f"'{text}'"):
        Hog.parse(text)


def test_two_hogs_add_up_to_a_whole_cpu_at_most():
    """
    While both are there.
    """
    hogs = [Hog("a", 0, 10, 0.6), Hog("a", 5, 15, 0.7)]
    scenario = Scenario({"a": 100.0}, {"a": 1}, 10, 60, hogs)

    assert [0.6, 1.0, 0.7, 0.0] == [scenario.hog("a", now) for now in (0, 5, 10, 15)]
