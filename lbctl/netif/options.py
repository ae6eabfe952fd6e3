"""
The options: ask an AF_XDP socket for what makes it faster, and what it is.

Numbers are those of <linux/if_xdp.h> and <asm-generic/socket.h>.
"""

from __future__ import annotations

import socket
import struct
from contextlib import suppress

AF_XDP, SOL_XDP = 44, 283
MMAP_OFFSETS, RX_RING, TX_RING, UMEM_REG, FILL_RING, COMPLETION_RING, STATISTICS, OPTIONS = range(
    1, 9
)
_ZERO_COPY = 1
_SO_BUSY_POLL, _SO_INCOMING_NAPI_ID, _SO_PREFER_BUSY_POLL, _SO_BUSY_POLL_BUDGET = 46, 56, 69, 70


def prefer_busy_poll(plug: socket.socket, microseconds: int, budget: int = 64) -> None:
    """
    Have the kernel run the NIC's NAPI context in our calls instead of in its interrupt.

    It needs CAP_NET_ADMIN, and has an effect only where there is such a context (`napi_id`).
    """
    with suppress(OSError):
        plug.setsockopt(socket.SOL_SOCKET, _SO_PREFER_BUSY_POLL, 1)
        plug.setsockopt(socket.SOL_SOCKET, _SO_BUSY_POLL, microseconds)
        plug.setsockopt(socket.SOL_SOCKET, _SO_BUSY_POLL_BUDGET, budget)


def napi_id(plug: socket.socket) -> int:
    """The NAPI context that the last packet came by; 0: none, as with veth."""
    with suppress(OSError):
        return plug.getsockopt(socket.SOL_SOCKET, _SO_INCOMING_NAPI_ID)
    return 0


def busy_polls(plug: socket.socket) -> bool:
    """Whether the socket prefers busy polling, and packets came by a NAPI context."""
    with suppress(OSError):
        wanted = plug.getsockopt(socket.SOL_SOCKET, _SO_PREFER_BUSY_POLL)
        return bool(wanted) and napi_id(plug) != 0
    return False


def is_zero_copy(plug: socket.socket) -> bool:
    """Whether a bound socket's NIC writes into the memory itself."""
    flags = struct.unpack("=I", plug.getsockopt(SOL_XDP, OPTIONS, 4))[0]
    return bool(flags & _ZERO_COPY)
