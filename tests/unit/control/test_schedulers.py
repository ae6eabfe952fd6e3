"""What holds for every scheduler's slots, and for the rings rr and wrr."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.control import schedulers
from lbctl.control.schedulers import slots
from lbctl.errors import UsageError
from lbctl.model import Scheduler, SocketAddress


def backends(*weights):
    """Make back-ends 10.0.1.1:80, 10.0.1.2:80, ... of these weights."""
    return [
        (SocketAddress.parse(f"10.0.{1 + i // 250}.{1 + i % 250}:80"), weight)
        for i, weight in enumerate(weights)
    ]


def letters(table):
    """Spell a table: position 0 is a, 1 is b."""
    return "".join("abcdefghijklmnopqrstuvwxyz"[position] for position in table)


any_scheduler = st.sampled_from(Scheduler)
any_weights = st.lists(st.integers(0, 300), max_size=24)
any_size = st.integers(1, 400)


@given(any_scheduler, any_weights, any_size)
def test_every_slot_names_a_backend_with_a_weight(scheduler, weights, size):
    """
    A slot without a back-end would lose packets; one of weight 0 would not be out of service.
    """
    table = slots(scheduler, backends(*weights), size)

    assert np.uint16 == table.dtype
    assert len(table) <= size
    assert bool(any(weights)) == bool(len(table))
    assert all(weights[position] > 0 for position in table)


@given(any_scheduler, any_weights, any_size)
def test_whoever_has_a_weight_has_a_slot(scheduler, weights, size):
    """
    As long as there are enough slots, nobody starves.
    """
    table = slots(scheduler, backends(*weights), size)
    wanted = {position for position, weight in enumerate(weights) if weight}

    if len(wanted) <= size:
        assert wanted == set(table.tolist())
    else:
        assert size == len(set(table.tolist()))


@given(any_scheduler, any_weights, any_size, st.randoms(use_true_random=False))
def test_the_order_of_the_backends_does_not_matter(scheduler, weights, size, random):
    """
    Two switches that learnt of the same back-ends in different order deal the same slots.
    """
    one = backends(*weights)
    other = random.sample(one, len(one))

    assert [one[position][0] for position in slots(scheduler, one, size)] == [
        other[position][0] for position in slots(scheduler, other, size)
    ]


@given(any_scheduler, st.lists(st.integers(1, 50), min_size=1, max_size=8), st.integers(2, 9))
def test_only_the_ratio_of_the_weights_matters(scheduler, weights, factor):
    """
    Weights 1 and 2 are weights 100 and 200.
    """
    multiplied = [weight * factor for weight in weights]

    assert (
        slots(scheduler, backends(*weights), 101).tolist()
        == slots(scheduler, backends(*multiplied), 101).tolist()
    )


@pytest.mark.parametrize("scheduler", Scheduler)
@pytest.mark.parametrize("weights", [(), (0,), (0, 0)])
def test_nobody_to_give_a_slot_to(scheduler, weights):
    """
    A pool without an active back-end has an empty table.
    """
    assert [] == slots(scheduler, backends(*weights), 7).tolist()


def test_families_do_not_mix_up_the_order():
    """
    An IPv6 address whose number is small still sorts after IPv4, and both get slots.
    """
    both = [(SocketAddress.parse("[2001:db8::1]:80"), 1), (SocketAddress.parse("10.0.1.1:80"), 1)]

    assert [1, 0] == slots(Scheduler.RR, both, 7).tolist()


def test_more_backends_than_a_slot_can_name(monkeypatch):
    """
    A slot is 16 bits; a position that does not fit must not wrap round to another server.
    """
    monkeypatch.setattr(schedulers, "MAX_BACKENDS", 2)

    with pytest.raises(UsageError, match="3 back-ends: a pool holds at most 2"):
        slots(Scheduler.RR, backends(1, 1, 1), 7)


@given(st.lists(st.integers(1, 99), min_size=1, max_size=20), st.integers(20, 60))
def test_round_robin_is_one_turn_each(weights, size):
    """
    Whatever the weights: everybody once, so neighbouring slots are different servers.
    """
    assert list(range(len(weights))) == slots(Scheduler.RR, backends(*weights), size).tolist()


@pytest.mark.parametrize(
    ("weights", "ring"),
    [
        ((5, 1, 1), "aabacaa"),  # the example in nginx's own description of the algorithm
        ((4, 2), "aba"),
        ((3, 3, 3), "abc"),
        ((0, 2, 1), "bcb"),
        ((300, 200, 100), "abacba"),
    ],
)
def test_weighted_ring(weights, ring):
    """
    The shortest cycle with the exact shares, and the heavy ones spread out.
    """
    assert ring == letters(slots(Scheduler.WRR, backends(*weights), 65537))


@given(st.lists(st.integers(1, 40), min_size=1, max_size=10))
def test_weighted_ring_has_exact_shares(weights):
    """
    With room for the whole cycle there is no rounding.
    """
    table = slots(Scheduler.WRR, backends(*weights), 400)
    counts = np.bincount(table)

    assert [weight * len(table) for weight in weights] == (counts * sum(weights)).tolist()


@given(st.lists(st.integers(1, 40), min_size=2, max_size=10))
def test_weighted_ring_is_smooth(weights):
    """
    Every stretch of the ring gives a back-end its share, give or take a slot or two.
    """
    table = slots(Scheduler.WRR, backends(*weights), 400)
    for position, weight in enumerate(weights):
        so_far = np.cumsum(table == position)
        exact = np.arange(1, len(table) + 1) * weight / sum(weights)
        assert np.abs(so_far - exact).max() < 2


def test_a_cycle_longer_than_the_table_is_rounded():
    """
    Weights 65535 and 1 do not need 65536 slots when the user allows 10.
    """
    table = slots(Scheduler.WRR, backends(65535, 1), 10)

    assert [9, 1] == np.bincount(table).tolist()


@given(any_weights, any_size)
def test_hashing_and_load_driven_schedulers_start_from_maglev(weights, size):
    """
    Their base table is the one that hardly changes when a server comes or goes.
    """
    base = slots(Scheduler.MAGLEV, backends(*weights), size).tolist()

    for scheduler in (Scheduler.SH, Scheduler.WLC, Scheduler.LEAST_LOAD, Scheduler.P2C):
        assert base == slots(scheduler, backends(*weights), size).tolist()


@given(any_weights, any_size)
def test_least_connections_knows_no_weights(weights, size):
    """
    Like IPVS's lc: any weight is as good as 1, and 0 is still none.
    """
    equal = [min(weight, 1) for weight in weights]

    assert (
        slots(Scheduler.MAGLEV, backends(*equal), size).tolist()
        == slots(Scheduler.LC, backends(*weights), size).tolist()
    )
    assert equal == schedulers.weights("lc", weights) == schedulers.weights("rr", weights)
    assert weights == schedulers.weights("wlc", weights)


def test_which_schedulers_follow_the_servers():
    """
    The others have nothing to be asked again and again.
    """
    static = {name for name in Scheduler if not schedulers.is_dynamic(name)}

    assert {"maglev", "rr", "wrr", "sh"} == static
    assert set(Scheduler) <= set(schedulers.names())


@pytest.mark.parametrize("ask", [schedulers.is_dynamic, schedulers.dynamic])
def test_a_scheduler_that_nobody_ships(ask):
    """
    One line that names those there are.
    """
    with pytest.raises(UsageError, match="no scheduler 'nearest'; there are maglev, rr, wrr, "):
        ask("nearest")
    with pytest.raises(UsageError, match="no scheduler 'nearest'"):
        slots("nearest", backends(1), 7)
