"""
The master module: turn pools, and how their back-ends stand, into services.

Says which pool serves (itself, its backup, or all of its back-ends in panic), deals the slots to
the back-ends, and moves as few of them as it can when something changes.  Pure: no tables, no
clock; publishing the answer is the controller's part.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lbctl.control.schedulers import is_known, move
from lbctl.control.schedulers import slots as deal
from lbctl.control.schedulers import weights as counting
from lbctl.control.standing import NOTHING_FOUND, Standing, Standings
from lbctl.model import ANY_PORT, OnDown, Pool, Scheduler, SocketAddress, State, Vip
from lbctl.shared.configuration import Service, ServiceBackend
from lbctl.shared.records import ServiceRule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lbctl.model import Backend, Configuration, IPAddress

    NextHop = Callable[[IPAddress], int]
    Slots = np.ndarray[tuple[int], np.dtype[np.uint16]]
    # All that a deal depends on.
    Hand = tuple[str, tuple[tuple[SocketAddress, int], ...], int]

NO_SLOTS = np.empty(0, np.uint16)


def served_at(vip: Vip, address: SocketAddress) -> SocketAddress:
    """Where a back-end serves *vip*: a VIP of any port keeps the packet's, written as port 0."""
    return SocketAddress(address.address, ANY_PORT) if vip.port == ANY_PORT else address


def wanted_share(backend: Backend) -> int:
    """The weight that its administrator wants to count: none for one that is to get nothing."""
    return backend.weight if backend.state is State.ACTIVE else 0


class Serving(NamedTuple):
    """Which pool's back-ends get new connections; in panic all that are wanted, well or not."""

    pool: Pool
    panicking: bool = False


class _Table(NamedTuple):
    """The slots of a pool as they were dealt last, and what they follow from."""

    hand: Hand
    shares: tuple[float, ...]
    slots: Slots


class Master:
    """Pools to services, with a memory of the slots that were dealt."""

    def __init__(self) -> None:
        self.standings = NOTHING_FOUND
        self._bases: dict[Hand, Slots] = {}
        self._tables: dict[str, _Table] = {}
        self._parts: dict[str, tuple[_Table, list[float]]] = {}  # what `shares` counted, and where

    def services(
        self, configuration: Configuration, next_hop: NextHop, found: Standings | None = None
    ) -> tuple[Service, ...]:
        """
        All services of a configuration, one for each VIP.

        *found*: how its back-ends stand; `standings` unless given.
        """
        return tuple(
            self._service(configuration, found or self.standings, pool, vip, next_hop)
            for pool in configuration.pools
            for vip in pool.vips
        )

    def serving(self, configuration: Configuration, pool: Pool) -> Serving | None:
        """Who serves in the name of *pool*; None: nobody."""
        return serving(configuration, self.standings, pool)

    def shares(self, pool: Pool) -> dict[SocketAddress, float]:
        """The part of a pool's own slots that each of its back-ends has, 0 to 1."""
        table = self._tables.get(pool.name)
        if table is None:
            return {backend.address: 0.0 for backend in pool.backends}
        known = self._parts.get(pool.name)
        if known is None or known[0] is not table:  # who looks at all pools looks often
            counts = np.bincount(table.slots, minlength=len(pool.backends))
            known = table, (counts / max(len(table.slots), 1)).tolist()
            self._parts[pool.name] = known
        return {b.address: part for b, part in zip(pool.backends, known[1], strict=False)}

    def dealt(self, pool: Pool) -> int:
        """How many slots were dealt to the back-ends of *pool* last."""
        table = self._tables.get(pool.name)
        return len(table.slots) if table else 0

    def forget_all_but(self, pools: Iterable[Pool]) -> None:
        """Drop the deals that none of *pools* needs."""
        kept = {pool.name: _hand(pool) for pool in pools}
        hands = set(kept.values())
        self._bases = {hand: slots for hand, slots in self._bases.items() if hand in hands}
        self._tables = {name: table for name, table in self._tables.items() if name in kept}
        self._parts = {name: parts for name, parts in self._parts.items() if name in kept}

    def _service(
        self,
        configuration: Configuration,
        found: Standings,
        pool: Pool,
        vip: Vip,
        next_hop: NextHop,
    ) -> Service:
        backends: dict[SocketAddress, ServiceBackend] = {}
        places: dict[str, list[int]] = {}  # of a pool's back-ends in the service's list
        for member in configuration.stand_ins(pool):
            panicking = serving(configuration, found, member) == (member, True)
            for backend in member.backends:
                address = served_at(vip, backend.address)
                state = _standing(found, member, backend, panicking=panicking).state
                if address not in backends or state is State.ACTIVE:
                    hop = next_hop(backend.address.address)
                    backends[address] = ServiceBackend(address, state, hop)
            order = {address: place for place, address in enumerate(backends)}
            places[member.name] = [order[served_at(vip, b.address)] for b in member.backends]
        run = partial(self._run, configuration, found, places)
        rules = ((rule, configuration.pool(rule.pool)) for rule in pool.rules)
        return Service(
            vip=vip,
            forward=pool.forward,
            on_unknown=pool.on_unknown,
            backends=tuple(backends.values()),
            slots=run(pool),
            by_address=pool.scheduler == Scheduler.SH,
            reset_down=pool.on_down is OnDown.RESET,
            rules=tuple(ServiceRule(r.clients, r.port or 0, run(p)) for r, p in rules if p),
        )

    def _run(
        self,
        configuration: Configuration,
        found: Standings,
        places: dict[str, list[int]],
        pool: Pool,
    ) -> Slots:
        """The slots of *pool*, as positions in the list of a service."""
        who = serving(configuration, found, pool)
        slots = self._slots(found, who) if who else NO_SLOTS
        own = places[who.pool.name] if who else []
        return slots if own == list(range(len(own))) else np.array(own, np.uint16)[slots]

    def _slots(self, found: Standings, who: Serving) -> Slots:
        """The slots of the pool that serves, as positions in its own list."""
        pool, hand = who.pool, _hand(who.pool)
        shares = _shares(found, who)
        last = self._tables.get(pool.name)
        if last and (last.hand, last.shares) == (hand, shares):
            return last.slots
        if hand not in self._bases:
            self._bases[hand] = deal(*hand)
            self._bases[hand].flags.writeable = False  # it is handed out again and again
        current = last.slots if last and last.hand == hand else None
        slots = move.table(self._bases[hand], current, shares, pool.table_size)
        self._tables[pool.name] = _Table(hand, shares, slots)
        return slots


