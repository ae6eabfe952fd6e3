"""The C loop beside lbctl.netif: bench/xdp_socket.c on rings that Python mapped."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from lbctl.errors import LbctlError

if TYPE_CHECKING:
    from lbctl.netif import Interface
    from lbctl.netif.rings import Ring

_SOURCE = Path(__file__).resolve().parent.parent / "xdp_socket.c"


class _Ring(ctypes.Structure):
    _fields_ = (
        ("producer", ctypes.c_void_p),
        ("consumer", ctypes.c_void_p),
        ("flags", ctypes.c_void_p),
        ("rows", ctypes.c_void_p),
        ("mask", ctypes.c_uint64),
    )


class _Port(ctypes.Structure):
    _fields_ = (
        *((name, _Ring) for name in ("fill", "completion", "rx", "tx")),
        ("memory", ctypes.c_void_p),
        ("descriptor", ctypes.c_int64),
        ("batch", ctypes.c_int64),
    )


def compile_loop(folder: Path) -> ctypes.CDLL:
    """Compile the C loop; LbctlError without a compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise LbctlError("cc: not found; `apt install gcc`")
    library = folder / "xdp_socket.so"
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(_SOURCE)]
    subprocess.run(command, check=True)  # noqa: S603 - our own words
    return ctypes.CDLL(str(library))


def _address(view: memoryview) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(view.cast("B")))


def _ring(ring: Ring) -> _Ring:
    words = (ring._producer, ring._consumer, ring._flags)  # noqa: SLF001 - what C needs to see
    return _Ring(*map(_address, words), ring.rows.ctypes.data, ring.size - 1)


class Loop:
    """The C loop in the place of Python on the first port of an interface."""

    def __init__(self, library: ctypes.CDLL, interface: Interface, batch: int) -> None:
        port = interface.ports[0]
        rings = port._rings  # noqa: SLF001
        made = (_ring(ring) for ring in (rings.fill, rings.completion, rings.rx, rings.tx))
        memory = interface.umem.octets.ctypes.data
        self._port = _Port(*made, memory, port.fileno(), batch)
        self._library, self._frames = library, interface.umem.count

    def drop(self) -> int:
        """Receive what there is and drop it; returns packets."""
        return int(self._library.drop(ctypes.byref(self._port)))

    def echo(self) -> int:
        """Receive what there is, turn it around and send it; returns packets."""
        return int(self._library.echo(ctypes.byref(self._port)))

    def transmit(self, count: int, length: int) -> int:
        """Send so many packets; returns them."""
        sizes = (ctypes.c_int64(count), ctypes.c_int64(length), ctypes.c_int64(self._frames))
        return int(self._library.transmit(ctypes.byref(self._port), *sizes))
