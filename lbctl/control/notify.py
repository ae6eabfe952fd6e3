"""
Notify: tell systemd how the daemon is doing.

The protocol of sd_notify(3): one datagram to the socket that the environment names.  Without a
service manager it does nothing.
"""

from __future__ import annotations

import logging
import os
import socket

log = logging.getLogger(__name__)


def notify(state: str) -> None:
    """Send *state*, such as ``READY=1``; whoever does not listen misses nothing."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    name = f"\0{path[1:]}" if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
        try:
            manager.sendto(state.encode(), name)
        except OSError as err:
            log.warning("NOTIFY_SOCKET %s: %s", path, err.strerror)
