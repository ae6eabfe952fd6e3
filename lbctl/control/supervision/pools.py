"""
The watched pools: what follows from a pool, or a report, by itself.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbctl.control import schedulers

if TYPE_CHECKING:
    from lbctl.agent.wire import LoadReport
    from lbctl.control.standing import Key
    from lbctl.model import Configuration, Pool


def keys_of(configuration: Configuration) -> dict[Key, Pool]:
    """Every back-end of every pool, and that pool."""
    return {(pool.name, b.address): pool for pool in configuration.pools for b in pool.backends}


def moves(pool: Pool) -> bool:
    """Whether the shares of a pool may be other than its weights say."""
    name = pool.scheduler
    if not schedulers.is_known(name):  # the distributor has a word for that
        return True
    return schedulers.is_dynamic(name) or pool.balance.slow_start > 0


def load_of(report: LoadReport) -> float | None:
    """The load that a report tells, 0 to 1 and more; None: it tells none."""
    told = (part for part in (report.cpu, report.utilization) if part is not None)
    return max(told, default=None)
