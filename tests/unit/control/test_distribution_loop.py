"""
The loop: shares make loads, loads make reports, and late reports make shares; it must not swing.

The servers here are the simplest there are: CPU = share * rate / capacity + hog, averaged by the
agent over 3 s, sooner when it is full, and told a second later.
"""

from __future__ import annotations

from math import exp

import numpy as np
import pytest

from lbctl.agent.wire import LoadReport
from lbctl.control.distribution import Distributor, Member
from lbctl.model import Balance, SocketAddress

HOG_FROM, HOG_TO, END = 60, 120, 200
SETTLED = HOG_TO + 30
AGENT, AGENT_FULL = 1 - exp(-1 / 3), 1 - exp(-3 / 3)
CAPACITIES = [(1, 1, 1), (1, 2, 4), (4, 1, 1), (1, 3)]
LOADS = [0.1, 0.3, 0.5, 0.8, 0.9, 0.95]


def run(scheduler, capacities, load, hog, noise=0.0, balance=Balance()):  # noqa: B008, PLR0913, PLR0917
    """Live through it second by second; gives the shares, a row for each second."""
    addresses = [SocketAddress.parse(f"10.0.1.{1 + i}:80") for i in range(len(capacities))]
    capacity, rate = np.array(capacities, float), load * sum(capacities)
    random, distributor = np.random.default_rng(1), Distributor()
    shares = np.full(len(capacities), 1 / len(capacities))
    told = average = np.minimum(shares * rate / capacity, 1)
    history = []
    for second in range(END):
        extra = np.zeros(len(capacities))
        extra[0] = hog if HOG_FROM <= second < HOG_TO else 0
        cpu = np.clip(shares * rate / capacity + extra, 0, 1)
        cpu = np.maximum(cpu + noise * random.standard_normal(len(cpu)), 0)
        new = np.where(cpu >= 0.95, AGENT_FULL, AGENT)
        told, average = average, average + new * (cpu - average)
        members = [
            Member(a, 1, serving=True, report=LoadReport(cpu=float(c)), report_age=1.0)
            for a, c in zip(addresses, told, strict=True)
        ]
        done = distributor.step(float(second), scheduler, balance, members)
        shares = np.array(list(done.given.values()))
        history.append(shares)
    return np.array(history)


@pytest.mark.parametrize("scheduler", ["least-load", "p2c"])
@pytest.mark.parametrize("capacities", CAPACITIES, ids=str)
@pytest.mark.parametrize("load", LOADS)
def test_after_a_hog_the_shares_come_to_rest(scheduler, capacities, load):
    """
    30 s after its end no share moves by more than 0.05, be the hog small or large.
    """
    for hog, noise in ((0.3, 0.02), (0.9, 0.0)):
        rest = run(scheduler, capacities, load, hog, noise)[SETTLED:]

        assert np.ptp(rest, axis=0).max() <= 0.05, f"hog {hog}, noise {noise}"


@pytest.mark.parametrize("scheduler", ["least-load", "p2c"])
@pytest.mark.parametrize("load", [load for load in LOADS if load <= 0.8])
@pytest.mark.parametrize("hog", [0.3, 0.6, 0.9])
def test_a_hog_is_seen_within_seconds(scheduler, load, hog):
    """
    Within 10 s the share is down by a tenth of itself, it stays down, and it comes back.
    """
    share = run(scheduler, (1, 1, 1), load, hog)[:, 0]
    before = share[HOG_FROM - 1]

    assert share[HOG_FROM + 10] < 0.9 * before
    assert share[HOG_FROM + 10 : HOG_TO].max() < 0.9 * before
    assert before == pytest.approx(share[-1], abs=0.02)


@pytest.mark.parametrize("load", [load for load in LOADS if load <= 0.5])
def test_a_server_that_is_full_whatever_its_share_is_spared_soon(load):
    """
    Within 10 s it has half of its share at most: what it cannot serve waits there.
    """
    share = run("least-load", (1, 1, 1), load, hog=1.0)[:, 0]

    assert share[HOG_FROM + 10] < share[HOG_FROM - 1] / 2


def test_shares_go_one_way():
    """
    Down while the hog is there and up when it is gone, without a turn between.
    """
    moves = np.diff(run("least-load", (1, 1, 1), 0.5, 0.6)[:, 0])

    assert moves[HOG_FROM:HOG_TO].max() <= 0.01
    assert moves[HOG_TO:].min() >= -0.01


def test_shares_find_the_capacities():
    """
    Weights are configured alike, but one server is four times the other: loads become alike.
    """
    load, capacities = 0.8, np.array([1, 2, 4])
    shares = run("least-load", capacities, load, 0.0)[-1]
    busy = shares * load * capacities.sum() / capacities

    assert busy.max() < 0.95
    assert np.ptp(busy) < 0.2


@pytest.mark.parametrize("smoothing", [0, 1, 10])
def test_other_averages_do_not_swing_either(smoothing):
    """
    Whatever the administrator sets.
    """
    balance = Balance(smoothing=smoothing, step=1, dead_band=0.001)
    for load in (0.3, 0.8, 0.95):
        rest = run("least-load", (1, 2, 4), load, 0.5, balance=balance)[SETTLED + 30 :]

        assert np.ptp(rest, axis=0).max() <= 0.05, load
