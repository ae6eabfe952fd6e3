"""
The schedulers: deal the slots of a service to its back-ends.

A slot is one entry of the selection table; a new connection takes one by its hash.  Pure: no
maps, no clock, no chance.  Two switches with the same back-ends and weights give the same table,
in whatever order the back-ends were named, because everything follows from their addresses.

maglev  a lookup table of `table_size` slots that hardly changes when a back-end comes or goes
rr      a ring with one slot for each back-end, whatever its weight
wrr     a ring with as many slots for each back-end as its weight says, spread out
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lbctl.control.schedulers import maglev, ring
from lbctl.errors import UsageError
from lbctl.model import Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from lbctl.model import SocketAddress

    Deal = Callable[[Sequence[str], Sequence[int], int], npt.NDArray[np.uint16]]

MAX_BACKENDS = 1 << 16  # a slot is 16 bits wide

_DEAL: dict[Scheduler, Deal] = {
    Scheduler.MAGLEV: maglev.table,
    Scheduler.RR: ring.equal,
    Scheduler.WRR: ring.weighted,
}


def slots(
    scheduler: Scheduler, backends: Sequence[tuple[SocketAddress, int]], table_size: int
) -> npt.NDArray[np.uint16]:
    """
    Deal at most *table_size* slots; each element is a position in *backends*.

    A back-end is (address, weight).  Weight 0 gets no slot; any other weight gets at least one,
    unless there are more back-ends than slots.  Without a back-end to give a slot to, the answer
    is empty.
    """
    if len(backends) > MAX_BACKENDS:
        raise UsageError(
            f"{len(backends)} back-ends: a pool holds at most {MAX_BACKENDS}; split the pool"
        )
    positions = sorted(
        (position for position, (_, weight) in enumerate(backends) if weight),
        key=lambda position: _order(backends[position][0]),
    )
    if not positions:
        return np.empty(0, dtype=np.uint16)
    names = [str(backends[position][0]) for position in positions]
    weights = [backends[position][1] for position in positions]
    dealt = _DEAL[scheduler](names, weights, table_size)
    return np.asarray(positions, dtype=np.uint16)[dealt]


def _order(address: SocketAddress) -> tuple[int, int, int]:
    return address.address.version, int(address.address), address.port
