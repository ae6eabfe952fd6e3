"""The series: count how many a configuration can lead to, whatever packets contain.  Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbctl.control.metrics.catalogue import EVENT_KINDS, PROCESS, TABLES
from lbctl.control.program_state import LOST
from lbctl.model import State
from lbctl.netif.status import COUNTERS
from lbctl.shared.abi import APP_QUEUES, Verdict

if TYPE_CHECKING:
    from lbctl.model import App, Configuration

VERDICTS = len(Verdict) - 2  # CONTINUE is never counted, VERDICT_MAX is none

_FIXED = 8 + len(EVENT_KINDS) + len(PROCESS) + 2 * len(TABLES)
_PER_NIC = 3 + 2 * VERDICTS
_PER_POOL = 5 + len(State)
_PER_VIP = 1 + VERDICTS
_PER_RECORD = 9 + VERDICTS  # a back-end has a record for each VIP that may lead to it
_PER_BACKEND = len(State) + 10
_PER_AGENT = 1 + 3 + 4
_PER_APP = 3 + len(COUNTERS)
_PER_PORT = len(LOST)
_PER_PSEUDO = 3 + 2 * VERDICTS  # the switch's end of it is a NIC


def most_series(configuration: Configuration) -> int:
    """How many series a switch of this configuration can have at the very most."""
    pools, reachable = configuration.pools, configuration.vips_by_pool()
    backends = sum(len(pool.backends) for pool in pools)
    records = sum(len(pool.backends) * len(reachable[pool.name]) for pool in pools)
    return (
        _FIXED
        + _PER_NIC * len(configuration.nics)
        + _PER_POOL * len(pools)
        + _PER_VIP * sum(len(pool.vips) for pool in pools)
        + _PER_RECORD * records
        + _PER_BACKEND * backends
        + _PER_AGENT * len(configuration.agents)
        + _PER_APP * len(configuration.apps)
        + VERDICTS * sum(len(app.vips) for app in configuration.apps)
        + _PER_PORT * sum(_ports(app, configuration) for app in configuration.apps)
        + _PER_PSEUDO * len(configuration.pseudo)
    )


def _ports(app: App, configuration: Configuration) -> int:
    """By how many NICs and queues an application can receive at most."""
    return len(app.nics or configuration.nics) * (len(app.queues) or APP_QUEUES)
