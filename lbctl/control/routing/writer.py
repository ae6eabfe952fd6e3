"""
The table writer: carry changes out on the routing table of the switch.

Knows what the table holds, so that only what differs is written.  Does not know the kernel.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from lbctl.control.routing.translation import (
    OWN,
    Change,
    DeleteRoute,
    HopKey,
    PutRoute,
    ReleaseHop,
    SetDestination,
    SetHop,
    Table,
    changes,
)
from lbctl.errors import LbctlError
from lbctl.shared.abi import NextHopState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lbctl.control.routing.records import IPNetwork
    from lbctl.model import IPAddress
    from lbctl.shared.routing import NextHop, RoutingTable

log = logging.getLogger(__name__)

UNKNOWN: HopKey = (0, "unknown", 0)  # where a prefix leads that another process has put


class TableWriter:
    """One routing table."""

    def __init__(self, table: RoutingTable) -> None:
        self._table = table
        self._dirty = True  # connections have not yet been told of a changed route
        self.held = Table()
        self.revision = 0  # of the prefixes and the hops that they lead to
        self.failures: list[str] = []

    def destinations(self) -> dict[IPAddress, int]:
        """The back-ends, and the indices of their next hops."""
        return self._table.destinations()

    def resolved(self) -> Iterator[tuple[IPAddress, NextHop]]:
        """Back-ends whose MACs the table has."""
        for address, index in self._table.destinations().items():
            hop = self._table.next_hop(index)
            if hop.state is NextHopState.RESOLVED:
                yield address, hop

    def routes(self) -> dict[IPNetwork, bool]:
        """The prefixes that lead to others, and whether packets find their way there now."""
        resolved = {
            key for key, hop in self.held.hops.items() if hop.state is NextHopState.RESOLVED
        }
        return {prefix: key in resolved for prefix, key in self.held.routes.items() if key != OWN}

    def read(self) -> None:
        """Find out anew what the table holds, for another process may have filled it."""
        gateways = self._table.gateways()  # all by this class: nobody else has gateways
        keys = {index: cast("HopKey", key) for key, index in gateways.items()}
        self.held = Table(
            hops={key: self._table.next_hop(index) for index, key in keys.items()},
            routes={p: keys.get(index, UNKNOWN) for p, index in self._table.routes().items()},
        )

    def write(self, goal: Table) -> None:
        """Make the table equal to *goal*; what does not fit is told in `failures`."""
        failures: dict[type[Change], str] = {}
        indices = self._table.destinations()
        self.held = replace(
            self.held,
            destinations={host: self._table.next_hop(index) for host, index in indices.items()},
        )
        for change in changes(goal, self.held):
            if type(change) in failures:  # full: the next one will not fit either
                continue
            try:
                self._carry_out(change, indices)
            except LbctlError as error:
                failures[type(change)] = str(error)
        self._tell()
        for text in failures.values():
            if text not in self.failures:
                log.error("%s", text)
        self.failures = list(failures.values())

    def _carry_out(self, change: Change, indices: dict[IPAddress, int]) -> None:
        self.revision += not isinstance(change, SetDestination)
        match change:
            case SetHop(key, hop):
                self._table.set_next_hop(self._table.gateway(key), hop)
                self.held.hops[key] = hop
            case SetDestination(address, hop):
                if address in indices:  # else released a moment ago
                    self._table.set_next_hop(indices[address], hop)
            case PutRoute(prefix, key):
                self._put_route(prefix, key)
            case DeleteRoute(prefix):
                self._table.delete_route(prefix)
                self.held.routes.pop(prefix)
                self._dirty = True
            case ReleaseHop(key):
                self._tell()
                self._table.release_gateway(key)
                self.held.hops.pop(key)

    def _put_route(self, prefix: IPNetwork, key: HopKey) -> None:
        if key not in self.held.hops:  # there was no room for its record
            return
        self._table.put_route(prefix, self._table.gateway(key))
        self.held.routes[prefix] = key
        self._dirty = True

    def _tell(self) -> None:
        if self._dirty:
            self._table.bump()
            self._dirty = False
