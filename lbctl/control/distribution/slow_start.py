"""
The slow start: who has just come begins with a part of its share and comes to all of it in time.

A server with cold caches or a compiler that has not warmed up yet falls over when it gets a full
share at once; as in HAProxy's `slowstart` the share rises linearly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lbctl.control.distribution.member import Member
    from lbctl.control.schedulers.loads import Array
    from lbctl.model import SocketAddress

FIRST = 0.1  # of the share, at once


class SlowStart:
    """When each server came."""

    def __init__(self) -> None:
        self._came: dict[SocketAddress, float] = {}
        self._fresh: set[SocketAddress] = set()

    def watch(self, now: float, members: Sequence[Member]) -> None:
        """Note who comes: serves and is fresh, and was not both before."""
        fresh = {m.address for m in members if m.serving and m.fresh}
        serving = {m.address for m in members if m.serving}
        self._came = {address: at for address, at in self._came.items() if address in serving}
        self._came.update(dict.fromkeys(fresh - self._fresh, now))
        self._fresh = fresh

    def warmth(self, now: float, seconds: float, members: Sequence[Member]) -> Array:
        """The part of its share that each of *members* may have, FIRST to 1."""
        return np.array([self._warmth(now, seconds, member.address) for member in members])

    def _warmth(self, now: float, seconds: float, address: SocketAddress) -> float:
        came = self._came.get(address)
        if came is None or now - came >= seconds:
            return 1.0
        return FIRST + (1 - FIRST) * (now - came) / seconds
