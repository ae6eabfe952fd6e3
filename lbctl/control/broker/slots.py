"""
The slots: say which sockets packets go to, and whose each of them is.

The table holds no owner, so that is remembered here: an application that ends late takes nothing
from the one that has followed it.  Safe to use from several threads.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from lbctl.errors import LbctlError

if TYPE_CHECKING:
    from lbctl.control.broker.running import Port, RunningApp
    from lbctl.shared.programs import AppTable

    Key = tuple[int, int, int]  # application, slot of the NIC, queue


class Slots:
    """The places of the table `apps` that this daemon has filled."""

    def __init__(self, table: AppTable) -> None:
        self._table = table
        self._owners: dict[Key, RunningApp] = {}
        self._lock = threading.Lock()

    def put(self, running: RunningApp, port: Port, slot: int, descriptor: int) -> None:
        """Have packets of the NIC in *slot* go into the socket of that port."""
        key = (running.number, slot, port.place.queue)
        with self._lock:
            try:
                self._table.put(*key, descriptor)
            except OSError as error:
                raise LbctlError(
                    f"app {running.app.name!r}: {port.place}: {error.strerror}; it is no AF_XDP "
                    f"socket that packets can go to"
                ) from error
            self._owners[key] = running
            port.slot = slot

    def remove(self, running: RunningApp) -> None:
        """Have no packets go to it; they go where its configuration says."""
        for port in running.ports:
            self.remove_port(running, port)

    def remove_port(self, running: RunningApp, port: Port) -> None:
        """Have no packets go to that port."""
        if port.slot is None:
            return
        key = (running.number, port.slot, port.place.queue)
        with self._lock:
            port.slot = None
            if self._owners.get(key) is running:
                del self._owners[key]
                self._table.remove(*key)

    def clear(self, number: int) -> None:
        """Empty all places of an application, whoever filled them."""
        with self._lock:
            self._owners = {key: who for key, who in self._owners.items() if key[0] != number}
            self._table.clear(number)
