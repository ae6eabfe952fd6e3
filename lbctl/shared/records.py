"""The records of the configuration table: a service and its back-ends as packets see them."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lbctl.errors import LbctlError
from lbctl.model import (
    ANY_PORT,
    Forward,
    IPNetwork,
    OnUnknown,
    SocketAddress,
    State,
    Vip,
)
from lbctl.shared import abi, addresses
from lbctl.shared.abi import BackendState, Role, ServiceFlag
from lbctl.shared.arrays import Array

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from lbctl.model import IPAddress
    from lbctl.shared.programs import Programs

_STATES = {
    State.ACTIVE: BackendState.ACTIVE,
    State.DRAINING: BackendState.DRAINING,
    State.DOWN: BackendState.DOWN,
    State.MAINTENANCE: BackendState.DOWN,
}


@dataclass(frozen=True, slots=True)
class ServiceBackend:
    """
    A server of one service.

    *address*: with port 0 the packet's own port is kept (a VIP with port `*`).
    *next_hop*: index from RoutingTable.destination().
    """

    address: SocketAddress
    state: State
    next_hop: int


@dataclass(frozen=True, slots=True)
class ServiceRule:
    """
    The slots of connections from *clients* (None: from all) to *port* (0: to any).

    *slots*: as in Service, positions in the service's own list of back-ends.
    """

    clients: IPNetwork | None
    port: int
    slots: Array


@dataclass(frozen=True, slots=True)
class Service:
    """
    One VIP of one pool, ready to be published.

    *slots*: uint16, each a position in *backends*; empty: no active back-end.
    *by_address*: the slot follows from the client's address alone.
    *reset_down*: connections of a server that is down are reset, towards the client.
    *rules*: connections that have slots of their own.
    """

    vip: Vip
    forward: Forward
    on_unknown: OnUnknown
    backends: tuple[ServiceBackend, ...]
    slots: Array
    by_address: bool = False
    reset_down: bool = False
    rules: tuple[ServiceRule, ...] = ()

    @property
    def runs(self) -> tuple[Array, ...]:
        """
        All runs of slots: its own, then that of each rule.

        Where there are rules, a run with a single server has a single slot: by that the switching
        processor knows that a retry would find nobody else.
        """
        if not self.rules:
            return (self.slots,)
        return tuple(map(_shortened, (self.slots, *(rule.slots for rule in self.rules))))


def _shortened(run: Array) -> Array:
    """One slot, if all are of the same server."""
    return run[:1] if len(run) and run.min() == run.max() else run


class BackendRecord(NamedTuple):
    """What an index of the back-end table stands for."""

    vip: Vip
    address: SocketAddress


_NATIVE = sys.byteorder
Directory = dict[tuple[bytes, int, int], np.void]  # by directory_key
_UNKNOWN = {
    OnUnknown.RESET: ServiceFlag.UNKNOWN_RESET,
    OnUnknown.HASH: ServiceFlag.UNKNOWN_HASH,
    OnUnknown.DROP: 0,
}


def flags(service: Service) -> int:
    """The flags of a service, but for SHARED: see mark_shared."""
    value = int(_UNKNOWN[service.on_unknown])
    if service.forward is Forward.DSR:
        value |= ServiceFlag.DSR
    if service.vip.port == ANY_PORT:
        value |= ServiceFlag.ANY_PORT
    if any(len(run) and run.min() != run.max() for run in service.runs):
        value |= ServiceFlag.MULTIPLE
    if service.by_address:
        value |= ServiceFlag.BY_ADDRESS
    if service.reset_down:
        value |= ServiceFlag.RESET_DOWN
    if service.rules:
        value |= ServiceFlag.RULES
    return value


def write(row: np.void, vip: Vip, backend: ServiceBackend) -> None:
    """Fill the record of a back-end, but for what it has of its service: index and flags."""
    address = backend.address
    row["address"], row["port"] = addresses.words(address.address), address.port
    row["vip"], row["vip_port"] = addresses.words(vip.address), vip.port
    row["protocol"] = addresses.PROTOCOL_NUMBERS[vip.protocol]
    row["state"], row["next_hop"] = _STATES[backend.state], backend.next_hop
    hosts = [addresses.pack(a.address) for a in (vip, address)]
    ports = [a.port.to_bytes(2) for a in (vip, address)]
    row["sum_address"] = difference(*hosts)
    row["sum_transport"] = difference(hosts[0] + ports[0], hosts[1] + ports[1])


def difference(old: bytes, new: bytes) -> int:
    """One's complement new - old: what a checksum changes by (RFC 1624)."""
    # 2**16 is 1 modulo 2**16 - 1: any number is the sum of its 16-bit digits.
    apart = int.from_bytes(new, _NATIVE) - int.from_bytes(old, _NATIVE)
    return (apart - 1) % 0xFFFF + 1


