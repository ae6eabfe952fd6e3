"""The member: what the distributor is told of one back-end at one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from lbctl.agent.wire import LoadReport
    from lbctl.model import SocketAddress


class Member(NamedTuple):
    """A back-end of the pool as it is now; times in seconds."""

    address: SocketAddress
    weight: int
    serving: bool  # gets new connections: it is well, active, and nobody forbids it
    fresh: bool = False  # new or recovered: it starts slowly
    connections: int = 0  # open now
    new_connections: float = 0.0  # a second
    report: LoadReport | None = None  # the agent's last
    report_age: float | None = None
    stale_after: float = 10.0  # from this age on a report fades, and at twice the age it is gone
    response_seconds: float | None = None  # of the last health check

    @property
    def trust(self) -> float:
        """How far the report is to be believed: 1 fresh .. 0 too old."""
        if self.report is None or self.report_age is None:
            return 0.0
        return min(max(2.0 - self.report_age / self.stale_after, 0.0), 1.0)
