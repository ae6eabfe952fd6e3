"""
The loads: what the load-driven schedulers have in common.

Every load is an answer to a share, and a late one.  To follow it as it comes, wanted = f(load), has
a gain of load / (1 - load) around the loop: beyond half load the shares swing.  So the
schedulers ask for the shares that would be right *with the loads that these shares bring about*,
on the assumption that all of a load comes from the share.  Where that is so, the answer is
exact; where other work loads a server too, it is a step in the right direction, never too far.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lbctl.control.schedulers.server import Server

Array = npt.NDArray[np.float64]

MEMORY_MATTERS = 0.9  # below, used memory is a cache that does its work
LEAST_SHARE = 0.02  # of the weight: a smaller share says too little of what a server can do
HALVINGS = 60  # of an interval: as exact as a float
MOST_ELASTIC = 20.0  # a server that is 95 % busy


def load(server: Server) -> float | None:
    """
    How busy a server is, 0 to 1 and beyond: the scarcest of its resources.

    Memory counts from 90 % up, and says "full" at 100 %.
    """
    report = server.report
    if report is None or server.report_trust <= 0:
        return None
    figures = [figure for figure in (report.cpu, report.utilization) if figure is not None]
    if report.memory is not None:
        figures.append(max(0.0, (report.memory - MEMORY_MATTERS) / (1 - MEMORY_MATTERS)))
    return max(figures, default=None)


def shares_before(servers: Sequence[Server]) -> Array:
    """The shares that the servers had; none is so small that nothing follows from it."""
    weights = parts([server.weight for server in servers])
    return parts(np.maximum([server.share for server in servers], LEAST_SHARE * weights))


def parts(amounts: Array | Sequence[float]) -> Array:
    """Scale *amounts*, of which one is over 0, to a sum of 1."""
    scaled = np.asarray(amounts, dtype=np.float64)
    return np.asarray(scaled / scaled.sum())


def filled_in(figures: Sequence[float | None], servers: Sequence[Server]) -> Array | None:
    """
    Give every server a figure: what is not told, or no more trusted, is the mean of the others.

    The mean is by weight and trust.  None if nobody has told anything.
    """
    told = np.array([figure is not None for figure in figures])
    trust = np.where(told, [server.report_trust for server in servers], 0.0)
    by = trust * [server.weight for server in servers]
    if not by.any():
        return None
    known = np.array([0.0 if figure is None else figure for figure in figures])
    mean = (by * known).sum() / by.sum()
    return np.asarray(trust * known + (1 - trust) * mean)


def settle(weights: Array, loads: Array, before: Array) -> Array:
    """
    Find the shares that are as weight times (1 - load), with the loads that they bring about.

    *loads* are those under the shares *before*; a share twice as large makes twice the load.  So
    share = weight * (1 - load * share / before) / z, that is weight / (z + weight * load / before),
    and one z makes the sum 1.  Servers that are all full keep what they have.
    """
    weights = parts(weights)
    steep = weights * loads / before
    low, high = -float(steep.min()), 1.0 - float(steep.min())
    # At `high` no denominator is under 1, so the sum is at most 1.
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if (weights / (middle + steep)).sum() > 1:
            low = middle
        else:
            high = middle
    return parts(weights / (high + steep))


def elasticity(server: Server, inside: float) -> float:
    """
    By how many percent a server's times grow when its share grows by one; 1 to 20, a high guess.

    In a queue with one server (M/M/1) that is load / (1 - load), and also the number of requests
    that are *inside*; with several workers it is less than either.
    """
    busy = load(server)
    bounds = [inside]
    if busy is not None:
        bounds.append(busy / (1 - busy) if busy < 1 else MOST_ELASTIC)
    return min(max(min(bounds), 1.0), MOST_ELASTIC)
