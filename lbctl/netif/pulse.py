"""
The pulse: tell lbctld that the application lives and what it counted, and ask to be resumed.

A few instructions at each receive, more once a second; there is no thread.  It writes the status
page and drives the session; it decides nothing about packets.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from lbctl.errors import LbctlError

if TYPE_CHECKING:
    from lbctl.netif.port import Port
    from lbctl.netif.status import Page

PERIOD = 1.0  # seconds between two looks at counters and connection


class Keeper(Protocol):
    """The connection to lbctld, or none."""

    def step(self, *, evicted: bool) -> None:
        """Take one step, without waiting, towards being connected and not evicted."""

    def close(self) -> None:
        """End it."""


class Pulse:
    """The heartbeat of one interface."""

    def __init__(self, page: Page, keeper: Keeper | None = None) -> None:
        self.page, self.keeper = page, keeper
        self.closed = False
        self._ports: list[Port] = []
        self._count = 0
        self._due = time.monotonic() + PERIOD

    def watch(self, port: Port) -> None:
        """Copy this port's counters too."""
        self._ports.append(port)

    def beat(self) -> None:
        """Count a receive call; LbctlError if the interface is closed."""
        self._count += 1
        self.page.beats[0] = self._count
        if self.page.flags[0] or time.monotonic() >= self._due:
            self.look()

    def look(self) -> None:
        """See to the connection, and once a second to the counters."""
        if self.closed:
            raise LbctlError("this interface is closed; open it again")
        now = time.monotonic()
        if now >= self._due:
            self._due = now + PERIOD
            self.tell()
        elif not self.page.flags[0]:
            return
        if self.keeper:
            self.keeper.step(evicted=bool(self.page.flags[0]))

    def tell(self) -> None:
        """Write all counters to the status page."""
        for port in self._ports:
            self.page.write(port.number, port.statistics())

    def close(self) -> None:
        """Beat no more."""
        self.closed, self._due = True, 0.0
        if self.keeper:
            self.keeper.close()
