"""The move: exact counts, no slot moves without need, and everything comes back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.control.schedulers import move, slots
from lbctl.control.schedulers.shares import apportion
from lbctl.model import Scheduler, SocketAddress

SIZE = 251

some_shares = st.lists(
    st.one_of(st.just(0.0), st.floats(0.001, 1.0)), min_size=1, max_size=12
).filter(any)


def base_of(count, scheduler=Scheduler.MAGLEV, size=SIZE, weights=None):
    """Deal a base table to *count* servers."""
    servers = [SocketAddress.parse(f"10.0.1.{1 + i}:80") for i in range(count)]
    return slots(scheduler, list(zip(servers, weights or [1] * count, strict=True)), size)


def held(table, count):
    """Count the slots of each position."""
    return np.bincount(table, minlength=count)


def least(before, targets):
    """How many slots must change hands."""
    return int(np.maximum(targets - held(before, len(targets)), 0).sum())


@given(some_shares, st.integers(12, 3000))
def test_counts_are_the_shares(shares, size):
    """
    No further than one slot off, except that nobody with a share goes without.
    """
    counts = move.counts(shares, size)
    exact = np.array(shares) * size / sum(shares)

    assert size == counts.sum()
    assert ((exact > 0) == (counts > 0)).all()
    if exact[exact > 0].min() >= 1:
        assert np.abs(counts - exact).max() < 1 + 1e-6


@given(some_shares, some_shares)
def test_counts_are_exact_and_no_slot_moves_without_need(first, second):
    """
    From the base to one distribution, and from there to the next.
    """
    count = max(len(first), len(second))
    base = base_of(count)
    current = base
    for shares in (first, second):
        targets = move.counts([*shares, *[0.0] * (count - len(shares))], SIZE)
        table = move.moved(base, current, targets)

        assert targets.tolist() == held(table, count).tolist()
        if table is not base:
            assert least(current, targets) == (table != current).sum()
        current = table


@given(some_shares)
def test_the_same_answer_every_time(shares):
    """
    Two switches that know the same make the same table.
    """
    base = base_of(len(shares))
    targets = move.counts(shares, SIZE)

    assert move.moved(base, None, targets).tolist() == move.moved(base, base, targets).tolist()


@given(st.lists(some_shares.filter(lambda shares: len(shares) >= 4), max_size=5))
def test_when_the_shares_return_the_base_is_back(history):
    """
    Whatever has moved since: the table is the base itself, not one that is as good.
    """
    base = base_of(4)
    current = None
    for shares in history:
        current = move.table(base, current, shares[:4] if any(shares[:4]) else [1] * 4, SIZE)

    assert base is move.table(base, current, [0.25] * 4, SIZE)


@given(st.integers(2, 9), st.data())
def test_a_server_that_dies_moves_its_own_slots_only(count, data):
    """
    Those of the others stay where they are, and when it returns every slot does.
    """
    base = base_of(count)
    dead = data.draw(st.integers(0, count - 1))
    shares = [float(i != dead) for i in range(count)]
    without = move.table(base, None, shares, SIZE)

    assert set(np.flatnonzero(base == dead)) == set(np.flatnonzero(base != without))
    assert dead not in without
    assert base.tolist() == move.moved(base, without, held(base, count)).tolist()


def test_slots_go_back_to_their_owner_first():
    """
    A server that gets more again gets those that it had given away.
    """
    base = base_of(3)
    reduced = move.table(base, None, [0.1, 0.45, 0.45], SIZE)
    again = move.table(base, reduced, [0.2, 0.4, 0.4], SIZE)
    gained = again != reduced

    assert gained.any()
    assert (base[gained] == again[gained]).all()


def test_what_is_taken_comes_from_all_over_the_table():
    """
    No stretch of it is left to the others: whoever walks on from a slot meets everybody.
    """
    base = base_of(3, size=65537)
    halved = move.table(base, None, [1 / 6, 5 / 12, 5 / 12], 65537)
    taken = np.flatnonzero(base != halved)
    eighths = np.histogram(taken, bins=8, range=(0, 65537))[0]

    assert eighths.max() < 1.1 * eighths.min()


def test_a_short_ring_is_repeated_before_a_part_of_it_moves():
    """
    A third of a server's share cannot be told in a ring of three slots.
    """
    ring = base_of(3, Scheduler.RR)
    table = move.table(ring, None, [0.1, 0.45, 0.45], 1000)

    assert [0, 1, 2] == ring.tolist()
    assert 999 == len(table)
    assert [100, 450, 449] == held(table, 3).tolist()
    assert ring is move.table(ring, table, [1 / 3] * 3, 1000)


def test_a_table_of_another_size_is_not_gone_on_from():
    """
    After a change of the table's size the move starts from the base.
    """
    base = base_of(2)
    other = base_of(2, size=97)

    assert SIZE == len(move.table(base, other, [0.3, 0.7], SIZE))


def test_positions_that_are_gone_lose_their_slots():
    """
    A table in use may know a server that the targets do not.
    """
    table = move.moved(base_of(2), base_of(3), np.array([100, SIZE - 100]))

    assert [100, SIZE - 100] == held(table, 2).tolist()


def test_nobody_serves():
    """
    Without shares there are no slots.
    """
    assert 0 == len(move.table(base_of(2), None, [0.0, 0.0], SIZE))


@pytest.mark.parametrize("weights", [[1, 1, 1], [1, 2, 5], [65535, 1, 300]])
def test_configured_shares_are_the_base(weights):
    """
    Rounded the other way round they would move slots for nothing.
    """
    base = base_of(3, weights=weights)
    shares = [weight / sum(weights) for weight in weights]

    assert base is move.table(base, None, shares, SIZE)
    assert apportion(weights, SIZE) == move.counts(shares, SIZE, held(base, 3)).tolist()
