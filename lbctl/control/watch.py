"""
The watch: what the controller wants to know of the back-ends, whoever finds it out.

A controller that nobody watches for takes every back-end as its administrator wants it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from lbctl.control.standing import NOTHING_FOUND

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lbctl.control.standing import Standings
    from lbctl.model import Configuration, Pool, SocketAddress


class Observation(NamedTuple):
    """
    What was seen of one back-end, to be shown.

    *measured*: its part of the pool's new connections lately, 0 to 1; None: too few to tell.
    *load*: what its agent last said, *report_age* seconds ago.
    """

    measured: float | None
    new_connections: float  # a second
    load: float | None
    report_age: float | None


class Watch(Protocol):
    """Finds out how back-ends stand."""

    def start(self, configuration: Configuration) -> None:
        """Begin, with what was known before a restart."""

    def follow(self, configuration: Configuration) -> None:
        """Watch the back-ends of *configuration* from now on, and no others."""

    def admit(self, old: Configuration, new: Configuration) -> None:
        """Wait until those that begin to be watched have been looked at."""

    def standings(self, configuration: Configuration) -> Standings:
        """How the back-ends stand now."""

    def observations(self, pool: Pool) -> Mapping[SocketAddress, Observation]:
        """What was seen of a pool's back-ends."""

    def tell(self, kind: str, subject: str, text: str) -> None:
        """Note an event."""


class Unwatched:
    """Nobody watches."""

    def start(self, configuration: Configuration) -> None:
        """Begin nothing."""

    def follow(self, configuration: Configuration) -> None:
        """Watch nothing."""

    def admit(self, old: Configuration, new: Configuration) -> None:
        """Wait for nothing."""

    def standings(self, configuration: Configuration) -> Standings:
        """Nothing was found."""
        del configuration
        return NOTHING_FOUND

    def observations(self, pool: Pool) -> Mapping[SocketAddress, Observation]:
        """Nothing was seen."""
        del pool
        return {}

    def tell(self, kind: str, subject: str, text: str) -> None:
        """Nobody listens."""
