"""
The Maglev lookup table: even shares, and little disruption when a back-end comes or goes.

After Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016,
section 3.4: each back-end has its own order of preference over all slots, a permutation made of
two hashes of its name, and the back-ends take turns at taking the free slot that they like best.

Added to the paper:

* *Weights.*  The turns are spread in time: the k-th turn of a back-end comes at (k + 1/2) / weight,
  so it does not depend on the others, and whoever leaves does not change the order of those that
  stay.  How many turns a back-end has is its share of the slots (`shares.apportion`), exact to one.
* *Any table size.*  offset + j * skip visits every slot when skip and size have no common
  divisor.  A prime size, as in the paper, gives this for nothing, and the most permutations;
  for any other, the next skip that fits is taken.
"""

from __future__ import annotations

from hashlib import blake2b
from math import gcd
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lbctl.control.schedulers.shares import apportion

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt


class Permutation(NamedTuple):
    """An order of all slots: offset, offset + skip, offset + 2 * skip, ... modulo the size."""

    offset: int
    skip: int

    @classmethod
    def of(cls, name: str, size: int) -> Permutation:
        """Make the order that *name* prefers; the same on every machine and in every version."""
        digest = blake2b(name.encode(), digest_size=16).digest()
        offset = int.from_bytes(digest[:8], "big") % size
        steps = max(1, size - 1)  # 1 .. size - 1
        skip = int.from_bytes(digest[8:], "big") % steps + 1
        while gcd(skip, size) != 1:
            skip = skip % steps + 1
        return cls(offset, skip)


def table(names: Sequence[str], weights: Sequence[int], size: int) -> npt.NDArray[np.uint16]:
    """Fill a table of *size* slots with positions in *names*; all weights are over 0."""
    turns = _turns(weights, size)
    slots = _take([Permutation.of(name, size) for name in names], turns.tolist(), size)
    filled = np.empty(size, dtype=np.uint16)
    filled[slots] = turns
    return filled


def _turns(weights: Sequence[int], size: int) -> npt.NDArray[np.intp]:
    """Say whose turn it is, *size* times."""
    counts = np.asarray(apportion(weights, size))
    owner = np.repeat(np.arange(len(weights)), counts)
    turn = np.arange(size) - np.repeat(np.cumsum(counts) - counts, counts)
    # Equal fractions are equal floats (IEEE division rounds correctly) and unequal ones differ
    # by far more than one rounding, so a stable sort gives the same turns everywhere.
    time = (turn + 0.5) / np.asarray(weights)[owner]
    return owner[np.argsort(time, kind="stable")]


def _take(permutations: Sequence[Permutation], turns: list[int], size: int) -> list[int]:
    """
    Let each back-end take the best slot left, in turn; returns the slots in the order taken.

    The one loop that numpy cannot do at once, because each turn depends on all before it.  It
    makes about size * ln(size) steps at most, so it does nothing that it need not.
    """
    taken = bytearray(size)
    best = [permutation.offset for permutation in permutations]
    skips = [permutation.skip for permutation in permutations]
    slots: list[int] = []
    for who in turns:
        slot = best[who]
        skip = skips[who]
        while taken[slot]:
            slot += skip
            if slot >= size:
                slot -= size
        taken[slot] = 1
        best[who] = slot
        slots.append(slot)
    return slots
