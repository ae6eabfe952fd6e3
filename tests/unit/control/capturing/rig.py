"""A switch whose captures are made by tests: records in a list, instead of a ring."""

# ruff: noqa: D102 - each method does what the real one says

from __future__ import annotations

import os
import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from lbctl.shared import abi
from lbctl.shared.abi import Verdict
from lbctl.shared.tables import Capacity
from tests.unit.control import fakes

if TYPE_CHECKING:
    from lbctl.model import Nic

MAC = bytes.fromhex("020000000002")
CAPACITY = Capacity(backends=fakes.CAPACITY)
SERVICES, BACKENDS = CAPACITY.services, CAPACITY.backends
REDIRECT, DROP = 4, 1


def record(came=b"", leaves=b"", *, verdict=Verdict.TO_BACKEND, time=0, **numbers):
    """A captured packet; *numbers*: service, backend, in_nic, out_nic, came_length."""
    head = np.zeros(1, abi.CAPTURED)
    head["time"], head["verdict"], head["service"], head["backend"] = time, verdict, *2 * [abi.NONE]
    head["came"] = head["came_taken"] = len(came)
    head["leaves"] = head["leaves_taken"] = len(leaves)
    head["action"] = REDIRECT if leaves else DROP
    for name, value in numbers.items():
        head[name.removesuffix("_length")] = value
    return head.tobytes() + came + leaves


class Ring:
    """Hands out what a test puts there."""

    def __init__(self) -> None:
        self.records: list[bytes] = []

    def read(self, most: int) -> list[bytes]:
        found, self.records = self.records[:most], self.records[most:]
        return found


class Capture:
    """The tables of a capture; the descriptor is an event that a test can raise."""

    def __init__(self) -> None:
        self.filter = np.zeros(1, abi.FILTER)
        self.marked = np.zeros(SERVICES + BACKENDS, np.uint64)
        self.ring = Ring()
        self.failure = ""
        self.descriptor = os.eventfd(0)
        self.closed = False

    def put(self, *records: bytes) -> None:
        """Capture these packets."""
        self.ring.records += records
        os.eventfd_write(self.descriptor, 1)

    def close(self) -> None:
        os.close(self.descriptor)
        self.closed = True


class Dataplane(fakes.Dataplane):
    """A switch that can capture."""

    def __init__(self, links: fakes.Links) -> None:
        super().__init__(links)
        self.capacity = CAPACITY
        self.capture: Capture | None = None
        self.running = False
        self.at_start: tuple[bytes, ...] = ()  # what is captured at once

    def attach(self, nic: Nic) -> None:
        super().attach(nic)
        self.nics[nic.name] = replace(self.nics[nic.name], mac=MAC)

    def new_capture(self) -> Capture:
        self._do("new_capture")
        self.capture = Capture()
        return self.capture

    def start_capture(self, made: Capture) -> None:
        self._do("start_capture")
        self.running = True
        made.put(*self.at_start)

    def stop_capture(self) -> None:
        if self.running:
            self._do("stop_capture")
        self.running = False


def blocks(data: bytes) -> list[tuple[int, bytes]]:
    """The blocks of a pcapng file, as kind and body; both lengths must be right."""
    found = []
    while data:
        kind, size = struct.unpack_from("<II", data)
        assert size % 4 == 0
        assert data[size - 4 : size] == data[4:8]
        found.append((kind, data[8 : size - 4]))
        data = data[size:]
    return found
