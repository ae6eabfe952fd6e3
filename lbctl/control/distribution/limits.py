"""
The limits: how far and how fast shares may move.

Pure functions on the shares of one pool, which sum to 1.  Dead band and step are meant for the
shares of up to four servers.  In a larger pool a share is smaller, and so are they, or a change
of a server's whole share would be too small to be made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lbctl.control.schedulers.loads import parts

if TYPE_CHECKING:
    from lbctl.control.schedulers.loads import Array

USUAL_SHARE = 0.25  # of a server: dead band and step are for this and larger ones


def scale(configured: Array) -> Array:
    """How much of dead band and step is for each server: all, or less if its share is small."""
    return np.minimum(1.0, configured / USUAL_SHARE)


def step(wanted: Array, given: Array, steps: Array) -> Array:
    """
    Go from *given* towards *wanted*, each share by at most its part of *steps*.

    What some lose the others gain: the side that could move more waits for the other.
    """
    change = np.clip(wanted - given, -steps, steps)
    gain, loss = np.maximum(change, 0), np.maximum(-change, 0)
    possible = min(gain.sum(), loss.sum())
    if possible <= 0:
        return given
    return parts(given + gain * (possible / gain.sum()) - loss * (possible / loss.sum()))


def at_least(shares: Array, floors: Array) -> Array:
    """Raise shares to *floors*, whose sum is at most 1; the others pay in proportion."""
    raised = shares < floors
    while True:
        free = 1.0 - floors[raised].sum()
        rest = shares[~raised].sum()
        result = np.where(raised, floors, shares * (free / rest if rest > 0 else 0.0))
        more = ~raised & (result < floors)
        if not more.any():
            return result
        raised |= more
