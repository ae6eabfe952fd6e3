"""
The NICs: attach, detach and upgrade one program per NIC, by pinned links.

A link belongs to us alone: nobody can put another program in its place by accident, and we refuse a
NIC that somebody else's program sits on.  A pinned link outlives the daemon.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lbctl.errors import Conflict, LbctlError, NotFound
from lbctl.model import Mode
from lbctl.shared import abi, syscall
from lbctl.switching import links

if TYPE_CHECKING:
    from pathlib import Path

    from lbctl.model import Nic
    from lbctl.shared.tables import Tables
    from lbctl.switching.links import Link


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

    @property
    def is_pseudo(self) -> bool:
        """Whether it is the switch's end of a pseudo interface."""
        return self.slot >= abi.PSEUDO_FIRST


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

    def attach(self, nic: Nic, program: Path, *, pseudo: bool = False) -> AttachedNic:
        """
        Attach the program pinned as *program*; a NIC that has it already is left as it is.

        *pseudo*: it is the switch's end of a pseudo interface.

        Raises NotFound without such a NIC, Conflict where another program sits on it, LbctlError
        where the driver does not take the mode that is insisted on.
        """
        link = links.read(nic.name)
        if link.ifindex in self._nics:
            return self._same_mode(nic, self._nics[link.ifindex])
        if link.ifindex >= abi.IFINDEX_MAX:
            raise LbctlError(
                f"{nic.name}: its index {link.ifindex} is above {abi.IFINDEX_MAX - 1}; "
                f"make the NIC anew in a fresh namespace"
            )
        if link.xdp_program:
            raise Conflict(links.foreign(link))
        slot = self._free_slot(nic.name, pseudo=pseudo)
        self._register(link, slot)
        try:
            descriptor, mode, warning = links.create(link, nic.mode, program)
            syscall.pin(descriptor, self._folder / str(link.ifindex))
        except BaseException:
            self._forget(link.ifindex, slot)
            raise
        self._links[link.ifindex] = descriptor
        attached = AttachedNic(
            nic.name, link.ifindex, mode, links.tag_of(descriptor), slot, link.mac, warning
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
            link = links.read(index=ifindex)
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
                link = links.read(index=info.ifindex)
            except NotFound:  # the NIC is gone, and its link with it
                os.close(descriptor)
                path.unlink()
                self._tables["nics"][int(path.name)] = 0
                continue
            slot = int(self._tables["nics"]["slot"][link.ifindex])
            mode = links.mode_of(link.ifindex)
            self._links[link.ifindex] = descriptor
            self._nics[link.ifindex] = AttachedNic(
                link.name, link.ifindex, mode, links.tag_of(descriptor), slot, link.mac
            )

    def _same_mode(self, nic: Nic, attached: AttachedNic) -> AttachedNic:
        if nic.mode not in (Mode.AUTO, attached.mode):
            raise Conflict(
                f"{nic.name}: attached in {attached.mode} mode, asked for {nic.mode}; "
                f"`lbctl detach {nic.name}` first"
            )
        return attached

    def _free_slot(self, name: str, *, pseudo: bool) -> int:
        """Which kind a NIC is, its slot tells the switching processors."""
        taken = {nic.slot for nic in self._nics.values()}
        first, last = (abi.PSEUDO_FIRST, abi.NICS_MAX) if pseudo else (0, abi.PSEUDO_FIRST)
        slot = next((s for s in range(first, last) if s not in taken), None)
        if slot is None:
            kind = "pseudo interfaces; remove one" if pseudo else "NICs; detach one"
            raise LbctlError(f"{name}: there is room for {last - first} {kind}")
        return slot

    def _register(self, link: Link, slot: int) -> None:
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
