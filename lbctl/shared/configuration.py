"""
The configuration table: buffers A and B, the active pointer, and publish().

A packet reads the pointer once and then one buffer: services (the directory), slots, back-ends.
Publishing fills the other buffer, moves the pointer, and waits until no packet can still be reading
the old buffer.  Every index is a name that lasts: a service or back-end keeps it through all
generations, and a freed one is not given away while a connection still names it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lbctl.errors import LbctlError
from lbctl.model import Protocol, SocketAddress, Vip
from lbctl.shared import abi, addresses, directory, records, rules, syscall
from lbctl.shared.abi import BackendState, Role, ServiceFlag
from lbctl.shared.indices import fill
from lbctl.shared.programs import AppTable, Programs
from lbctl.shared.records import BackendRecord, Service, ServiceBackend

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from lbctl.model import IPAddress, Timeouts
    from lbctl.shared.arrays import Array
    from lbctl.shared.clock import Clock
    from lbctl.shared.connections import ConnectionTable
    from lbctl.shared.tables import Tables

__all__ = ["BackendRecord", "ConfigurationTable", "Service", "ServiceBackend"]


class ConfigurationTable:
    """Both buffers.  One writer only: the control processor of this instance."""

    def __init__(self, tables: Tables, connections: ConnectionTable, clock: Clock) -> None:
        self._tables, self._connections, self._clock = tables, connections, clock
        self._backends: dict[BackendRecord, int] = {}
        self._services: dict[Vip, int] = {}
        self._apps: dict[Vip, int] = {}  # the number of the application that has it
        self.app_table = AppTable(tables)
        self._rules = rules.RuleTable(tables)
        self._recover()
        # whoever published last may have died before its grace period was over
        syscall.wait_for_packets()

    @property
    def _control(self) -> np.void:
        control: np.void = self._tables["control"][0]
        return control

    @property
    def _active(self) -> int:
        return int(self._control["active"]) & 1

    @property
    def active_buffer(self) -> str:
        """`A` or `B`."""
        return "AB"[self._active]

    @property
    def generation(self) -> int:
        """The generation that packets see now; 0: nothing was ever published."""
        return int(self._control["generation"][self._active])

    def service_index(self, vip: Vip) -> int | None:
        """The index of a service."""
        return self._services.get(vip)

    def app_number(self, vip: Vip) -> int | None:
        """The number of the application that has *vip*."""
        return self._apps.get(vip)

    def backend_index(self, vip: Vip, address: SocketAddress) -> int | None:
        """The index of a back-end of a service."""
        return self._backends.get(BackendRecord(vip, address))

    def backends(self) -> dict[int, BackendRecord]:
        """All records in use, by index; removed ones that still have connections too."""
        return {index: record for record, index in self._backends.items()}

    def next_hops(self) -> dict[IPAddress, int]:
        """Which next hop the records name: of back-ends, and of pseudo interfaces, by address."""
        half = self._half("backends", self._active)
        found = {
            record.address.address: int(half["next_hop"][index])
            for record, index in self._backends.items()
        }
        entries = self._half("services", self._active)
        pseudo = entries[(entries["flags"] & ServiceFlag.PSEUDO) != 0]
        return found | {addresses.from_words(row["address"]): int(row["index"]) for row in pseudo}

    def publish(
        self,
        services: Sequence[Service],
        timeouts: Timeouts,
        generation: int,
        local: Collection[IPAddress] = frozenset(),
        programs: Programs = Programs(),  # noqa: B008 - it cannot change
    ) -> None:
        """
        Make *services* what packets see: all of it, or nothing.

        *local*: the switch's own addresses; where a VIP is one of them, ports without a service
        stay the kernel's.  *programs*: who serves on the switch itself.  Raises LbctlError, with
        nothing changed, when it does not fit.  Returns when no packet reads the former generation
        any more.
        """
        kept = self._still_named()
        service_index, backend_index = self._assign(services, kept, programs)
        numbers = programs.numbers(self._apps)
        spare = 1 - self._active
        runs = self._first_lines(services)
        self._rules.require_room(sum(len(service.rules) for service in services))
        table = self._back_end_table(services, service_index, backend_index, kept)
        firsts = [lines[0] for lines in runs]
        known = records.Known(service_index, table, set(local), programs, numbers)
        entries = records.directory_entries(services, firsts, known)
        self._write_directory(entries, spare)
        self._half("backends", spare)[:] = table
        self._begin_counting(
            {i for _, i in service_index.items() - self._services.items()},
            {i for _, i in backend_index.items() - self._backends.items()},
        )
        self._write_slots(services, runs, backend_index, spare)
        self._write_rules(services, runs, service_index, spare)
        self._control["generation"][spare] = generation
        self._write_timeouts(timeouts)
        kept_numbers = {n for vip, n in numbers.items() if self._apps.get(vip) == n}
        for number in set(numbers.values()) - kept_numbers:
            self.app_table.clear(number)  # of the sockets of whoever had it before
        self._control["active"] = spare
        self._services, self._backends, self._apps = service_index, backend_index, numbers
        syscall.wait_for_packets()

    # -- indices ---------------------------------------------------------------------------

    def _half(self, name: str, buffer: int) -> Array:
        """One buffer of a doubled table."""
        table = self._tables[name]
        size = len(table) // 2
        return table[buffer * size : (buffer + 1) * size]

    def _recover(self) -> None:
        """Read the names back from the active buffer: the tables outlive this process."""
        half = self._half("backends", self._active)
        for index in np.flatnonzero(half["state"]):
            row = half[index]
            protocol = Protocol(addresses.PROTOCOL_NAMES[int(row["protocol"])])
            vip = Vip(addresses.from_words(row["vip"]), int(row["vip_port"]), protocol)
            address = SocketAddress(addresses.from_words(row["address"]), int(row["port"]))
            self._backends[BackendRecord(vip, address)] = int(index)
            self._services[vip] = int(row["service"])
        entries = self._half("services", self._active)
        for row in entries[np.isin(entries["role"], (Role.SERVICE, Role.APP))]:
            protocol = Protocol(addresses.PROTOCOL_NAMES[int(row["protocol"])])
            vip = Vip(addresses.from_words(row["address"]), int(row["port"]), protocol)
            self._services[vip] = int(row["index"])
            if row["role"] == Role.APP:
                self._apps[vip] = int(row["first_line"])

    def _still_named(self) -> dict[BackendRecord, int]:
        """
        Records that connections may name.

        One that was removed by an earlier generation got no connection since, so it may go when
        the last is gone; any other may be getting one this very moment.  Entries whose time is over
        count until they are freed, for a longer timeout would bring them back to life.
        """
        states = self._half("backends", self._active)["state"]
        if (states == BackendState.REMOVED).any():
            self._connections.sweep()
        used = self._connections.count_by_backend(expired=True)
        named = ((states != BackendState.REMOVED) | (used > 0)).tolist()
        return {record: index for record, index in self._backends.items() if named[index]}

    def _assign(
        self, services: Sequence[Service], kept: dict[BackendRecord, int], programs: Programs
    ) -> tuple[dict[Vip, int], dict[BackendRecord, int]]:
        """Give every service and back-end its index: the old one, or a free one."""
        capacity = self._tables.capacity
        wanted = [BackendRecord(s.vip, b.address) for s in services for b in s.backends]
        backend_index = fill(kept, wanted, capacity.backends, "backends")
        vips = {record.vip for record in kept}
        named = {vip: index for vip, index in self._services.items() if vip in vips}
        served = [*(s.vip for s in services), *programs.vips]
        named |= {vip: self._services[vip] for vip in served if vip in self._services}
        service_index = fill(named, served, capacity.services, "services")
        return service_index, backend_index

    def _first_lines(self, services: Sequence[Service]) -> list[list[int]]:
        """Where each run of each service's slots begins, in lines."""
        end, first_lines = 0, []
        for service in services:
            lengths = [-(-len(run) // abi.SLOTS_PER_LINE) for run in service.runs]
            first_lines.append([end + sum(lengths[:i]) for i in range(len(lengths))])
            end += sum(lengths)
        room = self._tables.capacity.macros()["LB_SLOT_LINES"]
        if end > room:
            raise LbctlError(
                f"slots: {end * abi.SLOTS_PER_LINE} are wanted and "
                f"{room * abi.SLOTS_PER_LINE} fit; use a smaller --table-size, or start lbctld "
                f"with a larger --slots"
            )
        return first_lines

    # -- contents --------------------------------------------------------------------------

    def _back_end_table(
        self,
        services: Sequence[Service],
        service_index: dict[Vip, int],
        backend_index: dict[BackendRecord, int],
        kept: dict[BackendRecord, int],
    ) -> Array:
        """The new back-end table: what is wanted, and what only connections still name."""
        new = np.zeros(self._tables.capacity.backends, abi.BACKEND)
        old = self._half("backends", self._active)
        wanted = {service.vip for service in services}
        for record, index in kept.items():
            new[index] = old[index]
            new[index]["state"] = BackendState.REMOVED
            new[index]["flags"] &= ~np.uint16(ServiceFlag.ORPHAN)
            if record.vip not in wanted:
                new[index]["flags"] |= ServiceFlag.ORPHAN
                new[index]["flags"] &= ~np.uint16(ServiceFlag.RULES)  # they went with the VIP
        for service in services:
            flags = records.flags(service)
            for backend in service.backends:
                row = new[backend_index[BackendRecord(service.vip, backend.address)]]
                records.write(row, service.vip, backend)
                row["service"], row["flags"] = service_index[service.vip], flags
        records.mark_shared(new)
        return new

    def _write_slots(
        self,
        services: Sequence[Service],
        first_lines: Sequence[Sequence[int]],
        backend_index: dict[BackendRecord, int],
        spare: int,
    ) -> None:
        """Positions in the services' own lists become indices of the back-end table."""
        flat = self._half("slots", spare).view(np.uint16)
        for service, firsts in zip(services, first_lines, strict=True):
            records_ = (BackendRecord(service.vip, b.address) for b in service.backends)
            named = np.array([backend_index[record] for record in records_], np.uint16)
            for slots, first in zip(service.runs, firsts, strict=True):
                if len(slots):
                    run = flat[first * abi.SLOTS_PER_LINE :][: len(slots)]
                    np.take(named, slots, out=run, mode="clip")

    def _write_rules(
        self,
        services: Sequence[Service],
        first_lines: Sequence[Sequence[int]],
        service_index: dict[Vip, int],
        spare: int,
    ) -> None:
        """Each rule leads to its run."""
        wanted = {}
        for service, firsts in zip(services, first_lines, strict=True):
            index = service_index[service.vip]
            found = zip(service.rules, service.runs[1:], firsts[1:], strict=True)
            for rule, run, first in found:
                wanted[rules.key(spare, index, rule)] = rules.run(first, len(run))
        self._rules.write(spare, wanted)

    def _begin_counting(self, services: set[int], backends: set[int]) -> None:
        """What is new has no past, whoever had its index before."""
        capacity = self._tables.capacity
        traffic = self._tables["traffic"].reshape(-1, capacity.backends)
        traffic[:, list(backends)] = 0
        reasons = self._tables["reasons"].reshape(-1, capacity.services + capacity.backends)
        reasons[:, [*services, *(capacity.services + index for index in backends)]] = 0

    def _write_timeouts(self, timeouts: Timeouts) -> None:
        ticks = self._control["timeout"]
        for state in abi.ConnectionState:
            if seconds := getattr(timeouts, state.name.lower(), None):
                ticks[state] = self._clock.ticks(seconds)

    def _write_directory(self, entries: Array, spare: int) -> None:
        """Lay the directory out; raises before anything is written."""
        bits = self._tables.capacity.macros()
        displacements, places = directory.arrange(
            [records.directory_key(entry) for entry in entries],
            bits["LB_GROUP_BITS"],
            bits["LB_DIRECTORY_BITS"],
        )
        half = self._half("services", spare)
        half[:] = np.zeros(1, abi.SERVICE)
        half[places] = entries
        self._half("displacements", spare)[:] = displacements
