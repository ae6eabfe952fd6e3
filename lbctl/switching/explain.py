"""
The explainer: run the real program on one frame, on tables that no packet ever sees.

A second program is compiled with the traces of bpf_src/lb/trace.h and never attached.  It reads the
tables of the instance, but what it writes is its own: counters, traces, and two sets of
connections, into which those that may hold the packet's client are copied.  So the trial tells what
the attached program would do now, and nothing that packets see is changed by it.

    PIN_DIR/explain/
    ├── tables/      the instance's tables, pinned a second time, and those of its own
    └── programs/    the traced program, named as the attached one is
"""

from __future__ import annotations

import errno
import mmap
import os
import platform
import re
import shutil
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lbctl.errors import LbctlError, UsageError
from lbctl.shared import abi, syscall
from lbctl.shared.abi import ConnectionKey, Role, Stage
from lbctl.shared.arrays import Array
from lbctl.switching import program

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from lbctl.shared.clock import Clock
    from lbctl.shared.tables import Capacity, Tables

SETS = 2  # of connections: LB_SET_BITS is 1
WITH_CONTEXT = (5, 15)  # Linux that runs a program as if the frame had come in by some NIC
SHORTEST = 14  # bytes: an Ethernet header
LONGEST = mmap.PAGESIZE - 576  # bytes, as native XDP has them: one page, less what the kernel needs
CLEARED = ("connections", "details", "traces")


@dataclass(frozen=True, slots=True)
class Trial:
    """
    What the program made of a frame, and what it read.

    *out*: the frame afterwards; *traces*: abi.TRACE by stage.  *about*: those of the packet that an
    ICMP error is about.  *before*, *after*: abi.CONNECTION[8], the two sets of the client, and
    *details* beside them.  *service*: the row by which the VIP was found.  *backends* and *hops*:
    rows by index, of all that are named.  *tick*: when it was, and how long one is.
    """

    frame: bytes
    action: int
    out: bytes
    traces: Array
    about: Array | None
    before: Array
    after: Array
    details: Array
    service: np.void | None
    backends: Mapping[int, np.void]
    hops: Mapping[int, np.void]
    tick: int
    tick_seconds: float


