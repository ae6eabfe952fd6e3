"""The TCP check: open a connection, and end it at once by a reset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbctl.control.health.stream import connected

if TYPE_CHECKING:
    from lbctl.control.health.target import Progress, Target
    from lbctl.model import TcpCheck


async def ask(target: Target, check: TcpCheck, progress: Progress) -> str:
    """Succeed as soon as the connection is open."""
    del check, progress
    async with connected(target):
        return "connected"
