"""The Maglev table: exact shares, the same everywhere, and little disruption."""

from __future__ import annotations

from hashlib import sha256
from itertools import cycle, islice, pairwise
from math import gcd

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.control.schedulers import slots
from lbctl.control.schedulers.maglev import Permutation, _take
from lbctl.control.schedulers.shares import apportion
from lbctl.model import DEFAULT_TABLE_SIZE, Scheduler, SocketAddress

GOLDEN = "d375515d66d7e37c308df1a0035f9157619384f3a75d421c89f179eff3110ab9"


def fleet(count, weight=lambda _: 1):
    """Make *count* back-ends with an address and a weight each."""
    return [
        (SocketAddress.parse(f"10.0.{1 + i // 250}.{1 + i % 250}:8080"), weight(i))
        for i in range(count)
    ]


def owners(backends, size=DEFAULT_TABLE_SIZE):
    """Build the table and name each slot's owner by number of address, not by position."""
    names = np.array([int(address.address) for address, _ in backends])
    return names[slots(Scheduler.MAGLEV, backends, size)]


def disruption(before, after):
    """Tell what share of the slots changed hands between two servers that were there both times."""
    stayed = np.isin(before, after) & np.isin(after, before)
    return np.mean((before != after) & stayed)


@given(st.text(max_size=20), st.integers(1, 300))
def test_a_permutation_visits_every_slot_once(name, size):
    """
    Prime or not: whoever goes through all of its preferences has tried every slot.
    """
    offset, skip = Permutation.of(name, size)

    assert 1 == gcd(skip, size)
    assert size == len({(offset + turn * skip) % size for turn in range(size)})


@given(
    st.lists(st.integers(1, 65535), min_size=1, max_size=40),
    st.integers(1, 5000),
)
def test_shares_are_exact_to_one_slot(weights, size):
    """
    Nobody is further than one slot from the exact share, except that nobody has nothing.
    """
    counts = apportion(weights, size)
    exact = [weight * size / sum(weights) for weight in weights]

    assert size == sum(counts)
    if min(exact) >= 1:
        assert max(abs(count - share) for count, share in zip(counts, exact, strict=True)) < 1
    elif len(weights) <= size:
        assert 1 == counts[weights.index(min(weights))]
        assert 1 <= min(counts)


@given(st.lists(st.integers(1, 100), min_size=2, max_size=20), st.integers(1, 300))
def test_a_heavier_backend_never_has_fewer_slots(weights, size):
    """
    Rounding may make equal what is unequal, not turn it round.
    """
    counts = apportion(weights, size)
    by_weight = sorted(zip(weights, counts, strict=True))

    for (lighter, fewer), (heavier, more) in pairwise(by_weight):
        assert fewer <= more or lighter == heavier


@given(st.lists(st.integers(1, 9), min_size=1, max_size=30), st.sampled_from([31, 97, 100, 1009]))
def test_the_table_is_full_and_proportional(weights, size):
    """
    The slots are those that the weights ask for, every one of them filled.
    """
    backends = fleet(len(weights), weights.__getitem__)
    table = slots(Scheduler.MAGLEV, backends, size)

    assert size == len(table)
    assert apportion(weights, size) == np.bincount(table, minlength=len(weights)).tolist()


@pytest.mark.parametrize("count", [1, 3, 100])
def test_equal_weights_differ_by_one_slot_at_most(count):
    """
    The default table is even.
    """
    counts = np.bincount(slots(Scheduler.MAGLEV, fleet(count), DEFAULT_TABLE_SIZE))

    assert count == len(counts)
    assert counts.max() - counts.min() <= 1


def test_slots_are_mixed():
    """
    Neighbouring slots are mostly strangers: whoever tries the next slot meets another server.
    """
    table = slots(Scheduler.MAGLEV, fleet(10), DEFAULT_TABLE_SIZE)

    assert np.mean(table[1:] == table[:-1]) < 0.2


@pytest.mark.parametrize(
    ("count", "weight", "most"),
    [
        (3, lambda _: 1, 0.001),
        (10, lambda _: 1, 0.005),
        (100, lambda _: 1, 0.008),
        (100, lambda i: (1, 2, 5, 10)[i % 4], 0.01),
    ],
    ids=["3 alike", "10 alike", "100 alike", "100 of four weights"],
)
def test_who_leaves_disturbs_hardly_anybody(count, weight, most):
    """
    The slots of the one that left must move; of the others', all but 1 % stay.
    """
    backends = fleet(count, weight)
    gone = count // 2
    before, after = owners(backends), owners(backends[:gone] + backends[gone + 1 :])

    assert disruption(before, after) < most
    assert int(backends[gone][0].address) not in after


def test_weight_0_is_as_good_as_gone():
    """
    Draining by weight and removing give the same table.
    """
    backends = fleet(5)
    drained = [*backends[:2], (backends[2][0], 0), *backends[3:]]

    assert owners(drained).tolist() == owners(backends[:2] + backends[3:]).tolist()


def test_a_small_change_of_weight_is_a_small_change_of_the_table():
    """
    From 100 to 90: about what the weight gives away, not a new table.
    """
    backends = fleet(10, lambda _: 100)
    lighter = [(backends[0][0], 90), *backends[1:]]
    given_away = 100 / 1000 - 90 / 990
    before, after = owners(backends), owners(lighter)

    assert np.mean(before != after) < 1.5 * given_away


def test_the_table_is_the_same_on_every_machine():
    """
    A golden table: changing it moves live traffic on an upgrade, so do it knowingly.
    """
    table = slots(Scheduler.MAGLEV, fleet(7, lambda i: i + 1), DEFAULT_TABLE_SIZE)

    assert GOLDEN == sha256(table.astype("<u2").tobytes()).hexdigest()


@pytest.mark.parametrize(
    ("servers", "expected"),
    [((0, 1, 2), [1, 0, 1, 0, 2, 2, 0]), ((0, 2), [0, 0, 0, 0, 2, 2, 2])],
    ids=["three servers", "without B1"],
)
def test_the_sample_of_the_paper(servers, expected):
    """
    The lookup tables that section 3.4 prints for seven slots, before and after B1 is removed.
    """
    permutations = [Permutation(3, 4), Permutation(0, 2), Permutation(3, 1)]
    turns = list(islice(cycle(servers), 7))
    table = dict(zip(_take(permutations, turns, 7), turns, strict=True))

    assert expected == [table[slot] for slot in range(7)]
