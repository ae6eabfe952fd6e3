"""
The NICs: attach, detach and upgrade one program per NIC, by pinned links.

A link belongs to us alone: nobody can put another program in its place by accident, and we refuse a
NIC that somebody else's program sits on.  A pinned link outlives the daemon.
"""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from lbctl.errors import Conflict, LbctlError, NotFound
from lbctl.model import Mode
from lbctl.shared import abi, syscall

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lbctl.model import Nic
    from lbctl.shared.tables import Tables

_WHY_NOT_NATIVE = {
    errno.EOPNOTSUPP: "its driver has no native XDP",
    errno.EINVAL: "its driver refuses native XDP as it is set up (LRO, queues or MTU?)",
    errno.ENOSPC: "it has fewer queues than native XDP needs",
    errno.ERANGE: "its MTU, or its peer's, is too large for native XDP",
    errno.ENOMEM: "its driver has too few queues or too little memory for native XDP",
}


@dataclass(frozen=True, slots=True)
class AttachedNic:
    """A NIC with our program; *warning* says why it is slower than asked for, if it is."""

    name: str
    ifindex: int
    mode: str
    program_tag: str
    slot: int
    mac: bytes
    warning: str = ""


@dataclass(frozen=True, slots=True)
class _Link:
    """What the kernel says of a NIC."""

    name: str
    ifindex: int
    mac: bytes
    xdp_program: int


class Nics:
    """The attached NICs of one instance."""

    def __init__(self, folder: Path, tables: Tables) -> None:
        self._folder, self._tables = folder, tables
        self._links: dict[int, int] = {}  # ifindex -> descriptor of the link
        self._nics: dict[int, AttachedNic] = {}
        self._recover()

    def attached(self) -> list[AttachedNic]:
        """All of them, by slot."""
        return sorted(self._nics.values(), key=lambda nic: nic.slot)

    def find(self, name: str) -> AttachedNic | None:
        """The attached NIC of that name."""
        return next((nic for nic in self._nics.values() if nic.name == name), None)

    def attach(self, nic: Nic, program: Path) -> AttachedNic:
        """
        Attach the program pinned as *program*; a NIC that has it already is left as it is.

        Raises NotFound without such a NIC, Conflict where another program sits on it, LbctlError
        where the driver does not take the mode that is insisted on.
        """
        link = _read_link(nic.name)
        if link.ifindex in self._nics:
            return self._same_mode(nic, self._nics[link.ifindex])
        if link.ifindex >= abi.IFINDEX_MAX:
            raise LbctlError(
                f"{nic.name}: its index {link.ifindex} is above {abi.IFINDEX_MAX - 1}; "
                f"make the NIC anew in a fresh namespace"
            )
        if link.xdp_program:
            raise Conflict(_foreign(link))
        slot = self._free_slot(nic.name)
        self._register(link, slot)
        try:
            descriptor, mode, warning = _create_link(link, nic.mode, program)
            syscall.pin(descriptor, self._folder / str(link.ifindex))
        except BaseException:
            self._forget(link.ifindex, slot)
            raise
        self._links[link.ifindex] = descriptor
        attached = AttachedNic(
            nic.name, link.ifindex, mode, _tag(descriptor), slot, link.mac, warning
        )
        self._nics[link.ifindex] = attached
        return attached

    def detach(self, name: str) -> None:
        """Take our program off a NIC.  Raises NotFound if it is not attached."""
        nic = self.find(name)
        if nic is None:
            raise NotFound(f"{name}: not attached; see `lbctl status`")
        with contextlib.suppress(OSError):  # the NIC may be gone
            syscall.link_detach(self._links[nic.ifindex])
        os.close(self._links.pop(nic.ifindex))
        (self._folder / str(nic.ifindex)).unlink(missing_ok=True)
        del self._nics[nic.ifindex]
        self._forget(nic.ifindex, nic.slot)

    def upgrade(self, program: Path) -> None:
        """Put the program pinned as *program* on every NIC, without a gap."""
        descriptor = syscall.get(program)
        try:
            info = syscall.prog_info(descriptor)
            for ifindex, link in self._links.items():
                found = syscall.link_info(link)
                if not found.ifindex:
                    continue  # the NIC is gone: `refresh` lets go of it
                if found.program != info.id:
                    syscall.link_update(link, descriptor)
                self._nics[ifindex] = replace(self._nics[ifindex], program_tag=info.tag)
        finally:
            os.close(descriptor)

    def refresh(self) -> list[str]:
        """Follow renamed NICs and changed MACs, let go of vanished ones; returns their names."""
        vanished = []
        for ifindex, nic in list(self._nics.items()):
            if not syscall.link_info(self._links[ifindex]).ifindex:
                self.detach(nic.name)
                vanished.append(nic.name)
                continue
            link = _read_link(index=ifindex)
            if (link.name, link.mac) != (nic.name, nic.mac):
                self._nics[ifindex] = replace(nic, name=link.name, mac=link.mac)
                self._register(link, nic.slot)
        return vanished

    def close(self) -> None:
        """Let go of the descriptors; the pins keep the links."""
        while self._links:
            os.close(self._links.popitem()[1])

    def _recover(self) -> None:
        """Find the NICs that a process before this one attached."""
        for path in self._folder.iterdir():
            descriptor = syscall.get(path)
            info = syscall.link_info(descriptor)
            try:
                link = _read_link(index=info.ifindex)
            except NotFound:  # the NIC is gone, and its link with it
                os.close(descriptor)
                path.unlink()
                self._tables["nics"][int(path.name)] = 0
                continue
            slot = int(self._tables["nics"]["slot"][link.ifindex])
            mode = _mode_of(link.ifindex)
            self._links[link.ifindex] = descriptor
            self._nics[link.ifindex] = AttachedNic(
                link.name, link.ifindex, mode, _tag(descriptor), slot, link.mac
            )

    def _same_mode(self, nic: Nic, attached: AttachedNic) -> AttachedNic:
        if nic.mode not in (Mode.AUTO, attached.mode):
            raise Conflict(
                f"{nic.name}: attached in {attached.mode} mode, asked for {nic.mode}; "
                f"`lbctl detach {nic.name}` first"
            )
        return attached

    def _free_slot(self, name: str) -> int:
        taken = {nic.slot for nic in self._nics.values()}
        slot = next((s for s in range(abi.NICS_MAX) if s not in taken), None)
        if slot is None:
            raise LbctlError(f"{name}: all {abi.NICS_MAX} places for NICs are taken; detach one")
        return slot

    def _register(self, link: _Link, slot: int) -> None:
        """Let packets know the NIC: who it is, and that they can leave by it."""
        row = self._tables["nics"][link.ifindex : link.ifindex + 1]
        value = link.mac + slot.to_bytes(2, "little")
        row.view("<u8")[0] = int.from_bytes(value, "little")
        verdicts = self._tables["verdicts"].reshape(-1, abi.NICS_MAX, abi.VERDICTS)
        if all(nic.slot != slot for nic in self._nics.values()):
            verdicts[:, slot] = 0
        syscall.map_update(
            self._tables.fd["exits"], slot.to_bytes(4, "little"), link.ifindex.to_bytes(4, "little")
        )

    def _forget(self, ifindex: int, slot: int) -> None:
        self._tables["nics"].view("<u8")[ifindex] = 0
        with contextlib.suppress(OSError):  # the kernel empties it when a NIC vanishes
            syscall.map_delete(self._tables.fd["exits"], slot.to_bytes(4, "little"))


