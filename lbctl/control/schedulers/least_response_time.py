"""
Least response time: new connections in proportion to weight / time.

The time is the mean execution time of a request, which agents tell; where fewer tell it than
there are health checks, the response time of those.  The two are never mixed: they do not measure
the same thing.  Known from NetScaler's and nginx's `least_time`, which ask it for each request.

How steeply a server's time grows with its share is guessed on the high side
(`loads.elasticity`), which makes the answer cautious: it comes nearer, and never swings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lbctl.control.schedulers.loads import elasticity, filled_in, parts, settle, shares_before

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lbctl.control.schedulers.loads import Array
    from lbctl.control.schedulers.server import Server

LEAST = 1e-6  # seconds: nothing that a server does for a request takes less
RESOLUTION = 0.001  # seconds: what two health checks differ by for no reason


def shares(servers: Sequence[Server]) -> Array:
    """Share by speed.  Without any times: by weight; who has none counts like the mean."""
    weights = np.array([server.weight for server in servers], dtype=np.float64)
    before = shares_before(servers)
    times = _times(servers)
    if times is None:
        return parts(weights)
    growth = np.array([elasticity(s, _rate(s) * t) for s, t in zip(servers, times, strict=True)])
    # 1 / time = (1 + growth * (1 - share / before)) / time now, as `settle` wants it.
    return settle(weights * (1 + growth) / times, growth / (1 + growth), before)


def _rate(server: Server) -> float:
    told = server.report.requests_per_second if server.report else None
    return server.new_connections if told is None else told


def _times(servers: Sequence[Server]) -> Array | None:
    """The seconds that each server takes, all of one kind; never 0.  None if nobody knows any."""
    executions = [_execution(server) for server in servers]
    checks = [server.response_seconds for server in servers]
    if sum(map(bool, executions)) >= sum(map(bool, checks)):
        speeds = filled_in([1 / max(t, LEAST) if t else None for t in executions], servers)
    else:
        checked = [server._replace(report_trust=1.0) for server in servers]
        speeds = filled_in([1 / (t + RESOLUTION) if t else None for t in checks], checked)
    return None if speeds is None else 1 / speeds


def _execution(server: Server) -> float | None:
    report = server.report
    return report.execution_seconds if report and server.report_trust > 0 else None
