"""
The system calls: bpf(2) and membarrier(2), which Python's library and Debian's bcc lack.

Numbers and layouts are those of <linux/bpf.h>.  Every function raises OSError with the errno of
the kernel; `prog_load` chains the verifier's last lines to it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import signal
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from lbctl.shared.arrays import Array

_libc = ctypes.CDLL(None, use_errno=True)
_BPF, _MEMBARRIER = {
    "x86_64": (321, 324),
    "aarch64": (280, 283),
    "riscv64": (280, 283),
    "s390x": (351, 356),
    "ppc64le": (361, 365),
}[platform.machine()]

_MAP_CREATE, _LOOKUP, _UPDATE, _DELETE, _NEXT_KEY, _PROG_LOAD, _PIN, _GET = range(8)
_TEST_RUN, _PROG_FD_BY_ID, _INFO_BY_FD, _LINK_CREATE, _LINK_UPDATE = 10, 13, 15, 28, 29
_LINK_FD_BY_ID, _LINK_DETACH = 30, 34
_MEMBARRIER_GLOBAL = 1
_PR_SET_PDEATHSIG = 1
_XDP_PROGRAM, _XDP_ATTACH = 6, 37

ARRAY, DEVMAP, LPM_TRIE, XSKMAP, RINGBUF = 2, 14, 11, 17, 27
NO_PREALLOC, RDONLY_PROG, MMAPABLE = 1, 1 << 7, 1 << 10
XDP_HAS_FRAGS = 1 << 5  # BPF_F_XDP_HAS_FRAGS, of a program
MODE_GENERIC, MODE_NATIVE = 1 << 1, 1 << 2  # XDP_FLAGS_SKB_MODE, XDP_FLAGS_DRV_MODE
ABORTED, DROP, PASS, TX, REDIRECT = range(5)


def _call(command: int, form: str, *values: int | bytes, size: int = 0) -> tuple[int, bytes]:
    """Issue bpf(2) with a packed attribute; returns its result and the attribute afterwards."""
    packed = struct.pack("=" + form, *values)
    attribute = ctypes.create_string_buffer(packed, max(size, len(packed)))
    result = _libc.syscall(_BPF, command, attribute, len(attribute))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result, attribute.raw


def _address(buffer: ctypes.Array[ctypes.c_char] | Array | None) -> int:
    if buffer is None:
        return 0
    if isinstance(buffer, ctypes.Array):
        return ctypes.addressof(buffer)
    return int(buffer.ctypes.data)


def _path(path: Path) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(os.fsencode(path))


class MapInfo(NamedTuple):
    """What a map is, by BPF_OBJ_GET_INFO_BY_FD; sizes in bytes."""

    kind: int
    key_size: int
    value_size: int
    entries: int
    flags: int


def map_create(info: MapInfo, name: str) -> int:
    """Make a map; returns its descriptor."""
    return _call(
        _MAP_CREATE,
        "7I16s5IQ",
        *(info.kind, info.key_size, info.value_size, info.entries, info.flags, 0, 0),
        name.encode()[:15],
        *(0, 0, 0, 0, 0, 0),
    )[0]


def map_info(fd: int) -> MapInfo:
    """Tell what kind of map this is."""
    info = ctypes.create_string_buffer(80)
    _call(_INFO_BY_FD, "IIQ", fd, len(info), _address(info))
    kind, _, key_size, value_size, entries, flags = struct.unpack_from("=6I", info)
    return MapInfo(kind, key_size, value_size, entries, flags)


def map_lookup(fd: int, key: bytes, value_size: int) -> bytes | None:
    """The value of one key, or None."""
    value = ctypes.create_string_buffer(value_size)
    keys = ctypes.create_string_buffer(key, len(key))
    try:
        _call(_LOOKUP, "IIQQQ", fd, 0, _address(keys), _address(value), 0)
    except FileNotFoundError:
        return None
    return value.raw


def map_update(fd: int, key: bytes, value: bytes) -> None:
    """Set one entry."""
    keys = ctypes.create_string_buffer(key, len(key))
    values = ctypes.create_string_buffer(value, len(value))
    _call(_UPDATE, "IIQQQ", fd, 0, _address(keys), _address(values), 0)


def map_delete(fd: int, key: bytes) -> None:
    """Remove one entry; FileNotFoundError if there is none."""
    keys = ctypes.create_string_buffer(key, len(key))
    _call(_DELETE, "IIQQQ", fd, 0, _address(keys), 0, 0)


def map_keys(fd: int, key_size: int) -> list[bytes]:
    """All keys, in the kernel's order."""
    keys: list[bytes] = []
    key: ctypes.Array[ctypes.c_char] | None = None
    while True:
        following = ctypes.create_string_buffer(key_size)
        try:
            _call(_NEXT_KEY, "IIQQQ", fd, 0, _address(key), _address(following), 0)
        except FileNotFoundError:
            return keys
        keys.append(following.raw)
        key = following


