"""
The clock of the switching processors: ticks of about a second, taken from the kernel's jiffies.

Reading jiffies costs a packet 1 ns (bpf_ktime_get_ns: 41), but how many make a second is a secret
of the kernel's build, so it is measured once.  A tick is a power of two of jiffies.
"""

from __future__ import annotations

import math
import os
import struct
import time

from lbctl.shared import syscall

_HZ = (100, 250, 300, 1000)  # what CONFIG_HZ can be
_CALL, _EXIT, _JIFFIES64 = 0x85, 0x95, 118
_SAMPLE_SECONDS = 0.1
_FRAME = bytes(64)


class Clock:
    """Reads the jiffies by running a program of two instructions."""

    def __init__(self) -> None:
        code = struct.pack("=BBhi", _CALL, 0, 0, _JIFFIES64) + struct.pack("=BBhi", _EXIT, 0, 0, 0)
        self._program = syscall.prog_load(code, "lb_clock")
        self.hz = self._measure()
        self.shift = round(math.log2(self.hz))
        self.tick_seconds = (1 << self.shift) / self.hz

    def close(self) -> None:
        """Let go of the program."""
        os.close(self._program)

    def jiffies(self) -> int:
        """The low 32 bits of the kernel's jiffies."""
        return syscall.test_run(self._program, _FRAME).action

    def now(self) -> int:
        """The present tick, 0 to 65535, as connections hold it."""
        return (self.jiffies() >> self.shift) & 0xFFFF

    def ticks(self, seconds: float) -> int:
        """At least so many seconds, in ticks."""
        return max(1, min(0xFFFE, -int(-seconds // self.tick_seconds)))

    def _measure(self) -> int:
        started, first = time.monotonic(), self.jiffies()
        time.sleep(_SAMPLE_SECONDS)
        passed, rate = time.monotonic() - started, self.jiffies() - first
        return min(_HZ, key=lambda hz: abs((rate & 0xFFFFFFFF) / passed / hz - 1))
