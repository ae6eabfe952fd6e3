"""
The counts: what the data path has counted of each back-end of a configuration.

A back-end has a record for each VIP that may lead to it, also through rules and backups; here they
are one.  Reads only.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from lbctl.control.master import served_at
from lbctl.control.supervision.traffic import Totals
from lbctl.model import Scheduler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lbctl.control.standing import Key
    from lbctl.model import Configuration
    from lbctl.switching.dataplane import Dataplane

# All others want to know how many connections are open, and so may every plugin.
UNCOUNTED = set(Scheduler) - {Scheduler.LC, Scheduler.WLC, Scheduler.P2C}
FIELDS = Totals._fields


class Counts:
    """The counters and the connection table of one switch."""

    def __init__(self, dataplane: Dataplane) -> None:
        self._dataplane = dataplane

    def totals(self, configuration: Configuration) -> dict[Key, Totals]:
        """What was counted of every back-end that has a record."""
        records = list(self._records(configuration))
        if not records:
            return {}
        rows = self._dataplane.counters.by_backend()
        found: defaultdict[Key, Totals] = defaultdict(Totals)
        for key, index in records:
            row = rows[index]
            found[key] += tuple(int(row[name]) for name in FIELDS)
        return dict(found)

    def open_connections(self, configuration: Configuration) -> dict[Key, int]:
        """The open connections of every back-end, where a scheduler asks for them."""
        if all(pool.scheduler in UNCOUNTED for pool in configuration.pools):
            return {}
        counts = self._dataplane.connections.count_by_backend()
        found: defaultdict[Key, int] = defaultdict(int)
        for key, index in self._records(configuration):
            found[key] += int(counts[index])
        return dict(found)

    def _records(self, configuration: Configuration) -> Iterator[tuple[Key, int]]:
        """Every record in the back-end table, and whose it is."""
        index_of = self._dataplane.configuration.backend_index
        for pool in configuration.pools:
            members = configuration.stand_ins(pool)
            for vip in pool.vips:
                for member in members:
                    for backend in member.backends:
                        index = index_of(vip, served_at(vip, backend.address))
                        if index is not None:
                            yield (member.name, backend.address), index
