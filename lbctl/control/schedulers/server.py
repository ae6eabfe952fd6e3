"""The server: what a dynamic scheduler, ours or a plugin, is told of one back-end."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from lbctl.agent.wire import LoadReport


class Server(NamedTuple):
    """
    One back-end that gets new connections; all figures are averages over the pool's `smoothing`.

    *share* and *report* belong together: a load is the answer to the share that the server had
    when the load arose.  Whoever looks at one without the other steers by old news, and swings.
    """

    name: str  # ADDR:PORT
    weight: float  # as configured, over 0
    connections: float = 0.0  # open now
    new_connections: float = 0.0  # a second
    report: LoadReport | None = None  # what its agent told; None: nothing yet
    report_trust: float = 0.0  # 1 fresh .. 0 too old to believe
    response_seconds: float | None = None  # of health checks; None: unknown
    share: float = 0.0  # of the new connections, 0 to 1, when the report was made
