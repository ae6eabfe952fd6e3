"""
The notification: tell systemd how the agent fares, by sd_notify(3).

Without NOTIFY_SOCKET in the environment nobody wants to know.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress


def notify(message: str) -> None:
    """Send *message*, such as ``READY=1``; what nobody hears is no failure."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    if path.startswith("@"):
        path = "\0" + path[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.sendto(message.encode(), path)
