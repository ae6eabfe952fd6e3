"""
Least connections: new ones to where few are open, without (lc) or with (wlc) weights.

The rule of IPVS (`ip_vs_lc.c`, `ip_vs_wlc.c`): the next connection goes to whoever has the fewest
for its weight.  Here not the next one is placed but those of the next seconds, so the shares are
chosen such that open connections per weight will be alike then: water filling.

What will be open of a server's connections follows from how long they last, and that by Little's
law is open / new per second.  If they last long, the shares fill up who has too few.  If
they end at once, what is open says how slow a server is, and the shares are as 1 / slowness.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lbctl.control.schedulers.loads import elasticity, parts, shares_before

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lbctl.control.schedulers.loads import Array
    from lbctl.control.schedulers.server import Server

HORIZON = 10.0  # seconds until it is even; several times as long as the averages are late

FEW = 3.0  # connections: so many say little
NONE = 1e-6  # connections: what an average has left when all have ended
CAUTION = 3.0  # the least elasticity to reckon with: counts of short connections are noisy


def unweighted(servers: Sequence[Server]) -> Array:
    """Share so that the same number of connections becomes open everywhere."""
    return weighted([server._replace(weight=1.0) for server in servers])


def weighted(servers: Sequence[Server]) -> Array:
    """Share so that open connections become as the weights.  Without any open: by weight."""
    weights = np.array([server.weight for server in servers], dtype=np.float64)
    opened = np.array([server.connections for server in servers])
    rates = np.array([server.new_connections for server in servers])
    if opened.sum() < NONE:
        return parts(weights)
    # Next to no new ones are as good as one in all that time: somebody must be the next.
    rate = max(float(rates.sum()), 1 / HORIZON)
    lasting = _lasting(opened, rates, rate)
    gone = -np.expm1(-HORIZON / lasting)  # the part of them that will have ended
    wanted = _fill(weights, opened * (1 - gone), rate * lasting * gone)
    before = shares_before(servers)
    # The faster they end, the more their number depends on the share: see `loads.elasticity`.
    growth = np.maximum([elasticity(s, s.connections) for s in servers], CAUTION) * gone
    return parts(before + (wanted - before) / (1 + growth))


def _lasting(opened: Array, rates: Array, rate: float) -> Array:
    """For how many seconds the connections of each server last; with few seen, as elsewhere."""
    usual = opened.sum() / rate
    return np.asarray((opened + FEW) / (rates + FEW / usual))


def _fill(weights: Array, filled: Array, room: Array) -> Array:
    """
    Pour shares of a sum of 1: where filled + share * room, per weight, is lowest.

    Who is above the water already gets nothing.
    """
    order = np.argsort(filled / weights, kind="stable")
    levels = (filled / weights)[order]
    share_per_level = np.cumsum((weights / room)[order])
    share_at_0 = np.cumsum((filled / room)[order])
    water = (1 + share_at_0) / share_per_level  # with the first, the first two, ...
    above = np.append(levels[1:], np.inf) >= water
    level = water[np.argmax(above)]
    return np.asarray(np.maximum(0.0, level * weights - filled) / room)
