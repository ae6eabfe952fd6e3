"""
Schedule rings: the shortest cycle of turns that gives every back-end its exact share.

A ring is not repeated to fill `table_size`: a hash or a counter that walks it meets every
back-end as often either way, and a short ring costs less memory.  When the cycle is longer
than *size*, the shares are rounded to *size* slots (`shares.apportion`).

A ring changes throughout when a back-end comes or goes; connections stay where they are, but
what is forwarded by hash alone moves.  Maglev is the scheduler for that.
"""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING

import numpy as np

from lbctl.control.schedulers.shares import apportion

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt


def equal(names: Sequence[str], weights: Sequence[int], size: int) -> npt.NDArray[np.uint16]:
    """Give one slot to each back-end: round robin."""
    del weights  # nobody with weight 0 gets here, and the rest are alike
    return np.arange(min(len(names), size), dtype=np.uint16)


def weighted(names: Sequence[str], weights: Sequence[int], size: int) -> npt.NDArray[np.uint16]:
    """
    Give each back-end its weight in slots, spread out: smooth weighted round robin.

    As nginx does it: at every turn each back-end's credit grows by its weight, the one with the
    most credit takes the slot and pays the sum of all weights.  Weights 5, 1, 1 become
    a a b a c a a, not a a a a a b c.
    """
    counts = _cycle(weights, size)
    total = sum(counts)
    step = np.asarray(counts)
    credit = np.zeros(len(names), dtype=np.int64)
    turns = np.empty(total, dtype=np.uint16)
    for turn in range(total):
        credit += step
        winner = np.argmax(credit)  # the first of equals
        credit[winner] -= total
        turns[turn] = winner
    return turns


def _cycle(weights: Sequence[int], size: int) -> list[int]:
    """Divide *weights* by what they have in common, and shrink them to *size* slots if need be."""
    divisor = gcd(*weights)
    if sum(weights) // divisor > size:
        weights = apportion(weights, size)
        divisor = gcd(*weights)
    return [weight // divisor for weight in weights]
