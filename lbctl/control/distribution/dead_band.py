"""
The dead band: which differences are worth a change.

A small difference is mostly noise, and not followed.  One that lasts is none: a scheduler that is
cautious about an overloaded server would else stop short of what it wants for ever.  So what is
left undone is summed up over time, and counts once it is as much as a large difference would be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lbctl.control.schedulers.loads import Array
    from lbctl.model import SocketAddress

LASTING = 20.0  # seconds after which a difference of half the dead band is followed


class DeadBand:
    """The differences of one pool that were not followed yet."""

    def __init__(self) -> None:
        self._undone: dict[SocketAddress, float] = {}  # share times seconds

    def is_worth(
        self, seconds: float, servers: Sequence[SocketAddress], difference: Array, bands: Array
    ) -> bool:
        """
        Whether some *difference* (wanted - given), of one of *servers*, is outside its band.

        *seconds* is how long it has been so.  What is worth a change is forgotten then.
        """
        undone = np.array([self._undone.get(server, 0.0) for server in servers])
        undone += difference * seconds
        if (np.abs(difference) + np.abs(undone) / LASTING > bands).any():
            self._undone = {}
            return True
        self._undone = dict(zip(servers, undone.tolist(), strict=True))
        return False
