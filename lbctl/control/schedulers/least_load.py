"""
Least load: new connections in proportion to weight times idle capacity.

Load is what the agents tell (`loads.load`).  An agent that asks for a factor on its weight, as
HAProxy's agent check has it (`75%`), gets it on top.  In the spirit of weighted round robin by
server utilization (Envoy's client_side_weighted_round_robin, gRFC A58), but with the load
foreseen that the new share will make: see `loads`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lbctl.control.schedulers.loads import filled_in, load, settle, shares_before

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lbctl.control.schedulers.loads import Array
    from lbctl.control.schedulers.server import Server


def shares(servers: Sequence[Server]) -> Array:
    """
    Share by what is idle.  Without reports: by weight.

    A server that has told nothing counts like the mean of the others.  When all are full, nothing
    says who could take more, and everybody keeps the share that it has.
    """
    told = filled_in([load(server) for server in servers], servers)
    loads = np.zeros(len(servers)) if told is None else told
    factors = np.array([_factor(server) for server in servers])
    weights = np.maximum(factors, 1.0) * [server.weight for server in servers]
    # weight * factor * (1 - load) = weight * (1 - load'): a factor under 1 is a kind of load.
    idle = 1 - loads
    idle = np.where(idle > 0, idle * np.minimum(factors, 1.0), idle)
    return settle(weights, 1 - idle, shares_before(servers))


def _factor(server: Server) -> float:
    """The factor that the agent asks for, as far as it is to be believed."""
    report = server.report
    if report is None or report.weight is None:
        return 1.0
    return 1.0 + server.report_trust * (report.weight - 1.0)
