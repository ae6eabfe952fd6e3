"""The distributor: what a scheduler wants is given within limits, whoever comes or goes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.agent.wire import LoadReport
from lbctl.control.distribution import Distributor, Member
from lbctl.model import Balance, SocketAddress

ADDRESSES = [SocketAddress.parse(f"10.0.1.{1 + i}:80") for i in range(10)]
A, B, C = ADDRESSES[:3]
SCHEDULERS = ["maglev", "rr", "lc", "wlc", "least-load", "least-response-time", "p2c"]
DYNAMIC = SCHEDULERS[2:]


def member(address, weight=1, *, cpu=None, age=0.5, **more):
    """Make a server that serves; with *cpu* its agent has told it *age* seconds ago."""
    if cpu is not None:
        more |= {"report": LoadReport(cpu=cpu), "report_age": age}
    return Member(address, weight, **{"serving": True, **more})


def at_once(**more):
    """Make knobs that let shares go where they are wanted."""
    return Balance(**{"smoothing": 0, "dead_band": 0, "step": 1, "floor": 0, **more})


some_members = st.lists(
    st.builds(
        dict,
        weight=st.integers(0, 9),
        serving=st.sampled_from([True, True, True, False]),
        fresh=st.booleans(),
        connections=st.integers(0, 1000),
        new_connections=st.floats(0, 1000),
        report=st.none() | st.builds(LoadReport, cpu=st.floats(0, 1.2), weight=st.floats(0, 2)),
        report_age=st.floats(0, 30),
        response_seconds=st.none() | st.floats(0.0001, 5),
    ),
    min_size=5,
    max_size=5,
)
some_balance = st.builds(
    Balance,
    smoothing=st.floats(0, 10),
    dead_band=st.floats(0, 0.1),
    step=st.floats(0.01, 1),
    floor=st.floats(0, 1),
    slow_start=st.sampled_from([0.0, 5.0]),
)


def members_of(described):
    """Make members of their descriptions."""
    return [Member(a, **one) for a, one in zip(ADDRESSES, described, strict=False)]


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@given(history=st.lists(some_members, min_size=1, max_size=8), balance=some_balance)
def test_shares_are_shares_whatever_happens(scheduler, history, balance):
    """
    Of those that serve, with a sum of 1; of nobody else; and `changed` says whether they moved.
    """
    distributor, before = Distributor(), {}
    for second, described in enumerate(history):
        members = members_of(described)
        done = distributor.step(float(second), scheduler, balance, members)
        served = {m.address for m in members if m.serving and m.weight}
        for shares in (done.wanted, done.given):
            assert {m.address for m in members} == set(shares)
            assert pytest.approx(1.0 if served else 0.0) == sum(shares.values())
            assert {a for a, share in shares.items() if share} <= served
            assert min(shares.values()) >= 0
        moved = max(abs(done.given[a] - before.get(a, 0.0)) for a in done.given)
        assert done.problem is None
        assert done.changed or moved <= 1e-9
        before = done.given


@pytest.mark.parametrize("scheduler", DYNAMIC)
@given(
    history=st.lists(st.lists(st.floats(0, 1.2), min_size=4, max_size=4), min_size=2, max_size=12),
    step=st.floats(0.01, 0.5),
    floor=st.floats(0, 0.9),
    weights=st.lists(st.integers(1, 9), min_size=4, max_size=4),
)
def test_no_share_moves_further_than_a_step_nor_below_the_floor(
    scheduler, history, step, floor, weights
):
    """
    Whatever the agents say.
    """
    distributor, before = Distributor(), None
    balance = Balance(step=step, floor=floor, smoothing=0, dead_band=0)
    counting = [1] * 4 if scheduler == "lc" else weights
    for second, loads in enumerate(history):
        told = zip(ADDRESSES, weights, loads, strict=False)
        members = [
            member(a, w, cpu=cpu, connections=int(1000 * cpu), new_connections=100 * cpu)
            for a, w, cpu in told
        ]
        given_now = list(
            distributor.step(float(second), scheduler, balance, members).given.values()
        )
        for now, then, weight in zip(given_now, before or given_now, counting, strict=True):
            assert abs(now - then) <= step + 1e-9
            assert now >= floor * weight / sum(counting) - 1e-9
        before = given_now


# -- static schedulers -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheduler", "expected"), [("maglev", 0.75), ("wrr", 0.75), ("sh", 0.75), ("rr", 0.5)]
)
def test_static_schedulers_give_what_is_configured(scheduler, expected):
    """
    At once, in any direction, whatever the agents say.
    """
    distributor = Distributor()
    distributor.step(0.0, scheduler, Balance(), [member(A, cpu=1.0), member(B)])
    done = distributor.step(1.0, scheduler, Balance(), [member(A, cpu=1.0), member(B, 3)])

    assert {A: 1 - expected, B: expected} == done.given == done.wanted


def test_weight_0_gets_nothing():
    """
    It is as good as not serving.
    """
    done = Distributor().step(0.0, "maglev", Balance(), [member(A, 0), member(B)])

    assert {A: 0.0, B: 1.0} == done.given


def test_nobody_serves():
    """
    All shares are 0, and the next who comes has all.
    """
    distributor = Distributor()
    done = distributor.step(0.0, "least-load", Balance(), [member(A, serving=False)])
    assert {A: 0.0} == done.given

    assert {A: 1.0} == distributor.step(1.0, "least-load", Balance(), [member(A)]).given


# -- who comes and goes ------------------------------------------------------------------------


def test_who_dies_loses_all_at_once():
    """
    Its part goes to the others as they had theirs, though no step is due.
    """
    distributor, balance = Distributor(), at_once()
    told = [member(A, cpu=0.8), member(B, cpu=0.2), member(C, cpu=0.4)]
    before = distributor.step(0.0, "least-load", balance, told).given
    told[2] = told[2]._replace(serving=False)
    done = distributor.step(0.0, "least-load", balance, told)

    assert 0.0 == done.given[C]
    assert before[A] / before[B] == pytest.approx(done.given[A] / done.given[B])
    assert done.changed


def test_who_returns_has_its_configured_share():
    """
    Without slow start it does not creep up step by step.
    """
    distributor, balance = Distributor(), Balance(step=0.01)
    distributor.step(0.0, "least-load", balance, [member(A), member(B, serving=False)])
    done = distributor.step(1.0, "least-load", balance, [member(A), member(B)])

    assert {A: 0.5, B: 0.5} == done.given


def test_who_returns_is_not_taken_for_idle():
    """
    Its first reports are of the time before it had anything to do.
    """
    distributor, balance = Distributor(), at_once()
    busy = member(A, cpu=0.8)
    for second in range(3):
        distributor.step(float(second), "least-load", balance, [busy, member(B, serving=False)])
    done = distributor.step(3.0, "least-load", balance, [busy, member(B, cpu=0.0)])

    assert 0.55 > done.given[B]


@pytest.mark.parametrize("scheduler", ["maglev", "rr", "least-load"])
def test_slow_start(scheduler):
    """
    A tenth of its share at once, and all of it after the time that was set.
    """
    distributor, balance = Distributor(), Balance(slow_start=10, step=0.5, dead_band=0)
    distributor.step(0.0, scheduler, balance, [member(A)])
    rising = [
        distributor.step(float(second), scheduler, balance, [member(A), member(B, fresh=True)])
        for second in range(1, 13)
    ]
    shares = [done.given[B] for done in rising]

    assert 0.1 / 1.1 == pytest.approx(shares[0])
    assert 0.55 / 1.55 == pytest.approx(shares[5])
    assert [0.5, 0.5] == pytest.approx(shares[-2:])
    assert shares == sorted(shares)


def test_who_comes_again_starts_slowly_again():
    """
    And who stays fresh has started once.
    """
    distributor, balance = Distributor(), Balance(slow_start=10)
    coming = member(B, fresh=True)
    gone = coming._replace(serving=False)
    seen = [(0, coming), (20, coming), (21, gone), (22, coming)]
    shares = [
        distributor.step(float(now), "maglev", balance, [member(A), it]).given[B]
        for now, it in seen
    ]

    assert [0.1 / 1.1, 0.5, 0.0, 0.1 / 1.1] == pytest.approx(shares)


# -- limits ------------------------------------------------------------------------------------


def test_small_differences_are_left_alone_until_they_have_lasted():
    """
    The same difference as often as it takes to be as much as the dead band.
    """
    distributor, balance = Distributor(), at_once(dead_band=0.02)
    told = [member(A, cpu=0.50), member(B, cpu=0.52)]
    first = [distributor.step(float(s), "least-load", balance, told) for s in range(3)]
    later = [distributor.step(float(s), "least-load", balance, told) for s in range(3, 100)]

    assert not any(done.changed for done in first[1:])
    assert 0.503 < first[1].wanted[A] < 0.52
    assert any(done.changed for done in later)


def test_large_pools_move_too():
    """
    A tenth of the pool has a share of which the whole is hardly more than a dead band.
    """
    distributor, balance = Distributor(), Balance(smoothing=0)
    told = [member(a, cpu=1.0 if a == A else 0.3) for a in ADDRESSES]
    shares = [
        distributor.step(float(second), "least-load", balance, told).given[A]
        for second in range(30)
    ]

    assert shares[0] <= 0.1
    assert shares[-1] < 0.05


def test_a_call_in_between_is_worth_its_part_of_a_step():
    """
    Ten calls in a second do not move shares ten steps.
    """
    told = [member(A, cpu=0.9), member(B, cpu=0.1)]
    often, seldom = Distributor(), Distributor()
    balance = Balance(smoothing=0, step=0.02, dead_band=0)
    for tenth in range(11):
        many = often.step(tenth / 10, "least-load", balance, told)
    seldom.step(0.0, "least-load", balance, told)
    one = seldom.step(1.0, "least-load", balance, told)

    assert one.given[A] == pytest.approx(many.given[A])


# -- averages ----------------------------------------------------------------------------------


def test_old_news_fades_to_the_configured_weights():
    """
    Never to nothing: an agent that died says nothing of its server.
    """
    distributor, balance = Distributor(), at_once()
    shares = []
    for second in range(60):
        told = [member(A, 1, cpu=0.1), member(B, 1, cpu=0.9, age=0.5 + second, stale_after=10.0)]
        shares.append(distributor.step(float(second), "least-load", balance, told).given[B])

    assert 0.3 > shares[9]
    assert shares[10:] == sorted(shares[10:])
    assert 0.5 == pytest.approx(shares[-1], abs=0.01)


@pytest.mark.parametrize(
    ("age", "expected"), [(None, 0.0), (0, 1.0), (10, 1.0), (15, 0.5), (20, 0.0), (99, 0.0)]
)
def test_trust(age, expected):
    """
    All of it until the report is stale, and linearly to none in as long again.
    """
    assert expected == Member(A, 1, True, report=LoadReport(), report_age=age).trust  # noqa: FBT003
    assert 0.0 == Member(A, 1, serving=True, report_age=age).trust


def test_a_report_is_averaged_in_once():
    """
    However often it is shown, it is one report.
    """
    once, often = Distributor(), Distributor()
    balance = Balance(smoothing=3, dead_band=0, step=1)
    first = [member(A, cpu=0.5, age=0), member(B, cpu=0.5, age=0)]
    for distributor in (once, often):
        distributor.step(0.0, "least-load", balance, first)
    for tenth in range(10, 15):
        told = [member(a, cpu=cpu, age=tenth / 10 - 1) for a, cpu in ((A, 0.9), (B, 0.5))]
        many = often.step(tenth / 10, "least-load", balance, told)
        if tenth in (10, 14):
            few = once.step(tenth / 10, "least-load", balance, told)

    assert 0.49 > few.wanted[A]
    assert few.wanted[A] == pytest.approx(many.wanted[A], abs=1e-4)


def test_one_slow_answer_is_not_believed():
    """
    A health check that took a second among those of a millisecond.
    """
    distributor, balance = Distributor(), Balance(dead_band=0, step=1)
    for second in range(20):
        slow = 1.0 if second == 19 else 0.02
        told = [member(A, response_seconds=slow), member(B, response_seconds=0.02)]
        done = distributor.step(float(second), "least-response-time", balance, told)

    assert 0.4 < done.wanted[A] < 0.5


def test_a_change_of_scheduler_is_followed():
    """
    From one step to the next, without starting anew.
    """
    distributor, balance = Distributor(), at_once()
    told = [member(A, cpu=0.9), member(B, cpu=0.1)]
    assert 0.5 == distributor.step(0.0, "maglev", balance, told).given[A]
    for second in range(1, 30):
        done = distributor.step(float(second), "least-load", balance, told)
    assert 0.3 > done.given[A]

    assert 0.5 == distributor.step(30.0, "maglev", balance, told).given[A]
