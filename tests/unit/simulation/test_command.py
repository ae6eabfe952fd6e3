"""The command: it compares schedulers, the same way every time, without a daemon."""

from __future__ import annotations

import json
import sys

import pytest
from click.testing import CliRunner

from lbctl.cli import cli
from lbctl.control.schedulers import Scheduler

PNG = b"\x89PNG\r\n\x1a\n"


class NoDaemon:
    """A client that must not be used."""

    def __getattr__(self, name):
        raise AssertionError(name)


def simulate(*words):
    """Run `lbctl simulate` with *words*."""
    return CliRunner().invoke(cli, ["simulate", *words], obj=NoDaemon())


def compared(*words):
    """What the comparison says, by scheduler."""
    result = simulate(*words, "-o", "json")
    assert 0 == result.exit_code, result.output
    return {one["scheduler"]: one for one in json.loads(result.stdout)}


def test_every_scheduler_can_be_simulated():
    """
    Shares are shares, and the static ones move nothing.
    """
    words = [word for name in Scheduler for word in ("--scheduler", name)]
    found = compared("--seconds", "20", *words)

    assert list(Scheduler) == list(found)
    for one in found.values():
        assert pytest.approx(1, abs=1e-4) == sum(one["shares"].values())
        assert {"a", "b", "c"} == set(one["shares"])
        assert 0.5 < one["load_mean"] < 0.7
        assert one["seconds_mean"] <= one["seconds_p99"]
    assert [0] * 4 == [found[name]["slots_moved"] for name in ("maglev", "rr", "wrr", "sh")]


def test_following_the_load_helps():
    """
    With a hog on one of three, requests take less time than by weights alone.
    """
    found = compared("--hog", "a@20-80", "--seconds", "100")

    for name in ("wlc", "least-load", "least-response-time", "p2c"):
        assert found[name]["seconds_mean"] < found["maglev"]["seconds_mean"] / 2
        assert found[name]["slots_moved"] > 0


def test_the_seed_decides():
    """
    The same seed gives the same figures, another one does not.
    """
    words = ("--seconds", "20", "--scheduler", "least-load", "--seed")

    assert compared(*words, "3") == compared(*words, "3")
    assert compared(*words, "3") != compared(*words, "4")


def test_a_trace_is_played(tmp_path):
    """
    Other work and the rate are as the trace says, from its times on.
    """
    (tmp_path / "trace.csv").write_text("time,server,cpu,rate\n0,,,30\n0,b,0.9,\n40,b,0,\n")
    found = compared(
        *("--trace", str(tmp_path / "trace.csv"), "--seconds", "40", "--scheduler", "least-load")
    )["least-load"]

    assert 0.3 < found["load_mean"] < 0.5
    assert found["shares"]["b"] < 0.2


def test_a_trace_that_is_not_there(tmp_path):
    """
    One line that names it.
    """
    result = simulate("--trace", str(tmp_path / "gone.csv"))

    assert 2 == result.exit_code
    assert "gone.csv: No such file or directory" in result.stderr
    assert 1 == len(result.stderr.splitlines())


def test_capacities_and_weights():
    """
    As many servers as numbers; one number is for all.
    """
    found = compared("--capacity", "100,300", "--weight", "1,3", "--scheduler", "maglev")
    many = compared("--servers", "30", "--scheduler", "rr", "--seconds", "2")

    assert {"a": 0.25, "b": 0.75} == pytest.approx(found["maglev"]["shares"], abs=1e-4)
    assert 30 == len(many["rr"]["shares"])
    assert "d1" in many["rr"]["shares"]


def test_the_table():
    """
    One line for each scheduler, with titles.
    """
    titles, line = simulate("--seconds", "5", "--scheduler", "maglev").stdout.splitlines()

    expected = ["SCHEDULER", "LOAD", "LOAD-P99", "SPREAD", "MS", "MS-P99", "SLOTS-MOVED"]
    assert expected == titles.split()
    assert "maglev" == line.split()[0]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--hog", "z@1-2"), "the hog names server 'z'; there are a, b, c"),
        (("--hog", "a@2-1"), "'a@2-1': the hog must end after it begins"),
        (("--capacity", "1,x"), "--capacity: '1,x' must be numbers from 1 to 65535"),
        (("--capacity", "nan"), "--capacity: 'nan' must be numbers from 1 to 65535"),
        (("--servers", "2", "--weight", "1,2,3"), "--weight has 3 numbers for 2 servers"),
        (("--scheduler", "nearest"), "no scheduler 'nearest'; there are maglev, rr, "),
    ],
)
def test_words_that_make_no_sense(words, why):
    """
    One line and exit status 2.
    """
    result = simulate(*words)

    assert 2 == result.exit_code
    assert why in result.stderr
    assert 1 == len(result.stderr.splitlines())


def test_a_picture(tmp_path):
    """
    One that can be looked at.
    """
    pytest.importorskip("matplotlib")
    picture = tmp_path / "schedulers.png"
    result = simulate("--seconds", "5", "--hog", "a@1-3", "--plot", str(picture))

    assert 0 == result.exit_code
    assert picture.read_bytes().startswith(PNG)


@pytest.mark.parametrize("name", ["no-folder/a.png", "a.sheet"])
def test_a_picture_that_cannot_be_written(tmp_path, name):
    """
    One line, whether the folder or the format is wrong.
    """
    pytest.importorskip("matplotlib")
    result = simulate("--seconds", "2", "--plot", str(tmp_path / name))

    assert 1 == result.exit_code
    assert "cannot be written" in result.stderr
    assert 1 == len(result.stderr.splitlines())


def test_without_matplotlib(monkeypatch, tmp_path):
    """
    One line that says what to install, and figures need none.
    """
    for module in [*sys.modules]:
        if module.startswith("matplotlib"):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = simulate("--seconds", "2", "--plot", str(tmp_path / "a.png"))

    assert 1 == result.exit_code
    assert "run `pip install matplotlib`, or leave out --plot" in result.stderr
    assert 0 == simulate("--seconds", "2").exit_code