class Explainer:
    """The traced program of one instance, made when it is first asked for."""

    def __init__(self, folder: Path, tables: Tables, clock: Clock) -> None:
        self._folder, self._tables, self._clock = folder, tables, clock
        self._lock = threading.Lock()
        self._program = -1
        self._memory: dict[str, Array] = {}
        self.name = ""  # of the program

    def prepare(self, name: str, macros: Mapping[str, int | str]) -> None:
        """
        Have the traced sister of the program *name*, which was compiled with *macros*.

        Compiles unless that was done already, by this process or one before it.
        """
        with self._lock:
            if self.name == name:
                return
            self._let_go()
            path = self._folder / "programs" / name
            if not path.exists():
                self._build(path, macros)
            self._open(path)
            self.name = name

    def run(self, frame: bytes, ifindex: int, about: bytes = b"", queue: int = 0) -> Trial:
        """
        Try a frame that comes in by the NIC *ifindex*; `prepare` must have been called.

        *about*: for an ICMP error, a packet forward of the connection that it is about.  *queue*:
        of the NIC.  Raises UsageError for one that it does not have.
        """
        with self._lock:
            key = self._key_of(frame, ifindex) or (about and self._key_of(about, ifindex))
            told = None
            if about:
                self._begin(key or 0)
                self._try(about, ifindex)
                told = self._memory["traces"].copy()
            self._begin(key or 0)
            before, details = self._entries.copy(), self._memory["details"].copy()
            ran = self._try(frame, ifindex, queue)
            return self._trial(frame, ran, told, before, details)

    def close(self) -> None:
        """Let go; the pins stay."""
        with self._lock:
            self._let_go()

    # -- the tables and the program ----------------------------------------------------------

    def _build(self, path: Path, macros: Mapping[str, int | str]) -> None:
        """Pin all tables anew and compile; the program is the last to be pinned."""
        shutil.rmtree(self._folder, ignore_errors=True)
        folder = self._folder / "tables"
        for needed in (folder, path.parent):
            needed.mkdir(parents=True)
        own = _own(self._tables.capacity)
        for name, (element, entries) in own.items():
            size = element.itemsize
            info = syscall.MapInfo(syscall.ARRAY, 4, size, entries, syscall.MMAPABLE)
            descriptor = syscall.map_create(info, f"lb_{name}")
            syscall.pin(descriptor, folder / name)
            os.close(descriptor)
        for name, descriptor in self._tables.fd.items():
            if name not in own:
                syscall.pin(descriptor, folder / name)
        traced: dict[str, int | str] = {
            "LB_WITH_TRACE": 1,
            "LB_PINS": f'"{folder}"',
            "LB_SET_BITS": 1,
            "LB_CPUS": 1,
        }
        program.compile_program(path, {**macros, **traced})

    def _open(self, path: Path) -> None:
        for name, (element, entries) in _own(self._tables.capacity).items():
            if name in CLEARED:
                descriptor = syscall.get(self._folder / "tables" / name)
                size = -(-element.itemsize * entries // mmap.PAGESIZE) * mmap.PAGESIZE
                area = mmap.mmap(descriptor, size, mmap.MAP_SHARED)
                os.close(descriptor)
                self._memory[name] = np.frombuffer(area, element, entries)
        self._program = syscall.get(path)

    def _let_go(self) -> None:
        self.name = ""
        self._memory.clear()
        if self._program >= 0:
            os.close(self._program)
            self._program = -1

    # -- one trial ---------------------------------------------------------------------------

    @property
    def _entries(self) -> Array:
        return self._memory["connections"]["way"].reshape(-1)

    def _key_of(self, frame: bytes, ifindex: int) -> int:
        """The fingerprint of the client, by letting the program work it out; 0: it did not."""
        self._begin(0)
        self._try(frame, ifindex)
        return int(self._memory["traces"]["key"][Stage.CONNECTION])

    def _begin(self, key: int) -> None:
        """Empty the own tables, but for the connections that may be of that client."""
        for name in CLEARED:
            self._memory[name].view("u1")[:] = 0
        if not key:
            return
        sets = self._tables["connections"]
        for place, number in enumerate((key & (len(sets) - 1), key >> 32 & (len(sets) - 1))):
            first = place * abi.WAYS
            self._memory["connections"][place] = sets[number]
            details = self._tables["details"][number * abi.WAYS :][: abi.WAYS]
            self._memory["details"][first : first + abi.WAYS] = details

    def _try(self, frame: bytes, ifindex: int, queue: int = 0) -> syscall.Run:
        _require_size(frame)
        self._memory["traces"].view("u1")[:] = 0
        context = struct.pack("=6I", 0, len(frame), 0, ifindex, queue, 0)
        try:
            return syscall.test_run(self._program, frame, context=context)
        except OSError as error:
            if queue and error.errno == errno.EINVAL:
                raise UsageError(
                    f"that NIC has no queue {queue} to receive by; see `ethtool -l`"
                ) from error
            raise _refused(error) from error

    def _trial(
        self, frame: bytes, ran: syscall.Run, about: Array | None, before: Array, details: Array
    ) -> Trial:
        traces = self._memory["traces"].copy()
        service = traces[Stage.SERVICE] if about is None else about[Stage.SERVICE]
        after = self._entries.copy()
        rows = [traces] if about is None else [traces, about]
        named = {int(i) for row in rows for name in ("backend", "server") for i in row[name]}
        named |= set(before["backend"].tolist()) | set(after["backend"].tolist())
        named |= {int(traces["previous"][Stage.CONNECTION]) - 1}
        backends = self._backends(named, int(service["buffer"]))
        hops = {int(row["next_hop"]) for row in backends.values()}
        hops |= set(after["next_hop"].tolist())
        table = self._tables["next_hops"]
        return Trial(
            frame,
            ran.action,
            ran.frame,
            traces,
            about,
            before,
            after,
            details,
            self._service(service),
            backends,
            {hop: table[hop].copy() for hop in hops},
            self._clock.jiffies() >> self._clock.shift,
            self._clock.tick_seconds,
        )

    def _service(self, trace: np.void) -> np.void | None:
        """The row of the directory that a packet forward was found by."""
        if not trace["reached"] or trace["service"] == abi.NONE:
            return None
        half = self._half("services", int(trace["buffer"]))
        forward = np.isin(half["role"], (Role.SERVICE, Role.APP))
        found = np.flatnonzero(forward & (half["index"] == trace["service"]))
        row: np.void | None = half[found[0]].copy() if len(found) else None
        return row

    def _backends(self, indices: Iterable[int], buffer: int) -> dict[int, np.void]:
        half = self._half("backends", buffer)
        return {i: half[i].copy() for i in indices if 0 <= i < len(half)}

    def _half(self, name: str, buffer: int) -> Array:
        table = self._tables[name]
        size = len(table) // 2
        return table[buffer * size : (buffer + 1) * size]


def is_used(entry: np.void) -> bool:
    """Whether an entry of the connection table is one, and not being written."""
    return bool(entry["key"] >= ConnectionKey.FIRST)


def _own(capacity: Capacity) -> dict[str, tuple[np.dtype[Any], int]]:
    """The tables that a trial may write: their elements, and how many."""
    return {
        "connections": (abi.CONNECTION_SET, SETS),
        "details": (abi.CONNECTION_DETAIL, SETS * abi.WAYS),
        "verdicts": (abi.COUNTER, abi.NICS_MAX * abi.VERDICTS),
        "traffic": (abi.BACKEND_COUNTER, capacity.backends),
        "reasons": (abi.REASONS, capacity.services + capacity.backends),
        "traces": (abi.TRACE, Stage.MAX),
    }


def _require_size(frame: bytes) -> None:
    """Refuse what the program would not be given whole."""
    if len(frame) < SHORTEST:
        raise UsageError(f"a frame of {len(frame)} bytes: an Ethernet header alone has {SHORTEST}")
    if len(frame) > LONGEST:
        raise UsageError(
            f"a frame of {len(frame)} bytes: XDP takes {LONGEST} at most; what was captured where "
            f"packets are merged (GRO, TSO) never was one frame, so turn that off there"
        )


def _refused(error: OSError) -> LbctlError:
    """Why the kernel would not run the program."""
    release = platform.release()
    match = re.match(r"(\d+)\.(\d+)", release)
    if match and (int(match[1]), int(match[2])) < WITH_CONTEXT:
        wanted = "{}.{}".format(*WITH_CONTEXT)
        return LbctlError(
            f"explain needs Linux {wanted}, and this is {release}; upgrade the kernel"
        )
    return LbctlError(f"the kernel does not run the program: {error.strerror}; see `dmesg`")
