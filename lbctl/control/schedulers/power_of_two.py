"""
The power of two choices: draw two servers at random by weight, take the less loaded one.

After M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", IEEE TPDS 12(10),
2001.  A slot table cannot draw for each connection, so the servers get the shares that the
draws would give on average.  Ties split, and loads that hardly differ are nearly a tie.

On old news everybody runs to the server that was idle (Mitzenmacher, "How Useful Is Old
Information?", TPDS 11(1), 2000).  So the shares are those that agree with the loads which they
bring about: see `loads`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lbctl.control.schedulers.loads import filled_in, load, parts, shares_before

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lbctl.control.schedulers.loads import Array
    from lbctl.control.schedulers.server import Server

TIE = 0.2  # loads further apart are never a tie
ROUNDS = 40  # at most, until shares and loads agree
AGREED = 1e-5  # of a share


def shares(servers: Sequence[Server]) -> Array:
    """Share as two choices would, by reported load, or where none is told by open connections."""
    weights = parts([server.weight for server in servers])
    before = shares_before(servers)
    told = filled_in([load(server) for server in servers], servers)
    loads = _crowding(servers, weights) if told is None else told
    found = before
    pull = 1 / (1 + weights * loads / (before * TIE))
    for _ in range(ROUNDS):
        off = draw(weights, loads * found / before) - found
        if np.abs(off).max() < AGREED:
            break
        found = parts(found + pull * off)
    return found


def draw(weights: Array, loads: Array) -> Array:
    """
    How often each is taken when two are drawn, with repetition, and the less loaded one wins.

    *weights* have a sum of 1, and so has the answer.  The chance to win rises from 0 to 1 while
    the other's load goes from TIE below to TIE above.
    """
    wins = (_excess(weights, loads, loads - TIE) - _excess(weights, loads, loads + TIE)) / (2 * TIE)
    return 2 * weights * wins


def _excess(weights: Array, loads: Array, limits: Array) -> Array:
    """For each limit: by how much the loads above it exceed it, summed by weight."""
    order = np.argsort(loads, kind="stable")
    ranked = loads[order]
    above = np.append(np.cumsum(weights[order][::-1])[::-1], 0.0)
    laden = np.append(np.cumsum((weights * loads)[order][::-1])[::-1], 0.0)
    first = np.searchsorted(ranked, limits)
    return np.asarray(laden[first] - limits * above[first])


def _crowding(servers: Sequence[Server], weights: Array) -> Array:
    """Open connections, and one more for each server, by weight; the mean counts as half a load."""
    opened = np.array([server.connections for server in servers])
    crowding = opened / weights + len(servers)
    return np.asarray(crowding / (opened.sum() + len(servers)) / 2)
