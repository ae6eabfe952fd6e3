"""The generator: packets out of a NIC as fast as one CPU can make them, by live test runs."""

from __future__ import annotations

import ctypes
import os
import struct
import time
from typing import TYPE_CHECKING

from bench.support import bytecode
from bench.support.report import WrongVerdict
from lbctl.shared import syscall
from lbctl.testbed import namespaces

if TYPE_CHECKING:
    from typing import Self

    from bench.support.harness import Harness, Traffic

_TEST_RUN, _LIVE_FRAMES = 10, 1 << 1
_PATIENCE = 2.0  # seconds for the last packets to arrive


class Sink:
    """Takes all packets of a NIC away, and counts them."""

    def __init__(self, namespace: str, nic: int) -> None:
        info = syscall.MapInfo(syscall.ARRAY, 4, 8, 1, 0)
        self._counter = syscall.map_create(info, "bench_sink")
        program = bytecode.sink(self._counter)
        self._link = namespaces.call(
            namespace, lambda: syscall.link_create(program, nic, syscall.MODE_NATIVE)
        )
        os.close(program)

    @property
    def packets(self) -> int:
        """So far."""
        value = syscall.map_lookup(self._counter, bytes(4), 8)
        return int.from_bytes(value or b"", "little")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Let the packets through again."""
        syscall.link_detach(self._link)
        os.close(self._link)
        os.close(self._counter)


class Generator:
    """Sends what the wrapper makes by one NIC."""

    def __init__(self, wrapper: Harness, namespace: str, nic: int) -> None:
        self._wrapper, self._namespace, self._nic = wrapper, namespace, nic
        self._transmit = bytecode.floor()

    def send(self, traffic: Traffic, count: int, sink: Sink) -> float:
        """
        Send *count* packets; returns how many came to the sink in a second of CPU time.

        Raises WrongVerdict if not all of them did.
        """
        self._wrapper.prepare(traffic)
        self._wrapper.use(self._transmit)
        before = sink.packets
        seconds = namespaces.call(self._namespace, lambda: self._live(traffic, count))
        deadline = time.monotonic() + _PATIENCE
        while (arrived := sink.packets - before) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        if arrived < count:  # more: the kernel's own
            raise WrongVerdict(f"of {count} packets sent {arrived} arrived")
        return count / seconds

    def _live(self, traffic: Traffic, count: int) -> float:
        """
        Run the wrapper with frames that really leave; returns the seconds of CPU that it took.

        The softirqs of all NICs on the way run in this very thread.
        """
        frame = traffic.frame()
        data = ctypes.create_string_buffer(frame, len(frame))
        md = struct.pack("=6I", 0, len(frame), 0, self._nic, 0, 0)
        context = ctypes.create_string_buffer(md, len(md))
        started = time.thread_time()
        syscall._call(  # noqa: SLF001 - the library has no use for live frames
            _TEST_RUN,
            "IIIIQQIIIIQQIIII",
            *(self._wrapper.program, 0, len(frame), 0, ctypes.addressof(data), 0, count, 0),
            *(len(md), 0, ctypes.addressof(context), 0, _LIVE_FRAMES, 0, 0, 0),
        )
        return time.thread_time() - started
