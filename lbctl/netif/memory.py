"""
The memory: make and check the sealed memfds that lbctld and an application share.

A seal keeps either side from shrinking it under the other, who would die of a bus error.
"""

from __future__ import annotations

import fcntl
import os

from lbctl.errors import LbctlError

_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


def create(size: int, name: str) -> int:
    """Make zeroed memory of *size* bytes that nobody can resize; returns its descriptor."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.truncate(descriptor, size)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    except OSError as error:
        os.close(descriptor)
        raise LbctlError(f"{size} bytes of shared memory: {error.strerror}") from error
    return descriptor


def check(descriptor: int, size: int, what: str) -> None:
    """Refuse a descriptor that is not memory of just this size which nobody can shrink."""
    try:
        seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
        found = os.fstat(descriptor).st_size
    except OSError:
        raise LbctlError(f"{what}: the descriptor is not shared memory") from None
    if found != size or not seals & fcntl.F_SEAL_SHRINK:
        raise LbctlError(f"{what}: {found} bytes, sealed {seals:#x}; it must be {size}, sealed")
