"""
The forms of a capture: a pcapng file for Wireshark, or JSON, an object a line.

A record is a struct lb_captured with the frame behind it, as it came and as it left.  Made for many
packets a second: what is told beside a packet is put together once for all that are alike.
"""

from __future__ import annotations

import json
import platform
import struct
import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from lbctl import __version__
from lbctl.control.capturing import headers, pcapng
from lbctl.shared import abi
from lbctl.shared.abi import VERDICT_NOTES, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lbctl.control.capturing.names import Fate, Names

# time, came, leaves, came_taken, leaves_taken; what follows, up to `liked`, is the packet's fate
_RECORD = struct.Struct("<QIIHH")
_FATE, _FRAMES = slice(20, 28), abi.CAPTURED.itemsize
_NUMBERS = struct.Struct("<HH4B")
_FATE_NAMES = ("service", "backend", "verdict", "in_nic", "out_nic", "action")


class Form(Protocol):
    """Makes bytes of what was captured."""

    media: str

    def head(self) -> bytes:
        """What comes first."""

    def packets(self, records: Iterable[bytes]) -> bytes:
        """These packets."""

    def forget(self) -> None:
        """Look names up anew."""

    def status(self, missed: int, why: str = "") -> bytes:
        """How many packets there were, and *missed*; *why* it is over."""


class _Common:
    """What the forms have in common: time, number and fate of a packet."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._number = 0
        # The kernel counts from its start.
        self._epoch = time.time_ns() - time.clock_gettime_ns(time.CLOCK_MONOTONIC)

    def _fate(self, numbers: bytes) -> Fate:
        return self._names.fate(**dict(zip(_FATE_NAMES, _NUMBERS.unpack(numbers), strict=True)))


class Lines(_Common):
    """JSON, an object a line: a packet, or at the end how many there were."""

    media = "application/x-ndjson"

    def head(self) -> bytes:
        """Nothing."""
        return b""

    def forget(self) -> None:
        """Nothing is kept."""

    def packets(self, records: Iterable[bytes]) -> bytes:
        """A line for each."""
        return b"".join(map(self._line, records))

    def status(self, missed: int, why: str = "") -> bytes:
        """A line without a packet."""
        told = {"captured": self._number, "missed": missed, "ended": why}
        return json.dumps(told).encode() + b"\n"

    def _line(self, record: bytes) -> bytes:
        when, came, leaves, taken, left = _RECORD.unpack_from(record)
        fate, end = self._fate(record[_FATE]), _FRAMES + taken
        self._number += 1
        row = {
            "number": self._number,
            "time": iso(when + self._epoch),
            "nic": fate.nic,
            **_described(record[_FRAMES:end], came),
            **{k: v for k, v in fate._asdict().items() if k not in ("nic", "out_nic")},
            "out_nic": fate.out_nic,
            "leaves": _described(record[end : end + left], leaves) if leaves else None,
        }
        return json.dumps(row).encode() + b"\n"


class Pcapng(_Common):
    """A file for Wireshark: each packet as it came, and, if it left, as it left."""

    media = pcapng.MEDIA

    def __init__(
        self, names: Names, comment: str, snap: int, received: Callable[[], Counter[int]]
    ) -> None:
        """*received*: packets that came to each NIC, by slot, since it was attached."""
        super().__init__(names)
        self._comment, self._snap, self._received = comment, snap, received
        self._ids: dict[tuple[int, str], int] = {}  # slot and name -> number in the file
        self._packets: Counter[int] = Counter()  # by number in the file
        self._known: dict[bytes, tuple[int, bytes, int, bytes]] = {}
        self._started, self._before = time.time_ns(), received()

    def head(self) -> bytes:
        """The section, and the NICs that there are."""
        system = f"{platform.system()} {platform.release()}"
        out = [pcapng.section(system, f"lbctl {__version__}", self._comment)]
        for slot in sorted(self._names.nics):
            self._id(slot, out)
        return b"".join(out)

    def forget(self) -> None:
        """Look names up anew."""
        self._known.clear()

    def packets(self, records: Iterable[bytes]) -> bytes:
        """One or two blocks for each."""
        out: list[bytes] = []
        block, known, epoch, number = pcapng.packet, self._known, self._epoch, self._number
        for record in records:
            when, came, leaves, taken, left = _RECORD.unpack_from(record)
            fate = record[_FATE]
            nic, told, out_nic, told_out = known.get(fate) or self._learn(fate, out)
            when, number, end = when + epoch, number + 1, _FRAMES + taken
            self._packets[nic] += 1
            out.append(block(nic, when, record[_FRAMES:end], came, told, number))
            if leaves:
                frame = record[end : end + left]
                out.append(block(out_nic, when, frame, leaves, told_out, number))
        self._number = number
        return b"".join(out)

    def status(self, missed: int, why: str = "") -> bytes:
        """Statistics of each NIC; nobody knows by which one the missed packets came."""
        received, now = self._received(), time.time_ns()
        out = []
        for (slot, _), nic in self._ids.items():
            shared = "missed packets are those of all NICs" if missed and not nic else ""
            out.append(
                pcapng.statistics(
                    nic,
                    started=self._started,
                    ended=now,
                    received=max(received[slot] - self._before[slot], self._packets[nic]),
                    delivered=self._packets[nic],
                    missed=0 if nic else missed,
                    comment="; ".join(filter(None, (why, shared))),
                )
            )
        return b"".join(out)

    def _learn(self, numbers: bytes, out: list[bytes]) -> tuple[int, bytes, int, bytes]:
        """What is told beside packets of one fate, where they come in and where they leave."""
        fate, (*_, in_slot, out_slot, action) = self._fate(numbers), _NUMBERS.unpack(numbers)
        words = [f"verdict: {fate.verdict}"]
        words += [f"pool {fate.pool}"] if fate.pool else []
        words += [f"app {fate.app}"] if fate.app else []
        words += [f"back-end {fate.backend}"] if fate.backend else []
        nic, out_nic, told_out = self._id(in_slot, out), 0, b""
        here = [*words, f"out {fate.out_nic}"] if fate.out_nic else words
        if fate.out_nic:
            out_nic = self._id(out_slot, out)
            there = ", ".join([*words, f"in {fate.nic}"])
            told_out = pcapng.beside(pcapng.OUTBOUND, action, there)
        told = pcapng.beside(pcapng.INBOUND, action, ", ".join(here) + _note(fate.verdict))
        self._known[numbers] = nic, told, out_nic, told_out
        return self._known[numbers]

    def _id(self, slot: int, out: list[bytes]) -> int:
        """The number of a NIC in the file, which may hear of it only now."""
        place = self._names.nic(slot)
        key = slot, place.name
        if key not in self._ids:
            self._ids[key] = len(self._ids)
            told = f"lbctl, {place.mode} mode"
            out.append(pcapng.interface(place.name, told, place.mac, self._snap))
        return self._ids[key]


def iso(nanoseconds: int) -> str:
    """A time since 1970 as ISO 8601, UTC, with all its digits."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


def _described(frame: bytes, length: int) -> dict[str, str | int]:
    return {**headers.read(frame)._asdict(), "bytes": length}


def _note(verdict: str) -> str:
    """What a verdict means: told where a packet went nowhere, for then somebody asks."""
    return f" ({VERDICT_NOTES[Verdict[verdict]]})" if verdict.startswith("DROP_") else ""
