"""
An XDP program by hand that gives every packet to AF_XDP sockets, for tests without lbctld.

It redirects by an XSKMAP, entry = receive queue; what has no socket there goes to the kernel.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
from dataclasses import dataclass

from lbctl.shared import syscall

XSKMAP = 17
_HAS_FRAGS = 1 << 5  # BPF_F_XDP_HAS_FRAGS, Linux 5.18
_PROG_LOAD, _XDP = 5, 6
_RX_QUEUE = 16  # offset in struct xdp_md
# opcodes: <linux/bpf.h>
_LOAD32_MEMORY, _LOAD64, _MOVE, _CALL, _EXIT = 0x61, 0x18, 0xB7, 0x85, 0x95
_REDIRECT_MAP = 51


def _instruction(code, to=0, of=0, offset=0, value=0):
    return struct.pack("=BBhi", code, of << 4 | to, offset, value)


def _code(sockets):
    """Return bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_PASS)."""
    return b"".join(
        (
            _instruction(_LOAD32_MEMORY, 2, 1, _RX_QUEUE),
            _instruction(_LOAD64, 1, 1, 0, sockets),
            _instruction(0),
            _instruction(_MOVE, 3, value=syscall.PASS),
            _instruction(_CALL, value=_REDIRECT_MAP),
            _instruction(_EXIT),
        )
    )


def load(sockets, *, frags=True):
    """Load the program for a map; *frags*: it takes packets of several buffers."""
    if not frags:
        return syscall.prog_load(_code(sockets), "to_sockets")
    code = ctypes.create_string_buffer(_code(sockets))
    terms = ctypes.create_string_buffer(b"GPL")
    return syscall._call(
        _PROG_LOAD,
        "IIQQIIQII16s",
        *(_XDP, (len(code) - 1) // 8, ctypes.addressof(code), ctypes.addressof(terms)),
        *(0, 0, 0, 0, _HAS_FRAGS, b"to_sockets"),
        size=128,
    )[0]


@dataclass
class Redirect:
    """The program on one NIC, and its map."""

    sockets: int

    def give(self, port):
        """Let the port's queue go to it."""
        key, value = port.queue.to_bytes(4, "little"), port.fileno().to_bytes(4, "little")
        syscall.map_update(self.sockets, key, value)

    def take(self, queue=0):
        """Let that queue go to the kernel."""
        syscall.map_delete(self.sockets, queue.to_bytes(4, "little"))


@contextlib.contextmanager
def redirecting(nic, *, frags=True):
    """Have the program on a NIC of this thread's namespace, in native mode."""
    descriptors = []
    try:
        kind = syscall.MapInfo(XSKMAP, 4, 4, 64, 0)
        descriptors.append(syscall.map_create(kind, "sockets"))
        descriptors.append(load(descriptors[0], frags=frags))
        index = socket.if_nametoindex(nic)
        descriptors.append(syscall.link_create(descriptors[1], index, syscall.MODE_NATIVE))
        yield Redirect(descriptors[0])
    finally:
        for descriptor in reversed(descriptors):
            os.close(descriptor)
