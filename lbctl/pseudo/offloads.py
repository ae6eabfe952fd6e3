"""
The offloads: switch off what the switch could not do for a pseudo interface.

XDP loses the mark "checksum still to do", so programs' packets must carry whole ones.  GRO gives
the interface a receive queue, without which nothing can be redirected to it.
"""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct

SIOCETHTOOL = 0x8946
SET_TX_CHECKSUM, SET_GRO = 0x17, 0x2C  # ETHTOOL_STXCSUM, ETHTOOL_SGRO
WANTED = {SET_TX_CHECKSUM: 0, SET_GRO: 1}


def set_up(name: str) -> None:
    """Do that to the NIC *name* of the calling thread's namespace.  Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as anything:
        for command, value in WANTED.items():
            room = ctypes.create_string_buffer(struct.pack("=II", command, value))
            request = struct.pack("16sQ16x", name.encode(), ctypes.addressof(room))
            fcntl.ioctl(anything, SIOCETHTOOL, request)