def _read_link(name: str = "", index: int = 0) -> _Link:
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
    return _Link(label, message["index"], bytes.fromhex(mac.replace(":", "")), program)


def _mode_of(ifindex: int) -> str:
    """Native or generic, as the kernel has it attached now."""
    with IPRoute() as ip:
        (message,) = ip.link("get", index=ifindex)
    xdp = message.get_attr("IFLA_XDP")
    attached = xdp.get_attr("IFLA_XDP_ATTACHED") if xdp else None
    return "generic" if attached in (2, "skb", "xdpgeneric") else "native"


def _foreign(link: _Link) -> str:
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


def _create_link(link: _Link, mode: Mode, program: Path) -> tuple[int, str, str]:
    """Attach in the best mode allowed; returns the link, the mode and a warning."""
    descriptor = syscall.get(program)
    why = ""
    try:
        for name, flag in _modes(mode):
            try:
                return syscall.link_create(descriptor, link.ifindex, flag), name, why
            except OSError as error:
                if error.errno in (errno.EBUSY, errno.EEXIST):
                    raise Conflict(_foreign(_read_link(link.name))) from error
                reason = _WHY_NOT_NATIVE.get(error.errno or 0, error.strerror)
                why = f"{link.name}: {name} mode is not to be had: {reason}"
                cause = error
    finally:
        os.close(descriptor)
    raise LbctlError(f"{why}; try `lbctl attach {link.name} --mode generic`") from cause


def _tag(link: int) -> str:
    """The tag of a link's program."""
    descriptor = syscall.prog_by_id(syscall.link_info(link).program)
    try:
        return syscall.prog_info(descriptor).tag
    finally:
        os.close(descriptor)
