"""A switch to measure: a data plane of its own, on no NIC but the number of the loopback."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lbctl.model import (
    ANY_PORT,
    App,
    Backend,
    Configuration,
    Forward,
    OnExit,
    OnUnknown,
    Pool,
    Protocol,
    Pseudo,
    SocketAddress,
    State,
    Timeouts,
    Vip,
)
from lbctl.netif import sockets
from lbctl.shared import abi, syscall, tables
from lbctl.shared.configuration import Service, ServiceBackend
from lbctl.shared.programs import AppService, Programs
from lbctl.shared.routing import NextHop, NextHopState
from lbctl.switching import pins, program
from lbctl.switching.dataplane import Dataplane, features

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from lbctl.model import IPAddress
    from lbctl.shared.abi import Verdict
    from lbctl.shared.tables import Capacity

OUR_MAC = bytes.fromhex("020000000001")
PEER_MAC = bytes.fromhex("020000000002")
FIRST_PORT = 8000
OUTSIDE_NIC, OTHER_NIC = 0, 1  # slots: where packets come from, and another
PSEUDO_NIC = abi.PSEUDO_FIRST  # slot of a pseudo interface
_LOOPBACK = 1  # what BPF_PROG_TEST_RUN takes for the NIC of its frames
_ROOT = Path("/sys/fs/bpf")
_MTU = 1500


@contextmanager
def folder() -> Iterator[Path]:
    """A folder in bpffs for the pins of one benchmark."""
    path = _ROOT / f"lbctl_bench_{os.getpid()}"
    path.mkdir()
    try:
        yield path
    finally:
        pins.remove(path)


@dataclass(frozen=True)
class Plan:
    """
    Services of one kind: as many VIPs (one address, ports behind each other) as *services*.

    *pseudo*: the address of a pseudo interface beside them; *app*: the VIP of a network
    application that runs; empty: there is none.
    """

    version: int = 4
    protocol: Protocol = Protocol.TCP
    forward: Forward = Forward.NAT
    services: int = 1
    backends: int = 10
    slots: int = 65537
    on_unknown: OnUnknown = OnUnknown.HASH
    pseudo: str = ""
    app: str = ""

    @property
    def address(self) -> IPAddress:
        """The VIPs' address."""
        return ip_address("203.0.113.10" if self.version == 4 else "2001:db8:a::10")

    @property
    def interfaces(self) -> tuple[Pseudo, ...]:
        """The pseudo interface, if there is one."""
        return (Pseudo(name="lb0", addresses=(self.pseudo,)),) if self.pseudo else ()

    @property
    def apps(self) -> tuple[App, ...]:
        """The network application, if there is one."""
        vips = (Vip.parse(self.app),) if self.app else ()
        return (App(name="app", vips=vips, on_exit=OnExit.DROP),) if vips else ()

    def vip(self, number: int) -> Vip:
        """The VIP of one service."""
        return Vip(self.address, FIRST_PORT + number, self.protocol)

    def servers(self, number: int) -> list[SocketAddress]:
        """The back-ends of one service: nobody else's."""
        first = ip_address("10.1.0.1" if self.version == 4 else "2001:db8:b::1")
        port = FIRST_PORT + number if self.forward is Forward.DSR else 8080
        return [
            SocketAddress(first + number * self.backends + i, port) for i in range(self.backends)
        ]

    def pools(self) -> list[Pool]:
        """The same for the model: one pool a service."""
        return [
            Pool(
                name=f"v{self.version}-{self.forward}-{self.protocol}-{number}",
                vips=(self.vip(number),),
                forward=self.forward,
                backends=tuple(Backend(address=server) for server in self.servers(number)),
            )
            for number in range(self.services)
        ]


# Together with any other these need every feature that a program can have.
EVERYTHING = (
    *Plan(6).pools(),
    *Plan(protocol=Protocol.UDP, forward=Forward.DSR).pools(),
    Pool(
        name="any",
        vips=(Vip(ip_address("203.0.113.11"), ANY_PORT, Protocol.TCP),),
        backends=(Backend(address="10.2.0.1:80"),),
    ),
    Pool(
        name="shared",
        vips=tuple(Vip(ip_address("203.0.113.12"), p, Protocol.TCP) for p in (80, 81)),
        backends=(Backend(address="10.3.0.1:80"),),
    ),
)


def register_loopback(path: Path, slot: int = OUTSIDE_NIC) -> None:
    """Let the loopback, whose frames test runs bring, be a NIC of the switch pinned there."""
    nic = OUR_MAC + slot.to_bytes(2, "little")
    _map_set(path, "nics", _LOOPBACK, nic)


