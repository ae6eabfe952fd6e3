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

NEARLY_FULL = 0.9  # a queue grows long from here on
HIDDEN = 0.5  # for each percent above that, so many more that a full CPU does not show
MEMORY_MATTERS = 0.9  # below, used memory is a cache that does its work
LEAST_SHARE = 0.02  # of the weight: a smaller share says too little of what a server can do
EXACT = 1e-9  # of a sum of shares
MOST_STEPS = 60  # a handful is usual
MOST_ELASTIC = 6.0  # more caution makes the shares slower, not steadier: averages damp as well


def load(server: Server) -> float | None:
    """
    How busy a server is, 0 to 1 and beyond: the scarcest of its resources.

    A CPU in use is never over 1, however much is asked of it, so from 90 % up it counts for more,
    and full for 1.05.  Memory counts from 90 % up, and is 1 when it is full.
    """
    report = server.report
    if report is None or server.report_trust <= 0:
        return None
    figures = [figure for figure in (report.cpu, report.utilization) if figure is not None]
    if report.memory is not None:
        figures.append(max(0.0, (report.memory - MEMORY_MATTERS) / (1 - MEMORY_MATTERS)))
    if not figures:
        return None
    highest = max(figures)
    return highest + HIDDEN * max(0.0, highest - NEARLY_FULL)


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
    and one z from 0 to 1 makes the sum 1.  If none does there is more load than the servers can
    bear, and the shares are those that make all loads alike, as at z = 0.
    """
    weights = parts(weights)
    steep = weights * loads / before
    # The sum falls with z, and is convex: Newton's steps from below never go past the answer.
    z = max(0.0, float((weights - steep).max()))
    for _ in range(MOST_STEPS):
        found = weights / (z + steep)
        too_much = float(found.sum()) - 1
        if too_much < EXACT:
            break
        z += too_much / float((found / (z + steep)).sum())
    return parts(found)


def elasticity(server: Server, inside: float) -> float:
    """
    By how many percent a server's times grow when its share grows by one; 1 to 6, a high guess.

    In a queue with one server (M/M/1) that is load / (1 - load), and also the number of requests
    that are *inside*; with several workers it is less than either.
    """
    busy = load(server)
    bounds = [inside]
    if busy is not None:
        bounds.append(busy / (1 - busy) if busy < 1 else MOST_ELASTIC)
    return min(max(min(bounds), 1.0), MOST_ELASTIC)