def pin(fd: int, path: Path) -> None:
    """Give a map, program or link a name in bpffs."""
    text = _path(path)
    _call(_PIN, "QII", _address(text), fd, 0)


def get(path: Path) -> int:
    """Open what is pinned there; returns a descriptor."""
    text = _path(path)
    return _call(_GET, "QII", _address(text), 0, 0)[0]


def prog_load(instructions: bytes, name: str = "", license_: str = "GPL", flags: int = 0) -> int:
    """Load an XDP program from bytecode; returns its descriptor."""
    code = ctypes.create_string_buffer(instructions, len(instructions))
    terms = ctypes.create_string_buffer(license_.encode())
    log = ctypes.create_string_buffer(1 << 16)

    def load(*log_place: int) -> int:
        values = (_XDP_PROGRAM, len(instructions) // 8, _address(code), _address(terms))
        label = name.encode()[:15]
        form = "IIQQIIQII16s"
        return _call(_PROG_LOAD, form, *values, *log_place, 0, flags, label, size=128)[0]

    try:
        return load(0, 0, 0)  # a log that has no room for all of it is an error by itself
    except OSError as error:
        with contextlib.suppress(OSError):
            os.close(load(1, len(log), _address(log)))
        error.add_note(log.value.decode(errors="replace")[-2000:])
        raise


class ProgramInfo(NamedTuple):
    """
    A loaded program: its number, its tag (hash of its instructions) and its name.

    *verified*: instructions that the verifier followed, of a million that it will (Linux 5.16).
    """

    id: int
    tag: str
    name: str
    verified: int


def prog_info(fd: int) -> ProgramInfo:
    """Tell which program this is."""
    info = ctypes.create_string_buffer(256)
    _call(_INFO_BY_FD, "IIQ", fd, len(info), _address(info))
    identity = struct.unpack_from("=I", info, 4)[0]
    name = info.raw[64:80].split(b"\0")[0].decode(errors="replace")
    verified = struct.unpack_from("=I", info, 216)[0]
    return ProgramInfo(identity, info.raw[8:16].hex(), name, verified)


def prog_by_id(identity: int) -> int:
    """Open a loaded program by its number; returns a descriptor."""
    return _call(_PROG_FD_BY_ID, "III", identity, 0, 0)[0]


class Run(NamedTuple):
    """One PROG_TEST_RUN: XDP's action, the frame afterwards, and ns per run."""

    action: int
    frame: bytes
    duration: int


def test_run(fd: int, frame: bytes, *, repeat: int = 1, context: bytes = b"") -> Run:
    """
    Run a program on a frame, *repeat* times.

    The frame is not restored between the runs.  *context* is a packed struct xdp_md.
    """
    data = ctypes.create_string_buffer(frame, len(frame))
    out = ctypes.create_string_buffer(len(frame) + 256)
    extra = ctypes.create_string_buffer(context, len(context)) if context else None
    _, after = _call(
        _TEST_RUN,
        "IIIIQQIIIIQQIIII",
        *(fd, 0, len(frame), len(out), _address(data), _address(out), repeat, 0),
        *(len(context), 0, _address(extra), 0, 0, 0, 0, 0),
    )
    _, action, _, length = struct.unpack_from("=4I", after)
    return Run(action, out.raw[:length], struct.unpack_from("=I", after, 36)[0])


def link_create(program: int, ifindex: int, flags: int) -> int:
    """Attach an XDP program to a NIC; returns the link.  EBUSY if there is one already."""
    return _call(_LINK_CREATE, "4I", program, ifindex, _XDP_ATTACH, flags, size=48)[0]


def link_update(link: int, program: int) -> None:
    """Put another program in the place of the link's, without a gap."""
    _call(_LINK_UPDATE, "4I", link, program, 0, 0)


def link_detach(link: int) -> None:
    """Take the link's program off its NIC, whoever still holds the link."""
    _call(_LINK_DETACH, "I", link)


class LinkInfo(NamedTuple):
    """A link: its number, its program's number, and the NIC (0: gone)."""

    id: int
    program: int
    ifindex: int


def link_info(fd: int) -> LinkInfo:
    """Tell which link this is."""
    info = ctypes.create_string_buffer(128)
    _call(_INFO_BY_FD, "IIQ", fd, len(info), _address(info))
    _, identity, program, _, ifindex = struct.unpack_from("=5I", info)
    return LinkInfo(identity, program, ifindex)


def die_with_parent() -> None:
    """Let the kernel kill this process when the thread that started it ends."""
    if _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def wait_for_packets() -> None:
    """
    Wait until every program that runs now has ended (an RCU grace period, about 8 ms).

    Of membarrier's commands only the GLOBAL one gives that; the EXPEDITED kinds do not.
    """
    if _libc.syscall(_MEMBARRIER, _MEMBARRIER_GLOBAL, 0, 0) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
