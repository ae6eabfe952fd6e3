"""The dynamic schedulers: each follows what it is named after, and none believes everything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.agent.wire import LoadReport
from lbctl.control import schedulers
from lbctl.control.schedulers import Server
from lbctl.control.schedulers.loads import load, settle
from lbctl.control.schedulers.power_of_two import draw

DYNAMIC = ["lc", "wlc", "least-load", "least-response-time", "p2c"]
REPORTED = ["least-load", "p2c"]

some_report = st.builds(
    LoadReport,
    cpu=st.none() | st.floats(0, 1.5),
    memory=st.none() | st.floats(0, 1),
    utilization=st.none() | st.floats(0, 5),
    requests_per_second=st.none() | st.floats(0, 1e6),
    execution_seconds=st.none() | st.floats(0, 1e3),
    weight=st.none() | st.floats(0, 10),
)
some_server = st.builds(
    Server,
    name=st.just("10.0.1.1:80"),
    weight=st.integers(1, 65535).map(float),
    connections=st.floats(0, 1e6),
    new_connections=st.floats(0, 1e6),
    report=st.none() | some_report,
    report_trust=st.floats(0, 1),
    response_seconds=st.none() | st.floats(0, 60),
    share=st.floats(0, 1),
)


def ask(name, *servers):
    """The shares that a scheduler wants, with a sum of 1."""
    shares = schedulers.dynamic(name)(servers)
    return (shares / shares.sum()).tolist()


def loaded(cpu, share=0.5, weight=1.0, trust=1.0, **more):
    """Make a server whose agent has told its CPU."""
    return Server("s", weight, 5, 10, LoadReport(cpu=cpu, **more), trust, None, share)


def connected(connections, rate=10.0, weight=1.0, share=0.5):
    """Make a server with open connections and so many new ones a second."""
    return Server("s", weight, connections, rate, share=share)


def timed(seconds, *, check=None, share=0.5):
    """Make a server that takes *seconds* for a request."""
    return Server("s", 1.0, 1, 10, LoadReport(execution_seconds=seconds), 1.0, check, share)


@pytest.mark.parametrize("name", DYNAMIC)
@given(servers=st.lists(some_server, min_size=1, max_size=8))
def test_whatever_the_servers_say_the_answer_is_shares(name, servers):
    """
    Finite, not negative, not all 0, one for each.
    """
    shares = schedulers.dynamic(name)(servers)

    assert len(servers) == len(shares)
    assert np.isfinite(shares).all()
    assert (shares >= 0).all()
    assert shares.any()


@pytest.mark.parametrize("name", [*DYNAMIC[1:], "lc"])
def test_without_news_the_shares_are_the_weights(name):
    """
    An idle pool without agents is dealt as it is configured; lc knows no weights.
    """
    silent = [Server("a", 1.0, share=0.25), Server("b", 3.0, share=0.75)]

    assert ([0.5, 0.5] if name == "lc" else [0.25, 0.75]) == pytest.approx(ask(name, *silent))


@pytest.mark.parametrize("name", DYNAMIC)
def test_equal_servers_get_equal_shares(name):
    """
    There is no favourite.
    """
    report = LoadReport(cpu=0.5, execution_seconds=0.01)
    server = Server("s", 1.0, 7, 10, report, 1.0, 0.01, 1 / 3)

    assert [1 / 3] * 3 == pytest.approx(ask(name, server, server, server))


# -- least load --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (LoadReport(cpu=0.5), 0.5),
        (LoadReport(cpu=0.3, utilization=0.7), 0.7),
        (LoadReport(cpu=0.3, memory=0.85), 0.3),
        (LoadReport(cpu=0.3, memory=0.98), 0.8),
        (LoadReport(cpu=1.0), 1.05),
        (LoadReport(requests_per_second=10), None),
        (LoadReport(), None),
        (None, None),
    ],
)
def test_the_load_is_that_of_the_scarcest(report, expected):
    """
    Used memory is no load before there is little left; a full CPU hides what more is asked of it.
    """
    assert pytest.approx(expected) == load(Server("s", 1.0, report=report, report_trust=1.0))


@given(
    st.lists(st.tuples(st.floats(1, 10), st.floats(0.05, 0.95)), min_size=2, max_size=6),
    st.floats(0.05, 0.89),
)
def test_loads_that_come_from_the_shares_settle_at_once(servers, busy):
    """
    From any shares, one answer is the end: as weight times (1 - load) with the loads that it makes.
    """
    weights = np.array([weight for weight, _ in servers])
    before = np.array([share for _, share in servers])
    before /= before.sum()
    per_share = busy * weights.sum() / weights  # at shares like the weights all loads are `busy`
    found = settle(weights, per_share * before, before)
    again = weights * (1 - per_share * found)

    assert found == pytest.approx(again / again.sum(), abs=1e-6)


def test_the_busy_server_gets_less():
    """
    And less than it has: all of its load may be another's work.
    """
    busy, _ = ask("least-load", loaded(0.8), loaded(0.2))

    assert busy < 0.4


def test_when_all_are_full_nobody_moves():
    """
    Nothing says who could take more, so what was learnt before is kept.
    """
    full = [loaded(1.0, share) for share in (0.2, 0.3, 0.5)]

    assert [0.2, 0.3, 0.5] == pytest.approx(ask("least-load", *full))


@pytest.mark.parametrize("name", REPORTED)
def test_who_tells_nothing_counts_like_the_mean(name):
    """
    Silence is neither idle nor busy; and so is news that is too old.
    """
    mean = [loaded(0.3, 1 / 3), loaded(0.5, 1 / 3), loaded(0.4, 1 / 3)]
    silent = [*mean[:2], Server("s", 1.0, 5, 10, share=1 / 3)]
    old = [*mean[:2], loaded(0.9, 1 / 3, trust=0.0)]

    assert ask(name, *mean) == pytest.approx(ask(name, *silent))
    assert ask(name, *mean) == pytest.approx(ask(name, *old))


def test_trust_fades_evenly():
    """
    Half believed is half way to the mean of the others.
    """
    shares = [ask("least-load", loaded(0.2), loaded(0.8, trust=t))[1] for t in (1, 0.5, 0)]

    assert shares == sorted(shares)
    assert 0.5 == pytest.approx(shares[-1])


def test_an_agent_may_ask_for_a_factor():
    """
    Shares of 3:1 are where they stay when one agent of two says a third of its weight.
    """
    settled = [loaded(0.0, 0.75, weight=1.0), loaded(0.0, 0.25)]
    report = LoadReport(cpu=0.0, weight=1 / 3)
    settled[1] = settled[1]._replace(report=report)
    doubled = settled[0]._replace(report=LoadReport(cpu=0.0, weight=2.0), share=2 / 3)

    assert [0.75, 0.25] == pytest.approx(ask("least-load", *settled))
    assert [2 / 3, 1 / 3] == pytest.approx(ask("least-load", doubled, loaded(0.0, 1 / 3)))


# -- connections -------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "shares"), [("lc", [0.5, 0.5]), ("wlc", [0.25, 0.75])])
def test_long_connections_are_filled_up(name, shares):
    """
    Who has fewer than its part gets more, until it has its part.
    """
    pairs = zip(shares, (1, 3), strict=True)
    even = [connected(1000 * share, 4 * share, weight, share) for share, weight in pairs]
    short = [even[0]._replace(connections=even[0].connections - 20), even[1]]

    assert shares == pytest.approx(ask(name, *even), abs=0.01)
    assert shares[0] + 0.2 < ask(name, *short)[0]


def test_who_has_far_too_many_gets_none():
    """
    As in IPVS, until the others have caught up.
    """
    assert 0.06 > ask("wlc", connected(10_000, 1.0), connected(10, 1.0))[0]


def test_short_connections_show_who_is_slow():
    """
    Ten times as many open at the same rate is ten times as slow.
    """
    slow, _ = ask("wlc", connected(100, 100), connected(10, 100))

    assert slow < 0.45


# -- response time -----------------------------------------------------------------------------


def test_the_slow_server_gets_less():
    """
    By half at most at once, for nobody knows how steeply times grow with the share.
    """
    slow, _ = ask("least-response-time", timed(0.03), timed(0.01))

    assert 0.25 < slow < 0.45


def test_shares_as_the_speeds_are_kept():
    """
    3:1 is right where one takes a third of the other's time.
    """
    settled = [timed(0.01, share=0.75), timed(0.03, share=0.25)]

    assert [0.75, 0.25] == pytest.approx(ask("least-response-time", *settled))


def test_execution_times_and_health_checks_are_not_mixed():
    """
    Whatever more servers tell counts, and the rest is like the mean.
    """
    told = [timed(0.02, check=0.5), timed(0.01, check=0.001)]
    checked = [server._replace(report=None) for server in told]
    mostly = [*checked, timed(0.00001, check=0.5)]

    assert 0.3 < ask("least-response-time", *told)[0]
    assert 0.25 > ask("least-response-time", *checked)[0]
    shares = ask("least-response-time", *mostly)
    assert shares[0] == pytest.approx(shares[2])


def test_microseconds_between_health_checks_mean_nothing():
    """
    0.2 ms and 0.1 ms are the same network on a good and a bad day.
    """
    near, far = (Server("s", 1.0, 1, 10, None, 0.0, t, 0.5) for t in (0.0001, 0.0002))

    assert 0.45 < ask("least-response-time", near, far)[1]


# -- two choices -------------------------------------------------------------------------------


def test_two_choices_by_rank():
    """
    Of three the busiest is taken only when it is drawn twice: 1/9, 3/9, 5/9.
    """
    drawn = draw(np.full(3, 1 / 3), np.array([0.9, 0.5, 0.1]))

    assert [1 / 9, 3 / 9, 5 / 9] == pytest.approx(drawn.tolist())


@given(st.lists(st.tuples(st.integers(1, 9), st.floats(0, 2)), min_size=1, max_size=9))
def test_the_draws_are_what_counting_them_gives(servers):
    """
    The sums are those over all pairs, ties split and near ties in part.
    """
    weights = np.array([float(weight) for weight, _ in servers])
    weights /= weights.sum()
    loads = np.array([busy for _, busy in servers])
    wins = np.clip(0.5 + (loads[None, :] - loads[:, None]) / 0.4, 0, 1)
    pairs = weights[:, None] * weights[None, :] * 2 * wins

    assert pairs.sum(axis=1).tolist() == pytest.approx(draw(weights, loads).tolist())
    assert pytest.approx(1) == draw(weights, loads).sum()


def test_two_choices_without_agents_look_at_connections():
    """
    Open ones for the weight, as most load balancers do it.
    """
    crowded, _ = ask("p2c", connected(90), connected(10))

    assert crowded < 0.4
