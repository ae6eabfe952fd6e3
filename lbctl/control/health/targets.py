"""
The targets: which back-ends of a configuration are checked, and how.

Pure.  Every pool with a check has its own targets, whatever leads to it: VIPs, a rule, or another
pool whose backup it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbctl.control.health.target import Target
from lbctl.model import SocketAddress, State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lbctl.model import Backend, Configuration, Pool, Vip

Key = tuple[str, SocketAddress]
UNWATCHED = {State.MAINTENANCE, State.DOWN}  # as the administrator wants: nothing to find out


def targets(configuration: Configuration) -> dict[Key, Target]:
    """Every back-end that can be checked, also those that are not watched; marks are missing."""
    return {
        (pool.name, backend.address): Target(
            pool.name,
            backend.address,
            pool.health,
            _vip(configuration, pool) if pool.health.to_vip else None,
        )
        for pool in configuration.pools
        if pool.health
        for backend in pool.backends
    }


def watched(configuration: Configuration) -> set[Key]:
    """Those of them that are checked all the time."""
    return {
        (pool.name, backend.address)
        for pool in configuration.pools
        if pool.health
        for backend in pool.backends
        if is_watched(backend)
    }


def is_watched(backend: Backend) -> bool:
    """Whether it depends on its health what a back-end gets."""
    return backend.state not in UNWATCHED


def with_marks(wanted: Mapping[Key, Target], marks: Mapping[Key, int]) -> dict[Key, Target]:
    """The same with the marks that lead to their servers."""
    return {key: target._replace(mark=marks.get(key, 0)) for key, target in wanted.items()}


def _vip(configuration: Configuration, pool: Pool) -> Vip | None:
    """The VIP that a pool's servers have: its own, or that of a pool which sends them clients."""
    sending = (other for other in configuration.pools if _leads_to(other, pool.name))
    return next((vip for one in (pool, *sending) for vip in one.vips), None)


def _leads_to(pool: Pool, name: str) -> bool:
    return pool.backup == name or any(rule.pool == name for rule in pool.rules)
