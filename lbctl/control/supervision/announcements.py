"""
The announcements: what is worth an event when the standings change.

Pure but for the shares that were announced last: small moves add up until they are worth a line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from lbctl.control.master import serving, wanted_share

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lbctl.control.standing import Standings
    from lbctl.model import Configuration, Pool, SocketAddress

WORTH = 0.05  # a share that moved so far since it was announced
MOST = 10  # changes or shares in a line


class Announcement(NamedTuple):
    """One event to be noted."""

    kind: str
    subject: str
    text: str


def of_change(number: int, told: str, changes: Sequence[str]) -> Announcement:
    """What led to a generation; the first of its changes, for the generations have all of them."""
    more = f"; and {len(changes) - MOST} more" if len(changes) > MOST else ""
    text = f"{told}: {'; '.join(changes[:MOST])}{more}"
    return Announcement("configuration", f"generation {number}", text)


class Announcer:
    """Tells what differs between one moment and the next."""

    def __init__(self) -> None:
        self._shares: dict[str, Mapping[SocketAddress, float]] = {}
        self._served: dict[str, str] = {}
        self._problems: dict[str, str | None] = {}

    def news(
        self, configuration: Configuration, before: Standings, now: Standings
    ) -> list[Announcement]:
        """All that is worth a line."""
        self._forget_all_but({pool.name for pool in configuration.pools})
        found = [*_states(configuration, before, now)]
        for pool in configuration.pools:
            found += self._served_by(configuration, now, pool)
            found += self._moved(now, pool)
        return found

    def _served_by(
        self, configuration: Configuration, now: Standings, pool: Pool
    ) -> Iterator[Announcement]:
        if not any(wanted_share(backend) for backend in pool.backends):
            return
        who = serving(configuration, now, pool)
        text = "nobody serves: no back-end is well enough"
        if who and who.panicking:
            text = "panic: too few back-ends are well, so that all are asked"
        elif who:
            text = (
                "its own back-ends serve" if who.pool is pool else f"backup {who.pool.name} serves"
            )
        before = self._served.get(pool.name, "its own back-ends serve")
        self._served[pool.name] = text
        if text != before:
            yield Announcement("pool", pool.name, text)

    def _moved(self, now: Standings, pool: Pool) -> Iterator[Announcement]:
        shares = now.shares.get(pool.name)
        if not shares:
            return
        if shares.problem != self._problems.get(pool.name):
            self._problems[pool.name] = shares.problem
            yield Announcement("load", pool.name, shares.problem or "the scheduler works again")
        before = self._shares.setdefault(pool.name, shares.given)
        addresses = before.keys() | shares.given.keys()
        moves = [
            (address, before.get(address, 0.0), shares.given.get(address, 0.0))
            for address in sorted(addresses)
        ]
        if any(abs(new - old) >= WORTH for _, old, new in moves):
            self._shares[pool.name] = shares.given
            yield Announcement("load", pool.name, f"shares: {_told(moves)}")

    def _forget_all_but(self, pools: set[str]) -> None:
        memories: tuple[dict[str, Any], ...] = (self._shares, self._served, self._problems)
        for memory in memories:
            for gone in memory.keys() - pools:
                del memory[gone]


def _told(moves: Sequence[tuple[SocketAddress, float, float]]) -> str:
    """The largest moves that can be seen in whole percents, by address."""
    seen = [(a, f"{old:.0%}", f"{new:.0%}", abs(new - old)) for a, old, new in moves]
    seen = sorted((one for one in seen if one[1] != one[2]), key=lambda one: -one[3])
    told = ", ".join(f"{a} {old} -> {new}" for a, old, new, _ in sorted(seen[:MOST]))
    return f"{told} and {len(seen) - MOST} more" if len(seen) > MOST else told


def _states(
    configuration: Configuration, before: Standings, now: Standings
) -> Iterator[Announcement]:
    for pool in configuration.pools:
        for backend in pool.backends:
            old, new = (found.of(pool.name, backend) for found in (before, now))
            if old.state is not new.state:
                why = f": {new.reason}" if new.reason else ""
                text = f"{old.state} -> {new.state}{why}"
                yield Announcement("health", f"{pool.name} {backend.address}", text)
