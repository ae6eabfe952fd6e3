"""
The probing: send SYNs to certain MACs, and hear what comes back by the switch.

A packet socket sends past routes and tables, and hears what the switching processors leave to the
kernel, before any filter of it: that is what answers such a SYN, for no connection is known.
"""

from __future__ import annotations

import contextlib
import ctypes
import select
import socket
import struct
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from lbctl.control.preflight.facts import Answer
from lbctl.control.preflight.segments import ETHERNET, HEADER, IPV4, IPV6, RST, SYN, TCP, read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lbctl.control.preflight.segments import Probe
    from lbctl.model import IPAddress, SocketAddress

ATTACH_FILTER = 26  # SO_ATTACH_FILTER
TIMES = 3  # a SYN is sent, while nothing answers
PAUSE = 0.35  # seconds between two, and after the last
BURST = 128  # frames sent before listening again
FRAME = 256  # bytes of a frame that are looked at


def ask(probes: Sequence[Probe]) -> list[Answer] | None:
    """What answers each probe; None where packet sockets are not permitted.  About a second."""
    try:
        with ExitStack() as stack:
            return _ask(probes, stack)
    except PermissionError:
        return None


def _ask(probes: Sequence[Probe], stack: ExitStack) -> list[Answer]:
    ears = [stack.enter_context(_ear(kind, version)) for version, kind in ((4, IPV4), (6, IPV6))]
    mouth = stack.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
    wanted = {(probe.destination, probe.source): number for number, probe in enumerate(probes)}
    answers = [Answer.SILENT] * len(probes)
    for _ in range(TIMES):
        silent = [n for n, answer in enumerate(answers) if answer is Answer.SILENT]
        for begin in range(0, len(silent), BURST):
            for number in silent[begin : begin + BURST]:
                _send(mouth, probes[number].nic, probes[number].syn())
            _hear(ears, wanted, answers, 0)
        _hear(ears, wanted, answers, PAUSE)
    for probe, answer in zip(probes, answers, strict=True):
        if answer is not Answer.REFUSED:
            _send(mouth, probe.nic, probe.reset())
    return answers


def _hear(
    ears: Sequence[socket.socket],
    wanted: Mapping[tuple[SocketAddress, SocketAddress], int],
    answers: list[Answer],
    patience: float,
) -> None:
    """Take what comes within *patience* seconds, or until all have answered."""
    deadline = time.monotonic() + patience
    while True:
        left = max(0.0, deadline - time.monotonic())
        ready, _, _ = select.select(ears, [], [], left)
        for ear in ready:
            heard = read(ear.recv(FRAME))
            if heard and (number := wanted.get((heard.source, heard.target))) is not None:
                answers[number] = heard.answer
        if Answer.SILENT not in answers or not (ready or left):
            return


def _send(mouth: socket.socket, nic: str, frame: bytes) -> None:
    with contextlib.suppress(OSError):  # the NIC has just gone, or its queue is full
        mouth.sendto(frame, (nic, 0))


def _ear(kind: int, version: int) -> socket.socket:
    """A socket that hears the TCP segments with SYN or RST that reach the kernel, by any NIC."""
    ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(kind))
    try:
        _keep_only(ear, version)
    except BaseException:
        ear.close()
        raise
    return ear


def _keep_only(ear: socket.socket, version: int) -> None:
    """Have the kernel pass over all else: a program for its old packet filter (BPF of 1993)."""
    protocol = ETHERNET + 9 if version == 4 else ETHERNET + 6
    flags = ETHERNET + HEADER[version] + 13
    load, equal, any_bit, end = 0x30, 0x15, 0x45, 0x06
    steps = [
        (load, 0, 0, protocol),
        (equal, 0, 3, TCP),
        (load, 0, 0, flags),
        (any_bit, 0, 1, SYN | RST),
        (end, 0, 0, FRAME),
        (end, 0, 0, 0),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    ear.setsockopt(
        socket.SOL_SOCKET,
        ATTACH_FILTER,
        struct.pack("@HP", len(steps), ctypes.addressof(code)),
    )


class Ports:
    """Local ports that nobody else uses while they are held."""

    def __init__(self) -> None:
        self._held = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def take(self, address: IPAddress) -> int | None:
        """A port of an address of ours; None: it is not ours any more."""
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        plug = self._held.enter_context(socket.socket(family, socket.SOCK_STREAM))
        try:
            plug.bind((str(address), 0))
        except OSError:
            return None
        port: int = plug.getsockname()[1]
        return port
