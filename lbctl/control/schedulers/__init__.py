"""
The schedulers: deal the slots of a service to its back-ends, and say who should get how much.

A slot is one entry of the selection table; a new connection takes one by its hash.  Pure: no
maps, no clock, no chance.  Two switches with the same back-ends and weights give the same table,
in whatever order the back-ends were named, because everything follows from their addresses.

maglev  a lookup table of `table_size` slots that hardly changes when a back-end comes or goes
rr      a ring with one slot for each back-end, whatever its weight
wrr     a ring with as many slots for each back-end as its weight says, spread out
sh      maglev; the data plane hashes the client's address alone

The others are dynamic: they look at the servers and say again and again who should get how much.
They start from a base table, which is maglev's; the distributor moves slots from there.

lc, wlc              where few connections are open, without and with weights
least-load           by idle capacity
least-response-time  by speed
p2c                  as the power of two choices
and every plugin: see `plugins`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lbctl.control.schedulers import (
    least_connections,
    least_load,
    least_response_time,
    maglev,
    plugins,
    power_of_two,
    ring,
)
from lbctl.control.schedulers.plugins import Shares
from lbctl.control.schedulers.server import Server
from lbctl.errors import UsageError
from lbctl.model import Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from lbctl.control.schedulers.loads import Array
    from lbctl.model import SocketAddress

    Deal = Callable[[Sequence[str], Sequence[int], int], npt.NDArray[np.uint16]]
    Dynamic = Callable[[Sequence[Server]], Array]

__all__ = [
    "MAX_BACKENDS",
    "Server",
    "Shares",
    "dynamic",
    "is_dynamic",
    "is_known",
    "names",
    "slots",
    "weights",
]

MAX_BACKENDS = 1 << 16  # a slot is 16 bits wide

_RINGS: dict[str, Deal] = {Scheduler.RR: ring.equal, Scheduler.WRR: ring.weighted}
_DYNAMIC: dict[str, Dynamic] = {
    Scheduler.LC: least_connections.unweighted,
    Scheduler.WLC: least_connections.weighted,
    Scheduler.LEAST_LOAD: least_load.shares,
    Scheduler.LEAST_RESPONSE_TIME: least_response_time.shares,
    Scheduler.P2C: power_of_two.shares,
}
_WEIGHTLESS = {Scheduler.RR, Scheduler.LC}


def names() -> tuple[str, ...]:
    """Every scheduler that a pool can have: our own, then the plugins that are installed."""
    return (*(scheduler.value for scheduler in Scheduler), *plugins.found())


def is_known(name: str) -> bool:
    """Whether there is a scheduler of that name; a plugin may have been uninstalled."""
    return name in names()


def is_dynamic(name: str) -> bool:
    """Whether the shares follow from how the servers are.  Raises UsageError: no such one."""
    _require(name)
    return name in _DYNAMIC or name in plugins.found()


def weights(name: str, configured: Sequence[int]) -> list[int]:
    """The weights that count: rr and lc know only 0 and 1."""
    return [min(weight, 1) for weight in configured] if name in _WEIGHTLESS else [*configured]


def dynamic(name: str) -> Dynamic:
    """
    Give the function of a dynamic scheduler: from servers (at least one) to their shares.

    The shares are finite and not negative, and not all 0.  Raises UsageError if there is no such
    scheduler, LbctlError if it is a plugin that cannot be loaded; what is given raises
    LbctlError if the plugin fails.
    """
    _require(name)
    if name in _DYNAMIC:
        return _DYNAMIC[name]
    plugin = plugins.load(name)
    return lambda servers: plugins.shares_by(name, plugin, servers)


def slots(
    scheduler: str, backends: Sequence[tuple[SocketAddress, int]], table_size: int
) -> npt.NDArray[np.uint16]:
    """
    Deal at most *table_size* slots; each element is a position in *backends*.

    A back-end is (address, weight).  Weight 0 gets no slot; any other weight gets at least one,
    unless there are more back-ends than slots.  Without a back-end to give a slot to, the answer
    is empty.  Of a dynamic scheduler this is the base table.
    """
    _require(scheduler)
    if len(backends) > MAX_BACKENDS:
        raise UsageError(
            f"{len(backends)} back-ends: a pool holds at most {MAX_BACKENDS}; split the pool"
        )
    counting = weights(scheduler, [weight for _, weight in backends])
    positions = sorted(
        (position for position, weight in enumerate(counting) if weight),
        key=lambda position: _order(backends[position][0]),
    )
    if not positions:
        return np.empty(0, dtype=np.uint16)
    addresses = [str(backends[position][0]) for position in positions]
    deal = _RINGS.get(scheduler, maglev.table)
    dealt = deal(addresses, [counting[position] for position in positions], table_size)
    return np.asarray(positions, dtype=np.uint16)[dealt]


def _require(name: str) -> None:
    if name not in names():
        raise UsageError(f"no scheduler {name!r}; there are {', '.join(names())}")


def _order(address: SocketAddress) -> tuple[int, int, int]:
    return address.address.version, int(address.address), address.port
