"""
The devices: what ethtool tells of a NIC, in the calling thread's namespace or in another one.

By ioctl, which every kernel has.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import socket
import struct
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from pyroute2.ethtool.ioctl import EthtoolError, IoctlEthtool

from lbctl.control import host
from lbctl.control.preflight.facts import Queues
from lbctl.errors import LbctlError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")

SIOCETHTOOL, GET_DRIVER = 0x8946, 0x03
DRIVER = struct.Struct("=I32s160x")  # struct ethtool_drvinfo
WANTED = (
    *("tx-checksum-ip-generic", "tx-checksum-ipv4", "tx-checksum-ipv6"),
    *("rx-lro", "rx-gro-hw", "rx-gro"),
)


def offloads(name: str) -> frozenset[str] | None:
    """Those of WANTED that are on."""
    with contextlib.closing(IoctlEthtool(name)) as nic:
        try:
            features = nic.get_features()
        except (OSError, EthtoolError):
            return None
    return frozenset(one for one in WANTED if one in features and features.is_active(one))


def queues(name: str) -> Queues | None:
    """How many there are of each kind; combined ones are both."""
    with contextlib.closing(IoctlEthtool(name)) as nic:
        try:
            found = nic.get_channels()
        except (OSError, EthtoolError):
            return None
    both = found["combined_count"]
    most = max(found["max_combined"], found["max_rx"])
    return Queues(found["rx_count"] + both, found["tx_count"] + both, most)


def driver(name: str) -> str:
    """The name of its driver; empty: it has none to tell."""
    room = ctypes.create_string_buffer(DRIVER.pack(GET_DRIVER, b""), DRIVER.size)
    request = struct.pack("16sQ16x", name.encode(), ctypes.addressof(room))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as anything:
        try:
            fcntl.ioctl(anything, SIOCETHTOOL, request)
        except OSError:
            return ""
    text: bytes = DRIVER.unpack(room.raw)[1]
    return text.split(b"\0")[0].decode(errors="replace")


def inside(namespace: Path, function: Callable[[], T]) -> T | None:
    """Call *function* in another network namespace; None where we may not go."""

    def there() -> T:
        host.enter_netns(str(namespace))
        return function()

    with ThreadPoolExecutor(1) as helper, contextlib.suppress(LbctlError):
        return helper.submit(there).result()
    return None
