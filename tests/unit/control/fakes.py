"""A switch without a kernel: what the controller asks of its neighbours, remembered in lists."""

# ruff: noqa: D102 - each method does what the real one says

from __future__ import annotations

from ipaddress import ip_address
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from lbctl.control.pseudo_keeper import NoInterfaces
from lbctl.control.standing import NOTHING_FOUND, Standing, Standings
from lbctl.errors import Conflict, NotFound
from lbctl.model import Configuration, SocketAddress, State, Vip
from lbctl.shared import abi
from lbctl.shared.configuration import BackendRecord
from lbctl.shared.connections import Connection, Filter
from lbctl.shared.routing import NextHop, NextHopState
from lbctl.shared.tables import Capacity
from lbctl.switching.nics import AttachedNic

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from lbctl.model import IPAddress, Nic
    from lbctl.shared.programs import Programs

VIP = Vip.parse("203.0.113.10:80/tcp")
ONE, TWO = (SocketAddress.parse(f"10.0.1.1{n}:8080") for n in (1, 2))
CAPACITY = 2048  # back-end records


def configured(**fields: Any) -> Configuration:
    """A configuration from plain data."""
    return Configuration.model_validate(fields)


def web(*weights: int, **fields: Any) -> dict[str, Any]:
    """The pool web as plain data, with a back-end 10.0.1.11, .12, ... for each weight."""
    backends = [
        {"address": f"10.0.1.{11 + i}:8080", "weight": weight} for i, weight in enumerate(weights)
    ]
    pool = {"name": "web", "vips": [str(VIP)], "backends": backends, "table_size": 101}
    return {**pool, **fields}


class Tables:
    """The configuration table: remembers what was published."""

    def __init__(self) -> None:
        self.generation = 0
        self.active_buffer = "A"
        self.app_table = SimpleNamespace()  # of applications, which no test here has running
        self.services: tuple[Any, ...] = ()
        self.local: frozenset[IPAddress] = frozenset()
        self.programs: Programs | None = None
        self.history: list[int] = []
        self.before_publish: Callable[[int], None] = lambda _: None
        self.after_publish: Callable[[int], None] = lambda _: None
        self.kept: dict[int, BackendRecord] = {}  # removed, but with connections
        self.indices: dict[BackendRecord, int] = {}

    def publish(
        self, services: Any, timeouts: Any, generation: int, local: Any, programs: Any = None
    ) -> None:
        self.before_publish(generation)
        self.services, self.timeouts, self.generation = services, timeouts, generation
        self.local, self.programs = local, programs
        self.active_buffer = "B" if self.active_buffer == "A" else "A"
        self.history.append(generation)
        self.indices = {record: index for index, record in self.backends().items()}
        self.after_publish(generation)

    def backends(self) -> dict[int, BackendRecord]:
        named = [BackendRecord(s.vip, b.address) for s in self.services for b in s.backends]
        return dict(enumerate(named)) | self.kept

    def service_index(self, vip: Vip) -> int | None:
        vips = [service.vip for service in self.services]
        vips += self.programs.vips if self.programs else ()
        return vips.index(vip) if vip in vips else None

    def backend_index(self, vip: Vip, address: SocketAddress) -> int | None:
        return self.indices.get(BackendRecord(vip, address))


class Connections:
    """The connection table: rows that a test puts there."""

    size = 1024

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.rows: list[Connection] = []
        self.flushed: list[Filter] = []
        self.sweeps: list[Callable[[], None]] = []  # what is to happen during the next ones

    def used(self) -> int:
        return len(self.rows)

    def census(self) -> tuple[int, np.ndarray]:
        return self.used(), self.count_by_backend()

    def count(self, only: Filter) -> int:
        return len(self.list(only))

    def count_by_backend(self) -> np.ndarray:
        counts = np.zeros(CAPACITY, np.int64)
        for row in self.rows:
            counts[self.tables.backend_index(row.vip, row.backend)] += 1
        return counts

    def list(self, only: Filter, limit: int | None = None) -> list[Connection]:
        found = [
            row
            for row in self.rows
            if (only.vips is None or row.vip in only.vips)
            and only.backend in (None, row.backend)
            and (only.client is None or row.client.address == only.client[0])
        ]
        return found[:limit]

    def sweep(self) -> int:
        self.sweeps.pop(0)()
        return 0

    def flush(self, only: Filter) -> int:
        self.flushed.append(only)
        return len(self.list(only))


class Routes:
    """The routing table: which hosts have a next hop."""

    def __init__(self) -> None:
        self.hosts: dict[IPAddress, int] = {}
        self.hops: dict[int, NextHop] = {}  # by index; others are behind eth0
        self.lost: set[IPAddress] = set()

    def destination(self, address: IPAddress) -> int:
        return self.hosts.setdefault(address, max(self.hosts.values(), default=0) + 1)

    def destinations(self) -> dict[IPAddress, int]:
        return dict(self.hosts)

    def reachable(self) -> dict[IPAddress, bool]:
        return {host: host not in self.lost for host in self.hosts}

    def gateways(self) -> dict[str, int]:
        return {"198.51.100.1": 9}

    def routes(self) -> dict[str, int]:
        return {"0.0.0.0/0": 9, "10.0.0.0/8": 9}

    def release(self, address: IPAddress) -> None:
        del self.hosts[address]

    def next_hop(self, index: int) -> NextHop:
        return self.hops.get(index, NextHop(2, bytes(6), bytes(6), 1500, NextHopState.RESOLVED))


