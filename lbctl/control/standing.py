"""
The standing: how the back-ends stand now, as the master module is told.

Values only.  What the administrator wants is in the configuration; here is what checks, agents and
the data path have found since, and which shares followed from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lbctl.model import SocketAddress, State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lbctl.model import Backend

Key = tuple[str, SocketAddress]  # name of the pool, address of the back-end


class Standing(NamedTuple):
    """The state of a back-end, and why it is not what its administrator wants."""

    state: State
    reason: str = ""


class Shares(NamedTuple):
    """
    The parts of a pool's new connections, 0 to 1, by back-end.

    *wanted*: as the scheduler asks; *given*: as they are dealt; *problem*: why it cannot work.
    """

    wanted: Mapping[SocketAddress, float]
    given: Mapping[SocketAddress, float]
    problem: str | None = None


class Standings(NamedTuple):
    """
    All that was found, at one moment.

    *troubles*: back-ends that get no new connections although they are wanted.  *shares*: by pool;
    where one is missing the configured weights count.
    """

    troubles: Mapping[Key, Standing]
    shares: Mapping[str, Shares]

    def of(self, pool: str, backend: Backend) -> Standing:
        """How a back-end of *pool* stands: trouble counts only where it is wanted."""
        if backend.state is not State.ACTIVE:
            return Standing(backend.state)
        return self.troubles.get((pool, backend.address), Standing(State.ACTIVE))


NOTHING_FOUND = Standings({}, {})
EXACT = 1e-6  # shares nearer than this are the same


def differ(one: Standings, other: Standings) -> bool:
    """Whether what packets see follows from one of them and not from the other."""
    if {k: s.state for k, s in one.troubles.items()} != {
        k: s.state for k, s in other.troubles.items()
    }:
        return True
    if one.shares.keys() != other.shares.keys():
        return True
    return any(
        shares.given.keys() != other.shares[pool].given.keys()
        or any(
            abs(share - other.shares[pool].given[a]) > EXACT for a, share in shares.given.items()
        )
        for pool, shares in one.shares.items()
    )