@contextmanager
def only_program(path: Path) -> Iterator[int]:
    """A descriptor of the one program pinned in a switch's folder."""
    register_loopback(path)
    (program_path,) = (path / "programs").iterdir()
    descriptor = syscall.get(program_path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _map_set(path: Path, table: str, key: int, value: bytes) -> None:
    descriptor = syscall.get(path / "tables" / table)
    syscall.map_update(descriptor, key.to_bytes(4, "little"), value)
    os.close(descriptor)


class Switch:
    """One data plane with one plan."""

    def __init__(
        self, path: Path, capacity: Capacity, plan: Plan, also: tuple[Pool, ...] = ()
    ) -> None:
        self.path, self.plan, self._capacity = path, plan, capacity
        self.dataplane = Dataplane.open(path, capacity)
        self._configuration = Configuration(
            pools=(*plan.pools(), *also), pseudo=plan.interfaces, apps=plan.apps
        )
        self._open = ExitStack()
        self.dataplane.ensure(self._configuration)
        register_loopback(path)
        for slot in (OUTSIDE_NIC, OTHER_NIC, PSEUDO_NIC):
            _map_set(path, "exits", slot, _LOOPBACK.to_bytes(4, "little"))
        routing = self.dataplane.routing
        gateway = routing.gateway("clients")
        for prefix in ("0.0.0.0/0", "::/0"):
            routing.put_route(ip_network(prefix), gateway)
        routing.bump()
        self.leave_by(OUTSIDE_NIC)
        self.publish(plan)
        self._run(plan.apps)

    def publish(self, plan: Plan, seed: int = 0) -> None:
        """Replace all services by those of *plan*."""
        generation = self.dataplane.configuration.generation + 1
        services = self.services(plan, seed)
        hosts = [address.ip for one in plan.interfaces for address in one.addresses]
        hops = {host: self.dataplane.routing.destination(host) for host in hosts}
        apps = tuple(AppService(app.vips, app.on_exit) for app in plan.apps)
        self.dataplane.configuration.publish(
            services, Timeouts(), generation, programs=Programs(apps, pseudo=hops)
        )
        self.leave_by(OUTSIDE_NIC)

    def _run(self, apps: tuple[App, ...]) -> None:
        """Give applications a socket to receive by: it is never read, for nothing gets there."""
        for app in apps:
            made = self._open.enter_context(sockets.create([sockets.Place.of("lo")], 64))
            table = self.dataplane.configuration
            number = table.app_number(app.vips[0])
            if number is None:
                raise LookupError(f"{app.vips[0]} is not published")
            table.app_table.put(number, OUTSIDE_NIC, 0, made.sockets[0].fileno())

    def services(self, plan: Plan, seed: int = 0) -> list[Service]:
        """The services of *plan*, with slots dealt at random."""
        destination = self.dataplane.routing.destination
        random = np.random.default_rng(seed)
        return [
            Service(
                plan.vip(number),
                plan.forward,
                plan.on_unknown,
                tuple(
                    ServiceBackend(server, State.ACTIVE, destination(server.address))
                    for server in plan.servers(number)
                ),
                random.integers(0, plan.backends, plan.slots, np.uint16),
            )
            for number in range(plan.services)
        ]

    def leave_by(self, nic: int) -> None:
        """Let all back-ends and clients be behind that NIC."""
        routing = self.dataplane.routing
        hop = NextHop(nic, PEER_MAC, OUR_MAC, _MTU, NextHopState.RESOLVED)
        for index in (*routing.destinations().values(), *routing.gateways().values()):
            routing.set_next_hop(index, hop)

    def come_by(self, nic: int) -> None:
        """Let all packets come in by that NIC."""
        register_loopback(self.path, nic)

    @cached_property
    def program(self) -> int:
        """A descriptor of the program."""
        (path,) = (self.path / "programs").iterdir()
        return syscall.get(path)

    def other_program(self, sources: Path) -> int:
        """Compile another copy of bpf_src for the same tables; returns a descriptor."""
        wanted = self.dataplane._macros(features(self._configuration))  # noqa: SLF001
        with tempfile.NamedTemporaryFile("w", suffix=".c") as text:
            text.write(program.paste(sources, "switch.c"))
            text.flush()
            program.compile_program(self.path / "other", wanted, source=text.name)
        return syscall.get(self.path / "other")

    def forget(self) -> None:
        """Empty the connection table: no packet runs that could mind."""
        with closing(tables.take_over(self.path / "tables", self._capacity)) as opened:
            opened["connections"].view("u1")[:] = 0

    def verdicts(self) -> dict[Verdict, int]:
        """Packets so far."""
        found: Counter[Verdict] = Counter()
        for count in self.dataplane.counters.by_nic():
            found[count.verdict] += count.packets
        return dict(found)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Remove it whole."""
        self._open.close()
        os.close(self.program)
        self.dataplane.destroy()
