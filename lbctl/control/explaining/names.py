"""
The names: what the numbers in the tables stand for, for people.

Read from the controller once for a question; an index keeps its name through all generations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lbctl.control.nic_names import shown
from lbctl.model import ANY_PORT

if TYPE_CHECKING:
    from lbctl.control.controller import Controller
    from lbctl.control.program_state import AppState
    from lbctl.model import App, Backend, IPAddress, Pool, Rule, SocketAddress, Vip
    from lbctl.shared.records import BackendRecord


class Member(NamedTuple):
    """A back-end, and how it stands."""

    backend: Backend
    state: str
    reason: str


class Names:
    """Who is who on one switch."""

    def __init__(self, controller: Controller) -> None:
        self.configuration = controller.configuration
        self._standings = controller.master.standings
        self._programs = controller.programs
        self._nics = {nic.slot: shown(nic) for nic in controller.dataplane.attached()}
        table = controller.dataplane.configuration
        self._records = table.backends()
        vips = {vip for pool in self.configuration.pools for vip in pool.vips}
        vips |= {vip for app in self.configuration.apps for vip in app.vips}
        vips |= {record.vip for record in self._records.values()}
        self._vips = {table.service_index(vip): vip for vip in vips}

    def nic(self, slot: int) -> str:
        """The NIC of a slot."""
        return self._nics.get(slot, f"a NIC that is gone (place {slot})")

    def vip(self, service: int) -> Vip | None:
        """The VIP of a service, by its index."""
        return self._vips.get(service)

    def record(self, backend: int) -> BackendRecord | None:
        """What an index of the back-end table stands for."""
        return self._records.get(backend)

    def pool(self, vip: Vip | None) -> Pool | None:
        """The pool that a VIP is of; None: it was removed."""
        return next((pool for pool in self.configuration.pools if vip in pool.vips), None)

    def app(self, vip: Vip | None) -> App | None:
        """The network application that has a VIP; None: none has."""
        return next((app for app in self.configuration.apps if vip in app.vips), None)

    def running(self, app: str) -> AppState | None:
        """How an application does; None: it has not run."""
        return self._programs.running(app)

    def interface(self, address: IPAddress | None) -> str | None:
        """The pseudo interface that has an address."""
        for pseudo in self.configuration.pseudo:
            if any(interface.ip == address for interface in pseudo.addresses):
                return pseudo.name
        return None

    def vips_at(self, address: IPAddress | None) -> list[Vip]:
        """All VIPs of an address, by protocol and port."""
        of_pools = (vip for pool in self.configuration.pools for vip in pool.vips)
        of_apps = (vip for app in self.configuration.apps for vip in app.vips)
        return sorted(vip for vip in (*of_pools, *of_apps) if vip.address == address)

    def chain(self, pool: Pool) -> list[Pool]:
        """A pool, its backup, the backup of that, and so on."""
        found: list[Pool] = []
        following: Pool | None = pool
        while following is not None and following not in found:
            found.append(following)
            backup = following.backup
            following = self.configuration.pool(backup) if backup else None
        return found

    def of_pool(self, pool: Pool) -> list[Member]:
        """The back-ends of a pool, and how they stand."""
        return [
            Member(backend, standing.state.value, standing.reason)
            for backend in pool.backends
            for standing in (self._standings.of(pool.name, backend),)
        ]


def at_port(address: SocketAddress, port: int | None) -> SocketAddress:
    """Where a server of a VIP with any port is: at the packet's."""
    return address._replace(port=port or ANY_PORT) if address.port == ANY_PORT else address


def rule_for(pool: Pool, client: IPAddress, port: int | None) -> Rule | None:
    """
    The rule by which a connection has slots of its own, as bpf_src/stages/rules.h finds it.

    One for the port goes before one for any; of several the longest prefix wins.
    """
    for wanted in (port, None):
        matching = [rule for rule in pool.rules if rule.port == wanted and _is_for(rule, client)]
        if matching:
            return max(matching, key=_length)
    return None


def _is_for(rule: Rule, client: IPAddress) -> bool:
    """::/0 is for all, as no prefix at all is: IPv4 addresses are mapped."""
    clients = rule.clients
    return clients is None or (clients.version == 6 and not clients.prefixlen) or client in clients


def _length(rule: Rule) -> int:
    if rule.clients is None:
        return -1
    return rule.clients.prefixlen + (96 if rule.clients.version == 4 else 0)
