"""
The patience: decide when an application that does not look at its packets is taken for hung.

Pure: no clock of its own, no tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lbctl.model import App

RETURN = 3.0  # seconds in which an application comes back to a new lbctld, with room to spare
WATCHED = 60.0  # seconds after a restart for which one that does not come back is thought of


@dataclass
class Patience:
    """
    What was seen of one application at the last look.

    Packets that wait are those given to it since its last heartbeat; without any, it may sleep as
    long as it likes.
    """

    heartbeat: int | None = None
    delivered: int = 0
    waiting_since: float | None = None

    def ends(self, now: float, heartbeat: int, delivered: int, limit: float) -> bool:
        """
        Look again; tell whether packets have waited for *limit* seconds (0: they may for ever).

        *now*: seconds; *heartbeat*: any number that changes when it looks; *delivered*: packets
        given to it so far.
        """
        if heartbeat != self.heartbeat:
            self.heartbeat, self.delivered, self.waiting_since = heartbeat, delivered, None
        elif delivered != self.delivered and self.waiting_since is None:
            self.waiting_since = now
        if self.waiting_since is None or not limit:
            return False
        return now - self.waiting_since >= limit


@dataclass
class Orphan:
    """
    An application that may run, but has not come back since lbctld was restarted.

    One that looks at its packets comes back by itself, within a second or so.
    """

    app: App
    since: float
    patience: Patience = field(default_factory=Patience)

    def is_lost(self, now: float, delivered: int) -> bool:
        """Whether packets go to it and it does not come back."""
        return self.patience.ends(now, 0, delivered, max(self.app.hung_after, RETURN))

    def is_old(self, now: float) -> bool:
        """Whether it was watched for long enough: it does not run, or nobody wants anything."""
        return now - self.since > WATCHED + self.app.hung_after