def directory_key(entry: np.void) -> tuple[bytes, int, int]:
    """Address, port as it lies in memory, protocol."""
    port = int.from_bytes(int(entry["port"]).to_bytes(2), _NATIVE)
    return entry["address"].tobytes(), port, int(entry["protocol"])


class Known(NamedTuple):
    """
    What the directory is made from, beside the services.

    *table*: the new back-end table.  A server of a removed service stays while it is in there.
    *numbers*: of the application that has a VIP.
    """

    service_index: Mapping[Vip, int]
    table: Array
    local: Collection[IPAddress]
    programs: Programs
    numbers: Mapping[Vip, int]


def directory_entries(
    services: Sequence[Service], first_lines: Sequence[int], known: Known
) -> Array:
    """Everybody the switch must recognise: services, their addresses, and servers that reply."""
    rows: Directory = {}
    entry = partial(_entry, rows)
    service_index, table = known.service_index, known.table
    shared = set(table["service"][table["flags"] & ServiceFlag.SHARED != 0].tolist())
    for service, first in zip(services, first_lines, strict=True):
        vip = service.vip
        number = addresses.PROTOCOL_NUMBERS[vip.protocol]
        row = entry(addresses.words(vip.address), vip.port, number, Role.SERVICE)
        row["index"], row["flags"] = service_index[vip], flags(service)
        if service_index[vip] in shared:
            row["flags"] |= ServiceFlag.SHARED
        row["first_line"], row["slots"] = first, len(service.runs[0])
    known.programs.write(entry, service_index, known.numbers)
    for vip in [*(service.vip for service in services), *known.programs.vips]:
        row = entry(addresses.words(vip.address), 0, 0, Role.ADDRESS)
        row["flags"] |= ServiceFlag.LOCAL if vip.address in known.local else 0
    for index in _repliers(table):
        server = table[index]
        row = entry(server["address"], server["port"], server["protocol"], Role.BACKEND)
        if row["role"] != Role.BACKEND:
            raise LbctlError(
                f"{addresses.from_words(server['address'])}:{server['port']} cannot be a VIP and "
                f"a NAT back-end at once; use another port for one of them"
            )
        row["index"], row["flags"] = index, server["flags"]
    _add_orphans(rows, table)
    return np.array(list(rows.values()), abi.SERVICE)


def _entry(rows: Directory, address: Array, port: int, protocol: int, role: Role) -> np.void:
    """The entry of that address and port, which is made if need be."""
    row: np.void = np.zeros(1, abi.SERVICE)[0]
    row["address"], row["port"], row["protocol"], row["role"] = address, port, protocol, role
    return rows.setdefault(directory_key(row), row)


def _add_orphans(rows: Directory, table: Array) -> None:
    """Let connections of removed VIPs finish, where they are in nobody's way."""
    for index in np.flatnonzero(table["flags"] & ServiceFlag.ORPHAN):
        record = table[index]
        number, sides = int(record["protocol"]), [("vip", "vip_port", Role.SERVICE, "service")]
        if not record["flags"] & ServiceFlag.DSR:
            sides.append(("address", "port", Role.BACKEND, ""))
        for host, port, role, name in sides:
            known = len(rows)
            if (record[host].tobytes(), 0, number) in rows:  # somebody has all of its ports now
                continue
            row = _entry(rows, record[host], record[port], number, role)
            if len(rows) > known:
                row["index"] = record[name] if name else index
                row["flags"] = record["flags"]


def _repliers(table: Array) -> Array:
    """Indices of the NAT servers of all VIPs that are wanted."""
    others = ServiceFlag.DSR | ServiceFlag.ORPHAN
    return np.flatnonzero((table["state"] != BackendState.FREE) & (table["flags"] & others == 0))


def mark_shared(table: Array) -> None:
    """
    Flag the NAT servers in a back-end table that several services have, and number them.

    Raises LbctlError where a server of a VIP with port `*` is shared: its replies could not be told
    apart.
    """
    table["flags"] &= ~np.uint16(ServiceFlag.SHARED)  # of kept records: from another generation
    table["shared"] = 0
    live = _repliers(table)
    hosts = [(table[i]["address"].tobytes(), int(table[i]["protocol"])) for i in live]
    servers = [(*host, int(table[i]["port"])) for host, i in zip(hosts, live, strict=True)]
    uses, ports = Counter(servers), Counter(server[:2] for server in set(servers))
    numbers = {server: number for number, server in enumerate(uses, start=1)}
    for index, host, server in zip(live, hosts, servers, strict=True):
        if not server[2] and (ports[host] > 1 or uses[server] > 1):
            raise LbctlError(
                f"{addresses.unpack(host[0])}: a server of a VIP with port `*` must not serve "
                f"another VIP of that protocol; give it a second address"
            )
        if uses[server] > 1:
            table["flags"][index] |= ServiceFlag.SHARED
            table["shared"][index] = numbers[server]
