"""
The capture: the tables and the program that take packets down, there only while somebody captures.

The program is the plain one with LB_WITH_CAPTURE (bpf_src/lb/capture.h).  Nothing here outlives the
daemon: what one that was killed has left is removed by the next.
"""

from __future__ import annotations

import mmap
import os
import shutil
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lbctl.errors import LbctlError
from lbctl.shared import abi, syscall
from lbctl.shared.ring import Ring
from lbctl.switching import program

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lbctl.shared.arrays import Array
    from lbctl.shared.tables import Capacity

BYTES = 16 << 20  # of the ring: a tenth of a second of 50,000 whole packets a second, twice each
SINCE = "Linux 5.18"


class Capture:
    """One capture: its tables, and the program that fills them."""

    def __init__(self, folder: Path, capacity: Capacity, size: int = BYTES) -> None:
        """Make the tables and pin them in *folder*; *size*: bytes of the ring."""
        self.failure = ""  # why the program is gone, if nobody asked for that
        self.plain = Path()  # the pin of the program that comes back in the end
        self.program = Path()  # and of the one with the capture
        self._folder, self._size = folder, size
        self._fd: dict[str, int] = {}
        remove(folder)
        folder.mkdir()
        try:
            for name, info in _tables(capacity, size).items():
                self._fd[name] = syscall.map_create(info, f"lb_{name}")
                syscall.pin(self._fd[name], folder / name)
            self.filter = _mapped(self._fd["filter"], abi.FILTER, 1)
            self.marked = _mapped(
                self._fd["marked"], np.dtype("<u8"), capacity.services + capacity.backends
            )
            self.ring = Ring.open(self._fd["captures"], size)
        except OSError as error:
            self.close()
            raise LbctlError(
                f"{folder}: cannot make the tables of a capture: {error.strerror}; "
                f"is there enough memory?"
            ) from error

    @property
    def descriptor(self) -> int:
        """What `select` and `epoll` wait for."""
        return self._fd["captures"]

    def build(self, macros: Mapping[str, int | str]) -> Path:
        """Have the program for the features in *macros*; gives its pin.  Raises LbctlError."""
        pin = self._folder / f"switch_{_number(macros):x}"
        if pin != self.program:
            own: dict[str, int | str] = {
                "LB_WITH_CAPTURE": 1,
                "LB_CAPTURE_PINS": f'"{self._folder}"',
                "LB_CAPTURE_BYTES": self._size,
            }
            program.compile_program(pin, {**macros, **own})
            self.program = pin
        return pin

    def unpin(self) -> None:
        """Remove the pins; what was captured can be read still."""
        remove(self._folder)

    def close(self) -> None:
        """Remove all there is."""
        self.unpin()
        if hasattr(self, "ring"):
            self.ring.close()
        while self._fd:
            os.close(self._fd.popitem()[1])


def require_kernel() -> None:
    """Raise LbctlError where the kernel cannot do it: by trying the one function that is new."""
    move, store, call, leave = 0xBF, 0xB7, 0x85, 0x95
    code = (
        (move, 3 | 10 << 4, 0, 0),  # r3: the stack,
        (0x07, 3, 0, -8),  # 8 bytes of it
        (store, 2, 0, 0),
        (store, 4, 0, 1),
        (call, 0, 0, 189),  # bpf_xdp_load_bytes(context, 0, r3, 1)
        (leave, 0, 0, 0),
    )
    try:
        text = b"".join(struct.pack("=BBhi", *instruction) for instruction in code)
        os.close(syscall.prog_load(text, "lb_probe"))
    except OSError as error:
        raise LbctlError(
            f"this kernel ({os.uname().release}) cannot show packets to a capture; "
            f"that takes {SINCE} or later"
        ) from error


def remove(folder: Path) -> None:
    """Remove the pins of a capture, whoever made them."""
    shutil.rmtree(folder, ignore_errors=True)


def _number(macros: Mapping[str, int | str]) -> int:
    """The features of *macros* as one number."""
    chosen = [macros[name] for name in sorted(macros) if name.startswith("LB_WITH_")]
    return sum(1 << bit for bit, on in enumerate(chosen) if on)


def _tables(capacity: Capacity, size: int) -> dict[str, syscall.MapInfo]:
    def array(value: int, entries: int) -> syscall.MapInfo:
        return syscall.MapInfo(syscall.ARRAY, 4, value, entries, syscall.MMAPABLE)

    return {
        "filter": array(abi.FILTER.itemsize, 1),
        "marked": array(8, capacity.services + capacity.backends),
        "rooms": array(abi.CAPTURED.itemsize + 2 * abi.SNAP, capacity.macros()["LB_CPUS"]),
        "captures": syscall.MapInfo(syscall.RINGBUF, 0, 0, size, 0),
    }


def _mapped(descriptor: int, element: np.dtype[Any], entries: int) -> Array:
    size = -(-element.itemsize * entries // mmap.PAGESIZE) * mmap.PAGESIZE
    return np.frombuffer(mmap.mmap(descriptor, size, mmap.MAP_SHARED), element, entries)
