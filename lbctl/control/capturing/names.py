"""
The names: what the numbers in a captured packet stand for, as the switch has it now.

What has gone keeps its name: packets that went there may still be waiting to be read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lbctl.control.nic_names import shown
from lbctl.model import ANY_PORT
from lbctl.shared.abi import Verdict

if TYPE_CHECKING:
    from lbctl.control.controller import Controller
    from lbctl.model import SocketAddress

ACTIONS = ("aborted", "drop", "pass", "tx", "redirect")  # of XDP


class Place(NamedTuple):
    """A NIC: its name, how the program sits on it, and its MAC."""

    name: str
    mode: str
    mac: bytes


class Fate(NamedTuple):
    """What became of a packet, in words; "" where there is nothing to tell."""

    nic: str
    verdict: str
    pool: str
    app: str
    backend: str
    action: str
    out_nic: str


class Names:
    """The names of NICs, services and back-ends, by slot and index."""

    def __init__(self) -> None:
        self.nics: dict[int, Place] = {}
        self._services: dict[int, tuple[str, str]] = {}  # the pool, or the application
        self._backends: dict[int, str] = {}

    def refresh(self, controller: Controller) -> None:
        """Learn what is there now."""
        plane, configuration = controller.dataplane, controller.configuration
        for nic in plane.attached():
            self.nics[nic.slot] = Place(shown(nic), nic.mode, nic.mac)
        pools, apps = configuration.vips_by_pool(), configuration.apps
        owned = [(vip, pool, "") for pool, vips in pools.items() for vip in vips]
        owned += [(vip, "", one.name) for one in apps for vip in one.vips]
        for vip, pool, app in owned:
            if (index := plane.configuration.service_index(vip)) is not None:
                self._services[index] = pool, app
        for index, record in plane.configuration.backends().items():
            self._backends[index] = _server(record.address)

    def nic(self, slot: int) -> Place:
        """A NIC; one that nobody knows has no name but its slot."""
        return self.nics.get(slot) or Place(f"slot{slot}", "unknown", b"")

    def fate(  # noqa: PLR0913 - as many as a captured packet has
        self, *, service: int, backend: int, verdict: int, in_nic: int, out_nic: int, action: int
    ) -> Fate:
        """What the numbers of a captured packet say."""
        name = ACTIONS[action] if action < len(ACTIONS) else str(action)
        pool, app = self._services.get(service, ("", ""))
        leaves = name in ("tx", "redirect") and verdict != Verdict.TO_APP
        return Fate(
            nic=self.nic(in_nic).name,
            verdict=Verdict(verdict).name,
            pool=pool,
            app=app,
            backend=self._backends.get(backend, ""),
            action=name,
            out_nic=self.nic(out_nic).name if leaves else "",
        )


def _server(address: SocketAddress) -> str:
    """A back-end; one that keeps the packet's port has none of its own."""
    return str(address).rpartition(":")[0] if address.port == ANY_PORT else str(address)