def serving(configuration: Configuration, found: Standings, pool: Pool) -> Serving | None:
    """
    Who serves in the name of *pool*, by how its back-ends stand.

    Itself, while as many as its quorum (at least one) are well and they are no smaller part than
    `panic`; else its backup, or what serves for that; else, in panic, all of its own.
    """
    wanted = [backend for backend in pool.backends if wanted_share(backend)]
    well = [b for b in wanted if found.of(pool.name, b).state is State.ACTIVE]
    panicking = len(well) < pool.panic * len(wanted)
    if len(well) >= max(pool.quorum, 1) and not panicking:
        return Serving(pool)
    backup = configuration.pool(pool.backup) if pool.backup else None
    if backup and (instead := serving(configuration, found, backup)):
        return instead
    return Serving(pool, panicking=True) if panicking else None


def _standing(found: Standings, pool: Pool, backend: Backend, *, panicking: bool) -> Standing:
    """How the switching processors see a back-end: in panic all that are wanted are asked."""
    return Standing(backend.state) if panicking else found.of(pool.name, backend)


def _shares(found: Standings, who: Serving) -> tuple[float, ...]:
    """What part each back-end of the pool that serves is to have."""
    pool, known = who.pool, found.shares.get(who.pool.name)
    weights = counting(pool.scheduler, [wanted_share(backend) for backend in pool.backends])
    asked = [
        weight if _standing(found, pool, b, panicking=who.panicking).state is State.ACTIVE else 0
        for b, weight in zip(pool.backends, weights, strict=True)
    ]
    if known and not who.panicking:
        given = [known.given.get(backend.address, -1.0) for backend in pool.backends]
        pairs = zip(given, asked, strict=True)
        if any(given) and all(share == 0 or (share > 0 and weight) for share, weight in pairs):
            return tuple(given)
    return tuple(map(float, asked))


def _hand(pool: Pool) -> Hand:
    backends = tuple((backend.address, wanted_share(backend)) for backend in pool.backends)
    name = str(pool.scheduler) if is_known(pool.scheduler) else Scheduler.MAGLEV.value
    return name, backends, pool.table_size
