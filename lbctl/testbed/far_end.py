"""
The far end: give the other ends of the switch's cables the XDP program that veth wants there.

Two instructions, loaded as they are: no compiler is needed.  They are attached by netlink and not
by a link, so that they live as long as the NIC and no longer.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING

from pyroute2 import IPRoute

from lbctl.errors import LbctlError
from lbctl.shared import syscall

if TYPE_CHECKING:
    from collections.abc import Iterable

MOVE, EXIT, RESULT = 0xB7, 0x95, 0  # dst = immediate; return; register r0
PROGRAM = struct.pack("=BBhiBBhi", MOVE, RESULT, 0, syscall.PASS, EXIT, 0, 0, 0)


def pass_everything(nics: Iterable[str]) -> None:
    """Give these NICs of the calling thread's namespace a program that passes every packet."""
    program = _load()
    try:
        with IPRoute() as netlink:
            for nic in nics:
                netlink.link("set", index=socket.if_nametoindex(nic), xdp_fd=program)
    finally:
        os.close(program)


def _load() -> int:
    """Load it so that jumbo frames may come, where the kernel has them (Linux 5.18)."""
    try:
        try:
            return syscall.prog_load(PROGRAM, "testbed_pass", flags=syscall.XDP_HAS_FRAGS)
        except PermissionError:
            raise
        except OSError:
            return syscall.prog_load(PROGRAM, "testbed_pass")
    except PermissionError as error:
        raise LbctlError("loading a BPF program is not permitted; run it with `sudo`") from error
