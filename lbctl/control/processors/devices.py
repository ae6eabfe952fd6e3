"""
The devices: queues, RSS tables and pollers of NICs, and the CPUs of processes.

By netlink and ioctl, in the network namespace of the calling thread; a driver that does not tell is
an answer too: None.  What cannot be set raises OSError.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pyroute2.netlink import NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, genlmsg
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.generic import AsyncGenericNetlinkSocket, GenericNetlinkSocket
from pyroute2.netlink.generic.ethtool import ethtoolheader

from lbctl.control.preflight import devices
from lbctl.control.processors.facts import Napi, Queues

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SIOCETHTOOL, GET_SPREAD, SET_SPREAD = 0x8946, 0x38, 0x39
MOST = 4096  # rows of an RSS table
CHANNELS_GET, CHANNELS_SET = 17, 18  # of the family ethtool
QUEUE_GET, NAPI_GET = 10, 11  # of the family netdev
RECEIVE = 0  # NETDEV_QUEUE_TYPE_RX
Message = Any  # pyroute2 carries no types


class _Channels(genlmsg):  # type: ignore[misc]
    """How many queues a NIC has, and could have (Linux 5.6)."""

    prefix = "ETHTOOL_A_CHANNELS_"
    ethtoolheader = ethtoolheader
    nla_map = (
        ("ETHTOOL_A_CHANNELS_UNSPEC", "none"),
        ("ETHTOOL_A_CHANNELS_HEADER", "ethtoolheader"),
        ("ETHTOOL_A_CHANNELS_RX_MAX", "uint32"),
        ("ETHTOOL_A_CHANNELS_TX_MAX", "uint32"),
        ("ETHTOOL_A_CHANNELS_OTHER_MAX", "uint32"),
        ("ETHTOOL_A_CHANNELS_COMBINED_MAX", "uint32"),
        ("ETHTOOL_A_CHANNELS_RX_COUNT", "uint32"),
        ("ETHTOOL_A_CHANNELS_TX_COUNT", "uint32"),
        ("ETHTOOL_A_CHANNELS_OTHER_COUNT", "uint32"),
        ("ETHTOOL_A_CHANNELS_COMBINED_COUNT", "uint32"),
    )


class _Queue(genlmsg):  # type: ignore[misc]
    """Who polls a queue (Linux 6.8)."""

    prefix = "NETDEV_A_QUEUE_"
    nla_map = (
        ("NETDEV_A_QUEUE_UNSPEC", "none"),
        ("NETDEV_A_QUEUE_ID", "uint32"),
        ("NETDEV_A_QUEUE_IFINDEX", "uint32"),
        ("NETDEV_A_QUEUE_TYPE", "uint32"),
        ("NETDEV_A_QUEUE_NAPI_ID", "uint32"),
    )


class _Napi(genlmsg):  # type: ignore[misc]
    """What polls, by which interrupt or thread (Linux 6.8)."""

    prefix = "NETDEV_A_NAPI_"
    nla_map = (
        ("NETDEV_A_NAPI_UNSPEC", "none"),
        ("NETDEV_A_NAPI_IFINDEX", "uint32"),
        ("NETDEV_A_NAPI_ID", "uint32"),
        ("NETDEV_A_NAPI_IRQ", "uint32"),
        ("NETDEV_A_NAPI_PID", "uint32"),
    )


class _AsyncFamily(AsyncGenericNetlinkSocket):  # type: ignore[misc]
    module_err_level = "debug"  # kernels have had these families for some years only


class _Family(GenericNetlinkSocket):  # type: ignore[misc]
    async_class = _AsyncFamily


class Devices(Protocol):
    """What is asked of NICs and processes, and set."""

    def index(self, name: str) -> int | None:
        """The ifindex of a NIC; None: there is none of that name."""

    def driver(self, name: str) -> str:
        """The name of a NIC's driver."""

    def queues(self, index: int) -> Queues | None:
        """How many queues a NIC has."""

    def set_queues(self, index: int, wanted: Queues) -> None:
        """Have that many."""

    def spread(self, name: str) -> tuple[int, ...] | None:
        """A NIC's RSS table."""

    def set_spread(self, name: str, queues: Sequence[int]) -> None:
        """Have that RSS table."""

    def polls(self, name: str, index: int, queues: int) -> tuple[Napi, ...] | None:
        """What polls each receive queue of a NIC."""

    def cpus(self, process: int) -> frozenset[int] | None:
        """Where a process or thread may run; None: there is none."""

    def set_cpus(self, process: int, cpus: Iterable[int]) -> None:
        """Have it run there only."""

    def threads(self) -> list[int]:
        """The threads of lbctld."""


