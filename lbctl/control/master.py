"""
The master module: turn pools into the services that the configuration table holds.

Deals the slots of every pool to its back-ends and remembers the deal, so that a change of one
pool costs the work of one pool.  Pure: no tables, no clock; publishing the answer is the
controller's part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lbctl.control.schedulers import slots as deal
from lbctl.model import ANY_PORT, Pool, SocketAddress, State, Vip
from lbctl.shared.configuration import Service, ServiceBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lbctl.model import Backend, IPAddress, Scheduler

    NextHop = Callable[[IPAddress], int]
    Slots = np.ndarray[tuple[int], np.dtype[np.uint16]]
    # All that a deal depends on.
    Hand = tuple[Scheduler, tuple[tuple[SocketAddress, int], ...], int]

NO_SLOTS = np.empty(0, np.uint16)


def served_at(vip: Vip, address: SocketAddress) -> SocketAddress:
    """Where a back-end serves *vip*: a VIP of any port keeps the packet's, written as port 0."""
    return SocketAddress(address.address, ANY_PORT) if vip.port == ANY_PORT else address


def wanted_share(backend: Backend) -> int:
    """The weight that counts: none for a back-end that must get no new connection."""
    return backend.weight if backend.state is State.ACTIVE else 0


class Master:
    """Pools to services, with a memory of the slots that were dealt."""

    def __init__(self) -> None:
        self._dealt: dict[Hand, Slots] = {}

    def services(self, pools: Iterable[Pool], next_hop: NextHop) -> tuple[Service, ...]:
        """All services of *pools*, one for each VIP."""
        return tuple(self._service(pool, vip, next_hop) for pool in pools for vip in pool.vips)

    def shares(self, pool: Pool) -> dict[SocketAddress, float]:
        """The part of a pool's slots that each of its back-ends has, 0 to 1."""
        slots = self._slots(pool)
        counts = np.bincount(slots, minlength=len(pool.backends)) / max(len(slots), 1)
        return {b.address: float(c) for b, c in zip(pool.backends, counts, strict=True)}

    def forget_all_but(self, pools: Iterable[Pool]) -> None:
        """Drop the deals that none of *pools* needs."""
        hands = {_hand(pool) for pool in pools}
        self._dealt = {hand: slots for hand, slots in self._dealt.items() if hand in hands}

    def _service(self, pool: Pool, vip: Vip, next_hop: NextHop) -> Service:
        return Service(
            vip=vip,
            forward=pool.forward,
            on_unknown=pool.on_unknown,
            backends=tuple(
                ServiceBackend(
                    address=served_at(vip, backend.address),
                    state=backend.state,
                    next_hop=next_hop(backend.address.address),
                )
                for backend in pool.backends
            ),
            slots=self._slots(pool),
        )

    def _slots(self, pool: Pool) -> Slots:
        hand = _hand(pool)
        if not any(weight for _, weight in hand[1]):
            return NO_SLOTS
        if hand not in self._dealt:
            slots = deal(*hand)
            slots.flags.writeable = False  # it is handed out again and again
            self._dealt[hand] = slots
        return self._dealt[hand]


def _hand(pool: Pool) -> Hand:
    backends = tuple((backend.address, wanted_share(backend)) for backend in pool.backends)
    return pool.scheduler, backends, pool.table_size
