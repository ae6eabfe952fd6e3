"""The plug: what a port asks of the kernel, or of the test that stands in for it."""

from __future__ import annotations

from typing import Protocol


class Plug(Protocol):
    """What a port needs of the kernel, or of the test that stands in for it."""

    def fileno(self) -> int:
        """The descriptor that is readable while there are packets."""

    def kick(self) -> None:
        """Have the kernel send what is in the transmit ring."""

    def wake(self) -> None:
        """Have the kernel look at the fill ring, and at the NIC when busy polling."""

    def busy(self) -> bool:
        """Whether packets come by our own calls (busy polling)."""

    def counters(self) -> tuple[int, ...]:
        """XDP_STATISTICS, in the order of the last six of Statistics."""

    @property
    def gone(self) -> bool:
        """Whether the NIC has vanished: nothing comes or goes any more."""

    def close(self) -> None:
        """Let go."""
