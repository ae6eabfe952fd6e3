"""Shares: turn weights into whole numbers of slots."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def apportion(weights: Sequence[int], slots: int) -> list[int]:
    """
    Share *slots* out in proportion to *weights* (all over 0); the sum is exact.

    Largest remainder: nobody is further than one slot from the exact share.  The exception are
    weights whose exact share is under one slot: they get one, and the others share the rest.
    With fewer slots than weights the heaviest get one each.  Ties go to the first.
    """
    heaviest_first = sorted(range(len(weights)), key=lambda i: -weights[i])
    if slots <= len(weights):
        served = set(heaviest_first[:slots])
        return [int(i in served) for i in range(len(weights))]
    counts = [1] * len(weights)
    # Lightest first: once one has a whole slot of its own, so have all that are heavier.
    rest, total = slots, sum(weights)
    while weights[heaviest_first[-1]] * rest < total:
        total -= weights[heaviest_first.pop()]
        rest -= 1
    remainder = {}
    for i in sorted(heaviest_first):
        counts[i], remainder[i] = divmod(weights[i] * rest, total)
    missing = rest - sum(counts[i] for i in remainder)
    for i in sorted(remainder, key=lambda i: -remainder[i])[:missing]:
        counts[i] += 1
    return counts
