"""
The user-level network interface: lbctl.netif beside C on the same rings, and beside sockets.

One veth pair, everything on one CPU and in one thread: live test runs send bursts by its far end,
which drops what comes back.  Ways take turns; their ratios are each of one round.  Sender and
kernel are in the figures, as they would be with any of the ways; "application" leaves out what
happens before the application is called: the sender, and the kernel's way to a ring or a socket.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.support import bytecode, machine
from bench.support.generator import Sink
from bench.support.harness import UDP, Traffic
from bench.support.pingpong import latencies
from bench.support.report import Report, Row, WrongVerdict
from bench.support.xdp_socket import Loop, compile_loop
from lbctl import netif
from lbctl.netif.direct import facts
from lbctl.netif.headers import UDP4
from lbctl.shared import syscall
from lbctl.testbed import namespaces
from tests.support import xdp

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator

_NEAR, _FAR, _ADDRESS, _PORT = "near", "far", "203.0.113.10", 7
_BURST, _BURSTS, _FRAMES, _BATCH = 1024, 100, 8192, 256
_TEST_RUN, _LIVE_FRAMES = 10, 2
_PATIENCE = 2.0
_WORKS = ("receive", "echo", "transmit")


@contextlib.contextmanager
def _cable() -> Iterator[str]:
    """A namespace with both ends; nothing of it is left."""
    name = f"lbctl-bench-{os.getpid()}-netif"
    namespaces.create(name)
    try:
        queues = "numtxqueues 1 numrxqueues 1"
        lines = [f"link add {_NEAR} {queues} type veth peer name {_FAR} {queues}"]
        lines += [f"link set {nic} up" for nic in ("lo", _NEAR, _FAR)]
        lines += [f"address add {_ADDRESS}/24 dev {_NEAR}"]
        namespaces.ip(name, lines)
        off = {"net.ipv6.conf.all.disable_ipv6": 1, "net.ipv4.conf.all.rp_filter": 0}
        namespaces.sysctl(name, off)
        namespaces.offloads(name, (_NEAR, _FAR), tx_checksum=False, gro=True)
        yield name
    finally:
        namespaces.delete(name)


class Bursts:
    """Sends the same UDP packet by the far end, again and again."""

    def __init__(self) -> None:
        mac = bytes.fromhex(facts(_NEAR).mac.replace(":", ""))
        self.frame = _packet(mac)
        self._program = bytecode.floor()
        self._data = ctypes.create_string_buffer(self.frame, len(self.frame))
        context = struct.pack("=6I", 0, len(self.frame), 0, socket.if_nametoindex(_FAR), 0, 0)
        self._context = ctypes.create_string_buffer(context, len(context))

    def __call__(self, count: int = _BURST) -> None:
        """Send so many; they have arrived when it returns, as softirqs run in this thread."""
        syscall._call(  # noqa: SLF001 - the library has no use for live frames
            _TEST_RUN,
            "IIIIQQIIIIQQIIII",
            *(self._program, 0, len(self.frame), 0, ctypes.addressof(self._data), 0, count, 0),
            *(24, 0, ctypes.addressof(self._context), 0, _LIVE_FRAMES, 0, 0, 0),
        )


def _packet(mac: bytes) -> bytes:
    """One UDP packet from a neighbor; its UDP checksum is none."""
    traffic = Traffic(protocol=UDP, port=_PORT, destination_mac=mac)
    head = bytearray(traffic.frame()[:26]) + socket.inet_aton("203.0.113.7")
    head += socket.inet_aton(_ADDRESS) + struct.pack("!4H", 1234, _PORT, 26, 0) + bytes(18)
    words = np.frombuffer(bytes(head[14:24] + bytes(2) + head[26:34]), ">u2").sum(dtype=np.uint32)
    head[24:26] = struct.pack("!H", ~(int(words & 0xFFFF) + int(words >> 16)) & 0xFFFF)
    return bytes(head)


def _timed(bursts: Bursts | None, step: Callable[[], int]) -> tuple[float, float]:
    """
    Packets in a second of CPU time: of all, and of the application and its calls alone.

    *step* takes what a burst brought, or sends as many.
    """
    begin, own = time.thread_time(), 0.0
    for _ in range(_BURSTS):
        if bursts:
            bursts()
        mine = time.thread_time()
        done, deadline = step(), time.monotonic() + _PATIENCE
        while done < _BURST:
            if time.monotonic() > deadline:
                raise WrongVerdict(f"of {_BURST} packets {done} came")
            done += step()
        own += time.thread_time() - mine
    packets = _BURST * _BURSTS
    return packets / (time.thread_time() - begin), packets / own


# -- the ways ----------------------------------------------------------------------------------


def _python(interface: netif.Interface) -> dict[str, Callable[[], int]]:
    (port,) = interface.ports

    def drop() -> int:
        done = 0
        while count := len(batch := port.receive(_BATCH)):
            batch.drop()
            done += count
        return done

    def echo() -> int:
        done = 0
        while len(batch := port.receive(_BATCH)):
            lines = batch.lines(UDP4)
            netif.turn_around(lines)
            batch.write(lines)
            done += port.transmit(batch)
        return done

    def transmit() -> int:
        return sum(port.transmit(interface.allocate(_BATCH, 60)) for _ in range(_BURST // _BATCH))

    return {"receive": drop, "echo": echo, "transmit": transmit}


def _c(interface: netif.Interface, library: ctypes.CDLL) -> dict[str, Callable[[], int]]:
    loop = Loop(library, interface, _BATCH)
    return {
        "receive": loop.drop,
        "echo": loop.echo,
        "transmit": lambda: loop.transmit(_BURST, 60),
    }


def _packet_socket(plug: socket.socket, frame: bytes) -> dict[str, Callable[[], int]]:
    def echo() -> int:
        done = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                data = plug.recv(2048)
                plug.send(
                    data[6:12]
                    + data[:6]
                    + data[12:26]
                    + data[30:34]
                    + data[26:30]
                    + data[36:38]
                    + data[34:36]
                    + data[38:]
                )
                done += 1
        return done

    return {"receive": lambda: _drain(plug), "echo": echo, "transmit": lambda: _flood(plug, frame)}


def _udp_socket(plug: socket.socket) -> dict[str, Callable[[], int]]:
    client = ("203.0.113.7", 1234)

    def echo() -> int:
        done = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                plug.sendto(*plug.recvfrom(2048))
                done += 1
        return done

    def transmit() -> int:
        for _ in range(_BURST):
            plug.sendto(bytes(18), client)
        return _BURST

    return {"receive": lambda: _drain(plug), "echo": echo, "transmit": transmit}


def _drain(plug: socket.socket) -> int:
    done = 0
    with contextlib.suppress(BlockingIOError):
        while plug.recv(2048):
            done += 1
    return done


def _flood(plug: socket.socket, frame: bytes) -> int:
    for _ in range(_BURST):
        plug.send(frame)
    return _BURST


@contextlib.contextmanager
def _rings(frame: bytes) -> Iterator[netif.Interface]:
    with xdp.redirecting(_NEAR) as program, netif.direct({_NEAR: [0]}, _FRAMES) as interface:
        program.give(interface.ports[0])
        start = interface.umem.octets.reshape(_FRAMES, -1)
        start[:, 256 : 256 + len(frame)] = np.frombuffer(frame, np.uint8)
        yield interface


@contextlib.contextmanager
def _socket(family: int, kind: int, where: tuple[Any, ...]) -> Iterator[socket.socket]:
    with socket.socket(family, kind) as plug:
        plug.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)  # SO_RCVBUFFORCE
        plug.bind(where)
        plug.settimeout(0)
        yield plug


def _way(way: str, bursts: Bursts, library: ctypes.CDLL) -> dict[str, tuple[float, float]]:
    """The works of one way, as `_timed` has it."""
    with contextlib.ExitStack() as stack:
        if way in ("netif", "C"):
            interface = stack.enter_context(_rings(bursts.frame))
            # before the interface: what C did to the rings is unknown to it
            stack.callback(interface.ports[0].close)
            works = _python(interface) if way == "netif" else _c(interface, library)
        elif way == "AF_PACKET":
            where = (_NEAR, 0x0800)
            plug = stack.enter_context(_socket(socket.AF_PACKET, socket.SOCK_RAW, where))
            works = _packet_socket(plug, bursts.frame)
        else:
            where = (_ADDRESS, _PORT)
            plug = stack.enter_context(_socket(socket.AF_INET, socket.SOCK_DGRAM, where))
            works = _udp_socket(plug)
        return {
            work: _timed(None if work == "transmit" else bursts, works[work]) for work in _WORKS
        }


_WAYS = {"netif": None, "C": 0.8, "AF_PACKET": 10, "UDP": 10}


def _measure(name: str, rounds: int, library: ctypes.CDLL) -> dict[tuple[str, str], list[float]]:
    namespaces.enter(name)
    neighbor = f"neighbor replace 203.0.113.7 lladdr 02:00:00:00:00:07 dev {_NEAR} nud permanent"
    namespaces.ip(name, [neighbor])
    rates: dict[tuple[str, str], list[float]] = {}
    bursts = Bursts()
    with Sink(name, socket.if_nametoindex(_FAR)):
        for turn in range(1 + rounds):
            for way in list(_WAYS)[:: -1 if turn % 2 else 1]:
                for work, (whole, own) in _way(way, bursts, library).items():
                    rates.setdefault((work, way), []).append(whole)
                    rates.setdefault((f"{work}, application", way), []).append(own)
    return {key: values[1:] for key, values in rates.items()}


def run(options: Namespace) -> Report:
    """All rounds; the first is for the caches only."""
    report = Report(f"user-level network interface, batches of {_BATCH}", "native XDP, copy mode")
    with (
        machine.alone(options.cpu, first=True),
        tempfile.TemporaryDirectory() as place,
        _cable() as name,
        ThreadPoolExecutor(1) as pool,
    ):
        library = compile_loop(Path(place))
        rates = pool.submit(_measure, name, options.rounds, library).result()
    for work in (*_WORKS, "receive, application", "echo, application"):
        report.rows += [Row(f"{work}: {way}", rates[work, way], "packets/s") for way in _WAYS]
        for way, target in _WAYS.items():
            if target:
                pairs = zip(rates[work, "netif"], rates[work, way], strict=True)
                ratios = [a / b for a, b in pairs]
                goal = None if way == "C" and work not in _WORKS else target
                report.rows.append(Row(f"  netif / {way}", ratios, "", goal, at_least=True))
    report.rows += _latencies(options)
    return report


def _latencies(options: Namespace) -> list[Row]:
    """Round by round, on all CPUs: the echo server is another process."""
    with machine.locked():
        rounds = [latencies() for _ in range(options.rounds)]
    return [
        Row(f"ping-pong {name}: {way}", [found[way][place] for found in rounds], "us")
        for place, name in enumerate(("p50", "p99"))
        for way in rounds[0]
    ]