class Dataplane:
    """The switch: NICs that exist are attached, anything else raises as the real one does."""

    def __init__(self, links: Links) -> None:
        self.links = links
        self.configuration = Tables()
        self.connections = Connections(self.configuration)
        self.routing = Routes()
        self.counters = SimpleNamespace(
            by_nic=lambda: iter(self.counts),
            by_backend=lambda: self.traffic,
            reasons=lambda: self.reasons,
            of_service=lambda index: self.reasons[0][index],
        )
        self.counts: list[Any] = []
        self.traffic = np.zeros(CAPACITY, abi.BACKEND_COUNTER)
        self.capacity = Capacity(backends=CAPACITY)
        self.reasons = tuple(np.zeros((CAPACITY, abi.VERDICTS), np.uint64) for _ in range(2))
        self.nics: dict[str, Any] = {}
        self.foreign: set[str] = set()
        self.calls: list[str] = []
        self.ensured: list[Configuration] = []
        self.fail: dict[str, Exception] = {}

    def _do(self, call: str) -> None:
        self.calls.append(call)
        if error := self.fail.pop(call, None):
            raise error

    def ensure(self, configuration: Configuration) -> None:
        self._do("ensure")
        self.ensured.append(configuration)

    def attach(self, nic: Nic) -> None:
        self._do(f"attach {nic.name} {nic.mode}")
        if nic.name in self.foreign:
            raise Conflict(f"{nic.name}: another XDP program is attached")
        if (index := self.links.index(nic.name)) is None:
            raise NotFound(f"{nic.name}: no such NIC")
        mode = "native" if nic.mode == "auto" else str(nic.mode)
        mac = bytes([2, 0, 0, 0, 0, index])
        self.nics[nic.name] = AttachedNic(nic.name, index, mode, "938c70b5", index, mac)

    def detach(self, name: str) -> None:
        self._do(f"detach {name}")
        if name not in self.nics:
            raise NotFound(f"{name}: not attached")
        del self.nics[name]

    def attached(self) -> list[Any]:
        return list(self.nics.values())

    def close(self) -> None:
        self._do("close")

    def destroy(self) -> None:
        self._do("destroy")

    def refresh_nics(self) -> list[str]:
        gone = [n.name for n in self.nics.values() if self.links.index(n.name) != n.ifindex]
        for name in gone:
            del self.nics[name]
        return gone


class Interfaces(NoInterfaces):
    """The interface daemon: there is nothing for it to do."""

    def follow(self) -> None:
        pass


class Routing:
    """The routing daemon: every host answers but those in `unreachable`."""

    def __init__(self) -> None:
        self.unreachable: dict[IPAddress, str] = {}
        self.calls: list[str] = []
        self.asked: set[IPAddress] = set()
        self.routes: dict[Any, Any] = {}

    def start(self) -> None:
        self.calls.append("start")

    def stop(self) -> None:
        self.calls.append("stop")

    def refresh(self) -> None:
        self.calls.append("refresh")

    def resolve(self, addresses: Iterable[IPAddress], _timeout: float) -> dict[IPAddress, Any]:
        self.asked = set(addresses)
        return {address: self.unreachable.get(address) for address in self.asked}

    def warnings(self, but: Collection[IPAddress] = ()) -> list[str]:
        return [text for address, text in self.unreachable.items() if address not in but]

    def routes_view(self) -> list[dict[str, Any]]:
        blackhole = {"prefix": "192.0.2.0/24", "next_hop": None, "nic": None, "mac": None}
        return [{**blackhole, "state": "no-route"}]

    def neighbors_view(self) -> list[dict[str, Any]]:
        mac = "02:00:00:00:00:0b"
        host = {"address": "10.0.1.11", "nic": "eth0", "mac": mac, "state": "reachable"}
        return [{**host, "used_by": ["10.0.1.11"]}]


class Links:
    """The namespace: two NICs that are up, and no address of its own."""

    def __init__(self) -> None:
        self.indices = {"eth0": 2, "eth1": 3}
        self.down: set[str] = set()
        self.addresses: set[IPAddress] = set()

    def index(self, name: str) -> int | None:
        return self.indices.get(name)

    def is_up(self, name: str) -> bool:
        return name not in self.down

    def own(self, addresses: Iterable[IPAddress]) -> frozenset[IPAddress]:
        return frozenset(addresses) & self.addresses


class Watch:
    """Finds what a test says, and remembers what it was asked and told."""

    def __init__(self) -> None:
        self.found = NOTHING_FOUND
        self.calls: list[tuple[str, Any]] = []
        self.told: list[tuple[str, str, str]] = []
        self.seen: dict[SocketAddress, Any] = {}

    def start(self, configuration: Configuration) -> None:
        self.calls.append(("start", configuration))

    def follow(self, configuration: Configuration) -> None:
        self.calls.append(("follow", configuration))

    def admit(self, old: Configuration, new: Configuration) -> None:
        self.calls.append(("admit", (old, new)))

    def standings(self, configuration: Configuration) -> Standings:
        self.calls.append(("standings", configuration))
        return self.found

    def observations(self, _pool: Any) -> dict[SocketAddress, Any]:
        return self.seen

    def tell(self, kind: str, subject: str, text: str) -> None:
        self.told.append((kind, subject, text))


def standings(*down: SocketAddress, pool: str = "web", state: State = State.DOWN) -> Standings:
    """Back-ends of *pool* that were found to be in *state*."""
    return Standings({(pool, address): Standing(state, "no answer") for address in down}, {})


def connection(number: int = 1, backend: SocketAddress = ONE, vip: Vip = VIP) -> Connection:
    """An established connection of the client 198.51.100.NUMBER."""
    client = SocketAddress(ip_address(f"198.51.100.{number}"), 40000)
    return Connection(vip.protocol, client, vip, backend, "established", 1.5)
