"""The links: what the kernel says of a NIC, and how a program is attached to one."""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from lbctl.errors import Conflict, LbctlError, NotFound
from lbctl.model import Mode
from lbctl.shared import syscall

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_WHY_NOT_NATIVE = {
    errno.EOPNOTSUPP: "its driver has no native XDP",
    errno.EINVAL: "its driver refuses native XDP as it is set up (LRO, queues or MTU?)",
    errno.ENOSPC: "it has fewer queues than native XDP needs",
    errno.ERANGE: "its MTU, or its peer's, is too large for native XDP",
    errno.ENOMEM: "its driver has too few queues or too little memory for native XDP",
}


@dataclass(frozen=True, slots=True)
class Link:
    """What the kernel says of a NIC."""

    name: str
    ifindex: int
    mac: bytes
    xdp_program: int


def read(name: str = "", index: int = 0) -> Link:
    """Ask the kernel for a NIC.  Not through sysfs, which may show another namespace."""
    wanted = {"index": index} if index else {"ifname": name}
    with IPRoute() as ip:
        try:
            (message,) = ip.link("get", **wanted)
        except (NetlinkError, ValueError) as error:
            raise NotFound(f"{name or index}: no such NIC; see `ip link`") from error
    mac = message.get_attr("IFLA_ADDRESS") or "00:00:00:00:00:00"
    xdp = message.get_attr("IFLA_XDP")
    program = (xdp.get_attr("IFLA_XDP_PROG_ID") or 0) if xdp else 0
    label = message.get_attr("IFLA_IFNAME")
    return Link(label, message["index"], bytes.fromhex(mac.replace(":", "")), program)


def mode_of(ifindex: int) -> str:
    """Native or generic, as the kernel has it attached now."""
    with IPRoute() as ip:
        (message,) = ip.link("get", index=ifindex)
    xdp = message.get_attr("IFLA_XDP")
    attached = xdp.get_attr("IFLA_XDP_ATTACHED") if xdp else None
    return "generic" if attached in (2, "skb", "xdpgeneric") else "native"


def foreign(link: Link) -> str:
    """Say whose program sits on a NIC."""
    name = "unknown"
    with contextlib.suppress(OSError):
        descriptor = syscall.prog_by_id(link.xdp_program)
        name = syscall.prog_info(descriptor).name or "without a name"
        os.close(descriptor)
    ours = " (of another lbctl instance)" if name == "lb_switch" else ""
    return (
        f"{link.name}: the XDP program {name!r}, number {link.xdp_program}{ours}, is attached "
        f"already; end whoever attached it, or `ip link set dev {link.name} xdp off`"
    )


def _modes(mode: Mode) -> Iterator[tuple[str, int]]:
    if mode is not Mode.GENERIC:
        yield "native", syscall.MODE_NATIVE
    if mode is not Mode.NATIVE:
        yield "generic", syscall.MODE_GENERIC


def create(link: Link, mode: Mode, program: Path) -> tuple[int, str, str]:
    """Attach in the best mode allowed; returns the link, the mode and a warning."""
    descriptor = syscall.get(program)
    why = ""
    try:
        for name, flag in _modes(mode):
            try:
                return syscall.link_create(descriptor, link.ifindex, flag), name, why
            except OSError as error:
                if error.errno in (errno.EBUSY, errno.EEXIST):
                    raise Conflict(foreign(read(link.name))) from error
                reason = _WHY_NOT_NATIVE.get(error.errno or 0, error.strerror)
                why = f"{link.name}: {name} mode is not to be had: {reason}"
                cause = error
    finally:
        os.close(descriptor)
    raise LbctlError(f"{why}; try `lbctl attach {link.name} --mode generic`") from cause


def tag_of(link: int) -> str:
    """The tag of a link's program."""
    descriptor = syscall.prog_by_id(syscall.link_info(link).program)
    try:
        return syscall.prog_info(descriptor).tag
    finally:
        os.close(descriptor)
