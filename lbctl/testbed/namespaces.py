"""
Network namespaces: make and remove them, set them up, and do things inside them.

A namespace is entered by setns alone.  `ip netns exec` would mount a fresh /sys as well, and hide
/sys/fs/bpf with everything that is pinned there.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor
from fcntl import ioctl
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lbctl.errors import Conflict, LbctlError, NotPermitted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

T = TypeVar("T")

FOLDER = Path("/run/netns")
CLONE_NEWNET = 0x40000000
SIOCETHTOOL = 0x8946
ETHTOOL_STXCSUM, ETHTOOL_SGRO = 0x17, 0x2C


def run(command: Sequence[str], text: str | None = None) -> str:
    """Run a tool of the system; an LbctlError has what it complained of."""
    try:
        done = subprocess.run(  # noqa: S603 - our own words, never a shell
            command, input=text, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise LbctlError(f"{command[0]}: not found; `apt install iproute2 util-linux`") from error
    if done.returncode:
        complaint = " ".join((done.stderr or done.stdout).split())
        raise LbctlError(f"{' '.join(command)}: {complaint}")
    return done.stdout


def require_root() -> None:
    """Refuse early what only root can do."""
    if os.geteuid() != 0:
        raise NotPermitted("the test bed is made of network namespaces; run it with `sudo`")


def names() -> set[str]:
    """All namespaces that have a name."""
    return {path.name for path in FOLDER.iterdir()} if FOLDER.is_dir() else set()


def create(name: str) -> None:
    """Make a namespace."""
    if name in names():
        raise Conflict(f"network namespace {name!r} exists already; `ip netns delete {name}`")
    run(["ip", "netns", "add", name])


def delete(name: str) -> None:
    """Remove a namespace; what runs inside keeps it alive without a name."""
    if name in names():
        run(["ip", "netns", "delete", name])


def ip(name: str, lines: Iterable[str], family: int = 0) -> None:
    """
    Have the tool of that name carry out *lines* inside the namespace, in one process.

    It tells the family by the addresses, but not in rules: there 6 must be asked for.
    """
    option = [f"-{family}"] if family else []
    run(["ip", *option, "-n", name, "-batch", "-"], "\n".join(lines) + "\n")


def inside(name: str, command: Sequence[str]) -> list[str]:
    """The command line that runs *command* inside the namespace."""
    return ["nsenter", f"--net={FOLDER / name}", "--", *command]


def enter(name: str) -> None:
    """Move the calling thread into the namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    with (FOLDER / name).open() as file:
        if libc.setns(file.fileno(), CLONE_NEWNET):
            code = ctypes.get_errno()
            raise LbctlError(f"network namespace {name!r}: {os.strerror(code)}")


def call(name: str, function: Callable[[], T]) -> T:
    """Call *function* inside the namespace, in a thread of its own; sockets it makes stay there."""

    def there() -> T:
        enter(name)
        return function()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(there).result()


def sysctl(name: str, settings: Mapping[str, int | str]) -> None:
    """Set kernel parameters of the namespace; one that this kernel lacks is passed over."""

    def write() -> None:
        for key, value in settings.items():
            path = Path("/proc/sys", *key.split("."))
            with contextlib.suppress(FileNotFoundError):
                path.write_text(f"{value}\n", encoding="ascii")

    call(name, write)


def offloads(name: str, nics: Iterable[str], *, tx_checksum: bool, gro: bool) -> None:
    """Turn a NIC's tx checksum offload and its GRO on or off, as `ethtool -K` does."""
    wanted = {ETHTOOL_STXCSUM: tx_checksum, ETHTOOL_SGRO: gro}

    def write() -> None:
        with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as anything:
            for nic in nics:
                for command, on in wanted.items():
                    value = ctypes.create_string_buffer(struct.pack("=II", command, on))
                    request = struct.pack("16sQ16x", nic.encode(), ctypes.addressof(value))
                    ioctl(anything, SIOCETHTOOL, request)

    call(name, write)