class KernelDevices:
    """Asks the kernel."""

    def index(self, name: str) -> int | None:
        """The ifindex of a NIC; None: there is none of that name."""
        with contextlib.suppress(OSError, ValueError):
            return socket.if_nametoindex(name)
        return None

    def driver(self, name: str) -> str:
        """The name of a NIC's driver."""
        return devices.driver(name)

    def queues(self, index: int) -> Queues | None:
        """How many queues a NIC has."""
        header = ("ETHTOOL_A_CHANNELS_HEADER", _header(index))
        found = _ask("ethtool", _Channels, CHANNELS_GET, [header])
        if not found:
            return None
        told = {name.removeprefix("ETHTOOL_A_CHANNELS_"): n for name, n in found[0]["attrs"]}
        return Queues(
            told.get("RX_COUNT", 0),
            told.get("TX_COUNT", 0),
            told.get("COMBINED_COUNT", 0),
            max(told.get("COMBINED_MAX", 0), min(told.get("RX_MAX", 0), told.get("TX_MAX", 0))),
        )

    def set_queues(self, index: int, wanted: Queues) -> None:
        """Have that many.  Raises OSError."""
        counts = {"RX": wanted.receive, "TX": wanted.transmit, "COMBINED": wanted.combined}
        now = self.queues(index) or Queues(0, 0)
        held = {"RX": now.receive, "TX": now.transmit, "COMBINED": now.combined}
        changed = [
            (f"ETHTOOL_A_CHANNELS_{kind}_COUNT", count)
            for kind, count in counts.items()
            if count != held[kind]
        ]
        header = ("ETHTOOL_A_CHANNELS_HEADER", _header(index))
        flags = NLM_F_REQUEST | NLM_F_ACK
        try:
            _request("ethtool", _Channels, CHANNELS_SET, [header, *changed], flags)
        except NetlinkError as err:
            raise OSError(err.code, os.strerror(err.code)) from err

    def spread(self, name: str) -> tuple[int, ...] | None:
        """A NIC's RSS table."""
        try:
            size = struct.unpack("=II", _ethtool(name, struct.pack("=II", GET_SPREAD, 0)))[1]
            if not 0 < size <= MOST:
                return None
            room = struct.pack("=II", GET_SPREAD, size) + bytes(4 * size)
            return struct.unpack_from(f"={size}I", _ethtool(name, room), 8)
        except OSError:
            return None

    def set_spread(self, name: str, queues: Sequence[int]) -> None:
        """Have that RSS table.  Raises OSError."""
        _ethtool(name, struct.pack(f"=II{len(queues)}I", SET_SPREAD, len(queues), *queues))

    def polls(self, name: str, index: int, queues: int) -> tuple[Napi, ...] | None:
        """
        What polls each receive queue of a NIC.

        Before Linux 6.8 nobody tells; then threads are found by their names, if there are as many
        as queues.  Numbers rise with queues where a driver does not tell whose they are.
        """
        wanted = [("NETDEV_A_NAPI_IFINDEX", index)]
        found = _ask("netdev", _Napi, NAPI_GET, wanted, NLM_F_DUMP)
        if found is None:
            return _threads_by_name(name, queues)
        napis = {napi.number: napi for napi in map(_napi, found)}
        asked = [("NETDEV_A_QUEUE_IFINDEX", index)]
        owners = {
            row.get_attr("NETDEV_A_QUEUE_ID"): row.get_attr("NETDEV_A_QUEUE_NAPI_ID")
            for row in _ask("netdev", _Queue, QUEUE_GET, asked, NLM_F_DUMP) or ()
            if row.get_attr("NETDEV_A_QUEUE_TYPE") == RECEIVE
        }
        if owners and all(owner in napis for owner in owners.values()):
            return tuple(napis[owners[queue]] for queue in sorted(owners))
        if len(napis) == queues:
            return tuple(napis[number] for number in sorted(napis))
        return None

    def cpus(self, process: int) -> frozenset[int] | None:
        """Where a process or thread may run; None: there is none."""
        with contextlib.suppress(OSError):
            return frozenset(os.sched_getaffinity(process))
        return None

    def set_cpus(self, process: int, cpus: Iterable[int]) -> None:
        """Have it run there only.  Raises OSError."""
        os.sched_setaffinity(process, cpus)

    def threads(self) -> list[int]:
        """The threads of lbctld."""
        return [int(path.name) for path in Path("/proc/self/task").iterdir()]


def _header(index: int) -> Message:
    return {"attrs": [("ETHTOOL_A_HEADER_DEV_INDEX", index)]}


def _ask(
    family: str, form: type[Message], command: int, attributes: Message, flags: int = 0
) -> list[Message] | None:
    """The answers of the kernel; None: it has none."""
    try:
        return _request(family, form, command, attributes, NLM_F_REQUEST | flags)
    except NetlinkError:
        return None


def _request(
    family: str, form: type[Message], command: int, attributes: Message, flags: int
) -> list[Message]:
    with _Family() as kernel:
        kernel.bind(family, form)
        message = form()
        message["cmd"], message["version"], message["attrs"] = command, 1, attributes
        return list(kernel.nlm_request(message, msg_type=kernel.prid, msg_flags=flags))


def _napi(row: Message) -> Napi:
    names = ("NETDEV_A_NAPI_ID", "NETDEV_A_NAPI_IRQ", "NETDEV_A_NAPI_PID")
    return Napi(*(row.get_attr(name) or 0 for name in names))


def _threads_by_name(name: str, queues: int) -> tuple[Napi, ...] | None:
    """Threads called napi/NIC-NUMBER; too many of them may be another namespace's."""
    found, start = [], f"napi/{name}-"
    for path in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError, ValueError):
            title = path.read_text().strip()
            if title.startswith(start):
                found.append(Napi(int(title.removeprefix(start)), 0, int(path.parent.name)))
    return tuple(sorted(found)) if len(found) == queues else None


def _ethtool(name: str, request: bytes) -> bytes:
    """Ask the driver of a NIC by ioctl.  Raises OSError."""
    room = ctypes.create_string_buffer(request, len(request))
    frame = struct.pack("16sQ16x", name.encode(), ctypes.addressof(room))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as anything:
        fcntl.ioctl(anything, SIOCETHTOOL, frame)
    return room.raw
