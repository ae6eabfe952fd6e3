"""
The move: change a slot table to other shares, with as few slots changing hands as possible.

A slot that changes hands sends what is forwarded by hash alone to another server, so none moves
without need.  From the base table, which the configured weights make, slots go to whoever wants
more, and come back when it wants less: after a disturbance the table is the base again.

All of it is numpy on whole tables: 65537 slots and 1000 back-ends take a few milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lbctl.control.schedulers.shares import apportion

if TYPE_CHECKING:
    from collections.abc import Sequence

Slots = npt.NDArray[np.uint16]
Counts = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

FINEST = 1 << 40  # shares are told apart to this part of the whole


def table(base: Slots, current: Slots | None, shares: Sequence[float], size: int) -> Slots:
    """
    Give the table in which position i has shares[i] of the slots.

    *base* is what `schedulers.slots` dealt, *current* what is in use if that was made from the same
    back-ends.  Where the shares are those of *base* the answer is *base* itself.  A short ring is
    repeated, up to *size* slots, before parts of it can move.
    """
    if not any(shares):
        return base[:0]
    dealt = np.bincount(base, minlength=len(shares))
    if fits(shares, dealt, size):
        return base
    if len(base) <= size // 2:
        base = np.tile(base, size // len(base))
        dealt = np.bincount(base, minlength=len(shares))
    if current is not None and len(current) != len(base):
        current = None
    return moved(base, current, counts(shares, len(base), dealt))


def fits(shares: Sequence[float], dealt: Counts, size: int) -> bool:
    """Whether the counts *dealt* are the *shares*, but for one slot of *size*, up or down."""
    wanted = np.asarray(shares)
    off = np.abs(wanted / wanted.sum() - dealt / dealt.sum())
    return bool((off * size < 1).all() and ((wanted > 0) == (dealt > 0)).all())


def counts(shares: Sequence[float], size: int, dealt: Counts | None = None) -> Counts:
    """
    Turn *shares*, of which one is over 0, into numbers of slots with the sum *size*.

    By largest remainder; any share over 0 gets at least one slot as long as there are enough.
    Where *dealt* is as good a rounding, it is the answer.
    """
    if dealt is not None and dealt.sum() == size and fits(shares, dealt, size):
        return dealt
    total = float(sum(shares))
    fine = {i: max(1, round(share / total * FINEST)) for i, share in enumerate(shares) if share > 0}
    result = np.zeros(len(shares), dtype=np.intp)
    result[list(fine)] = apportion(list(fine.values()), size)
    return result


def moved(base: Slots, current: Slots | None, targets: Counts) -> Slots:
    """
    Make *current* (None: *base*) into a table where position i has targets[i] slots.

    The sum of *targets* is the number of slots.  As few move as must, except that targets which
    are the counts of *base* give *base* itself.  Slots go back to their owner in *base* if it has
    too few; what else is taken is taken evenly from all over the table.
    """
    owners, holders = base.astype(np.intp), (base if current is None else current).astype(np.intp)
    positions = max(len(targets), int(owners.max()) + 1, int(holders.max()) + 1)
    targets = np.pad(targets, (0, positions - len(targets)))
    if np.array_equal(targets, np.bincount(owners, minlength=positions)):
        return base
    too_many = np.bincount(holders, minlength=positions) - targets
    _give_back(owners, holders, too_many)
    _deal_out(owners, holders, too_many)
    return holders.astype(np.uint16)


def _give_back(owners: Counts, holders: Counts, too_many: Counts) -> None:
    """Move slots from who has too many to their owner, where it has too few, in place."""
    while True:
        strays = (owners != holders) & (too_many[holders] > 0) & (too_many[owners] < 0)
        slots = np.flatnonzero(strays)
        if not len(slots):
            return
        slots = slots[_evenly(owners[slots], -too_many)]
        slots = slots[_evenly(holders[slots], too_many)]
        too_many -= np.bincount(holders[slots], minlength=len(too_many))
        too_many += np.bincount(owners[slots], minlength=len(too_many))
        holders[slots] = owners[slots]


def _deal_out(owners: Counts, holders: Counts, too_many: Counts) -> None:
    """Move all that is still too many to who has too few, in place; foreign slots go first."""
    freed = []
    for kind in (owners != holders, owners == holders):
        slots = np.flatnonzero(kind & (too_many[holders] > 0))
        slots = slots[_evenly(holders[slots], too_many)]
        too_many -= np.bincount(holders[slots], minlength=len(too_many))
        freed.append(slots)
    takers = np.maximum(-too_many, 0)
    holders[np.sort(np.concatenate(freed))] = _mixed(takers)


def _evenly(groups: Counts, most: Counts) -> Mask:
    """
    Choose at most most[g] elements of each group g, at even distances.

    *groups* names the group of every element.
    """
    sizes = np.bincount(groups, minlength=len(most))
    order = np.argsort(groups.astype(np.uint16), kind="stable")
    rank = np.empty_like(groups)
    rank[order] = np.arange(len(groups)) - (np.cumsum(sizes) - sizes)[groups[order]]
    size, take = sizes[groups], np.clip(most, 0, sizes)[groups]
    return np.asarray((rank + 1) * take // size > rank * take // size)


def _mixed(takers: Counts) -> Counts:
    """List each position as often as *takers* says, its places at even distances."""
    listed = np.repeat(np.arange(len(takers)), takers)
    rank = np.arange(len(listed)) - np.repeat(np.cumsum(takers) - takers, takers)
    return listed[np.argsort((rank + 0.5) / takers[listed], kind="stable")]
