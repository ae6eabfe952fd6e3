"""
The programs on the switch, as packets see them: applications with a VIP, and pseudo interfaces.

An application's number is a name that lasts: its sockets lie in the table `apps` under it, and stay
there while lbctld is gone.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lbctl.errors import LbctlError
from lbctl.model import IPAddress, OnExit, Vip
from lbctl.shared import abi, addresses, syscall
from lbctl.shared.abi import Role, ServiceFlag

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from lbctl.shared.arrays import Array
    from lbctl.shared.tables import Tables

    Entry = Callable[[Array, int, int, Role], np.void]  # the row of that address, port, protocol

_ON_EXIT = {
    OnExit.RESET: ServiceFlag.APP_RESET,
    OnExit.DROP: 0,
    OnExit.KERNEL: ServiceFlag.APP_KERNEL,
}


@dataclass(frozen=True, slots=True)
class AppService:
    """The VIPs of one network application, and what becomes of packets while it does not run."""

    vips: tuple[Vip, ...]
    on_exit: OnExit


@dataclass(frozen=True, slots=True)
class Programs:
    """
    All programs on the switch.

    *pseudo*: next hop, by address of a pseudo interface; see RoutingTable.destination().
    """

    apps: tuple[AppService, ...] = ()
    pseudo: Mapping[IPAddress, int] = field(default_factory=dict)

    @property
    def vips(self) -> list[Vip]:
        """All VIPs that applications have."""
        return [vip for app in self.apps for vip in app.vips]

    def numbers(self, before: Mapping[Vip, int]) -> dict[Vip, int]:
        """Give each application a number, by VIP: the one it had *before*, or a free one."""
        found: dict[int, AppService] = {}
        for app in self.apps:
            known = (before[vip] for vip in app.vips if vip in before)
            number = next((n for n in known if n not in found), None)
            if number is not None:
                found[number] = app
        placed = set(found.values())
        free = (n for n in range(abi.APPS_MAX) if n not in found)
        for app in [app for app in self.apps if app not in placed]:
            number = next(free, None)
            if number is None:
                raise LbctlError(
                    f"apps: at most {abi.APPS_MAX}; remove one with `lbctl app remove`"
                )
            found[number] = app
        return {vip: number for number, app in found.items() for vip in app.vips}

    def write(
        self, entry: Entry, service_index: Mapping[Vip, int], numbers: Mapping[Vip, int]
    ) -> None:
        """Have the directory know them; *entry* gives the row of an address."""
        for app in self.apps:
            for vip in app.vips:
                number = addresses.PROTOCOL_NUMBERS[vip.protocol]
                row = entry(addresses.words(vip.address), vip.port, number, Role.APP)
                row["index"], row["flags"] = service_index[vip], _ON_EXIT[app.on_exit]
                row["first_line"] = numbers[vip]
        for address, hop in self.pseudo.items():
            row = entry(addresses.words(address), 0, 0, Role.ADDRESS)
            row["flags"] |= ServiceFlag.LOCAL | ServiceFlag.PSEUDO
            row["index"] = hop


class AppTable:
    """
    The sockets of applications, by application, slot of the NIC, and queue.

    The kernel empties the place of a socket that is closed.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def put(self, number: int, slot: int, queue: int, socket: int) -> None:
        """Have packets go into an AF_XDP *socket*, a descriptor; it must be bound."""
        value = socket.to_bytes(4, sys.byteorder)
        syscall.map_update(self._tables.fd["apps"], _place(number, slot, queue), value)

    def remove(self, number: int, slot: int, queue: int) -> None:
        """Have no packets go there."""
        syscall.map_delete(self._tables.fd["apps"], _place(number, slot, queue))

    def clear(self, number: int) -> None:
        """Have no packets go to that application."""
        for slot in range(abi.NICS_MAX):
            for queue in range(abi.APP_QUEUES):
                self.remove(number, slot, queue)


def _place(number: int, slot: int, queue: int) -> bytes:
    place = (number * abi.NICS_MAX + slot) * abi.APP_QUEUES + queue
    return place.to_bytes(4, sys.byteorder)
