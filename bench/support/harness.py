"""The harness: net nanoseconds of a program, by BPF_PROG_TEST_RUN through bench/wrapper.c."""

from __future__ import annotations

import mmap
import os
import struct
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.support.switch import FIRST_PORT, OUR_MAC, PEER_MAC
from lbctl.model import IPAddress
from lbctl.shared import addresses, syscall
from lbctl.switching import program
from lbctl.switching.pins import remove

if TYPE_CHECKING:
    from typing import Self


WRAPPER = Path(__file__).resolve().parent.parent / "wrapper.c"
_PROG_ARRAY = 3
_SETTINGS = np.dtype(
    [
        ("count", "<u8"),
        *((name, "<u4") for name in ("flows", "ports", "frame")),
        *((name, "u1") for name in ("random", "reply")),
        ("port", "<u2"),
        *((name, "<u4") for name in ("network_sum", "udp_sum")),
        *((name, "V16") for name in ("host", "frame_start", "network", "transport")),
    ]
)
SYN, ACK = 0x02, 0x10
TCP, UDP, ICMP = 6, 17, 1
VIP = ip_address("203.0.113.10")


@dataclass(frozen=True)
class Traffic:
    """
    The packets of one measurement.

    *host*: the address they go to, or with *reply* come from; *size*: of the frame.
    """

    version: int = 4
    protocol: int = TCP
    flags: int = ACK
    flows: int = 1
    random: bool = True
    reply: bool = False
    host: IPAddress = VIP
    port: int = FIRST_PORT
    ports: int = 1
    size: int = 0
    destination_mac: bytes = OUR_MAC
    ethertype: int = 0

    @property
    def frame_size(self) -> int:
        """As asked for, or the smallest that Ethernet has."""
        return self.size or (60 if self.version == 4 else 74)

    def forward(self, vip: IPAddress, port: int) -> Traffic:
        """The packets that these answer."""
        return replace(self, reply=False, host=vip, port=port)

    def network(self) -> bytes:
        """The IP header up to its addresses; no program looks at its checksum."""
        length = self.frame_size - 14
        if self.version == 4:
            return struct.pack("!BBHHHBBH4x", 0x45, 0, length, 1, 0x4000, 64, self.protocol, 0)
        return struct.pack("!IHBB8x", 6 << 28, length - 40, self.protocol, 64)

    def transport(self) -> bytes:
        """What stands behind the ports."""
        if self.protocol == TCP:
            words = (self.frame_size - 14 - (20 if self.version == 4 else 40)) // 4
            words = words if self.flags & 2 else 5
            return struct.pack("!IIBBHHH", 1, 2, words << 4, self.flags, 1000, 0x4321, 0)
        if self.protocol == UDP:
            length = self.frame_size - 14 - (20 if self.version == 4 else 40)
            return struct.pack("!HH12x", length, 0)
        return struct.pack("!HH12x", 1, 1)

    def sums(self) -> tuple[int, int]:
        """What client and ports leave open of the checksums of IPv4 and of UDP over it."""
        if self.version == 6:
            return 0, 0
        host, udp = self.host.packed, self.transport()
        pseudo = host + bytes([0, self.protocol]) + udp[:2]
        return _sum(self.network()[:12] + host), _sum(pseudo + udp) * (self.protocol == UDP)

    def frame(self) -> bytes:
        """The frame that the wrapper begins with."""
        ethertype = self.ethertype or (0x0800 if self.version == 4 else 0x86DD)
        head = self.destination_mac + PEER_MAC + ethertype.to_bytes(2)
        return (head + self.network()).ljust(self.frame_size, b"\0")


def _sum(data: bytes) -> int:
    """Of 16-bit words as they lie in memory."""
    return int(np.frombuffer(data, "<u2").sum(dtype=np.uint32))


class Harness:
    """The wrapper for one address family, with its two tables."""

    def __init__(self, pins: Path, version: int) -> None:
        pins.mkdir()
        self._pins = pins
        info = syscall.MapInfo(syscall.ARRAY, 4, _SETTINGS.itemsize, 1, syscall.MMAPABLE)
        self._settings_fd = syscall.map_create(info, "bench_settings")
        self._programs = syscall.map_create(
            syscall.MapInfo(_PROG_ARRAY, 4, 4, 1, 0), "bench_programs"
        )
        syscall.pin(self._settings_fd, pins / "settings")
        syscall.pin(self._programs, pins / "programs")
        area = mmap.mmap(self._settings_fd, mmap.PAGESIZE, mmap.MAP_SHARED)
        self._settings = np.frombuffer(area, _SETTINGS, 1)
        macros: dict[str, int | str] = {"BENCH_PINS": f'"{pins}"', "BENCH_IPV6": int(version == 6)}
        program.compile_program(pins / "wrapper", macros, "bench_wrapper", str(WRAPPER))
        self.program = syscall.get(pins / "wrapper")
        self._frame = b""

    def prepare(self, traffic: Traffic, first: int = 0) -> None:
        """Make these packets from now on, beginning with number *first*."""
        row = np.zeros(1, _SETTINGS)
        row["count"], row["flows"] = first, traffic.flows
        row["ports"], row["port"] = traffic.ports, traffic.port
        row["frame"], row["random"], row["reply"] = (
            traffic.frame_size,
            traffic.random,
            traffic.reply,
        )
        self._frame = traffic.frame()
        row["network_sum"], row["udp_sum"] = traffic.sums()
        row["host"] = np.void(addresses.pack(traffic.host))
        row["frame_start"] = np.void(self._frame[:12] + bytes(4))
        row["network"] = np.void(traffic.network())
        row["transport"] = np.void(traffic.transport())
        self._settings[:] = row

    def begin(self, first: int) -> None:
        """Go on with packet number *first*."""
        self._settings["count"] = first

    def run(self, under_test: int, repeat: int) -> int:
        """Run it that often; returns ns per packet, with the wrapper's own."""
        self.use(under_test)
        return self.run_again(repeat)

    def use(self, under_test: int) -> None:
        """Tail-call this program from now on."""
        syscall.map_update(self._programs, bytes(4), under_test.to_bytes(4, "little"))

    def run_again(self, repeat: int) -> int:
        """Run the same program on the packets that follow."""
        return syscall.test_run(self.program, self._frame, repeat=repeat).duration

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Let go, and remove the pins."""
        for descriptor in (self.program, self._programs, self._settings_fd):
            os.close(descriptor)
        remove(self._pins)


def establish(wrapper: Harness, under_test: int, traffic: Traffic) -> None:
    """Make each flow's connection by its first ACK: the pools take unknown ones by hash."""
    wrapper.prepare(replace(traffic, random=False))
    wrapper.run(under_test, traffic.flows)
