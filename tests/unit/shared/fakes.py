"""Shared memory without a kernel: the same tables, in ordinary memory."""

from __future__ import annotations

from ipaddress import ip_address

import numpy as np

from lbctl.model import Forward, OnUnknown, SocketAddress, State, Vip
from lbctl.shared import abi, tables
from lbctl.shared.clock import Clock
from lbctl.shared.configuration import ConfigurationTable
from lbctl.shared.connections import ConnectionTable
from lbctl.shared.records import Service, ServiceBackend
from lbctl.shared.tables import Capacity

TINY = Capacity(services=8, backends=12, slots=512, connections=64, next_hops=8, routes=8, rules=4)


class FakeTables(dict):
    """What Tables is to its users: memory by name, and a capacity."""

    def __init__(self, capacity=TINY):
        super().__init__(
            (name, np.zeros(spec.entries, spec.element))
            for name, spec in tables.specifications(capacity).items()
            if spec.element is not None
        )
        self.capacity, self.fd = capacity, {"routes": 0, "rules": 1}


class FakeClock(Clock):
    """A clock that stands still until it is set."""

    def __init__(self, hz=250, shift=8):
        self.hz, self.shift, self.tick_seconds = hz, shift, (1 << shift) / hz
        self.tick = 1000

    def now(self):
        """The tick that was set."""
        return self.tick


class Shared:
    """Connections and configuration over the same fake tables, wired as the data plane does."""

    def __init__(self, capacity=TINY, tables=None):
        self.tables = FakeTables(capacity) if tables is None else tables
        self.clock = FakeClock()
        self.connections = ConnectionTable(self.tables, self.clock)
        self.configuration = ConfigurationTable(self.tables, self.connections, self.clock)
        self.connections.records = self.configuration.backends
        self.connections.run_forget = self.forget

    @property
    def entries(self):
        """All entries, one behind the other."""
        return self.tables["connections"]["way"].reshape(-1)

    def forget(self, forgotten):
        """Do what the program lb_forget does."""
        rows = np.frombuffer(forgotten, abi.FORGOTTEN)
        rows = rows[self.entries["key"][rows["index"]] == rows["key"]]
        self.entries["key"][rows["index"]] = 0
        return len(rows)

    def connect(self, place, backend, state=2, client="198.51.100.7:40000", age=0):
        """Put a connection into a place of the table."""
        entry, detail = self.entries[place : place + 1], self.tables["details"][place : place + 1]
        entry["key"], entry["backend"], entry["state"] = 100 + place, backend, state
        entry["last_used"] = (self.clock.tick - age) & 0xFFFF
        host, _, port = client.rpartition(":")
        packed = ip_address(host.strip("[]"))
        mapped = packed.packed if packed.version == 6 else b"\0" * 10 + b"\xff\xff" + packed.packed
        detail["client"], detail["client_port"] = np.frombuffer(mapped, ">u4"), int(port)
        detail["service_port"] = 80


def service(vip, *servers, slots=None, forward="nat", unknown="reset"):
    """Make a service of servers "10.0.1.11:8080"."""
    backends = []
    for text in servers:
        host, _, port = text.rpartition(":")
        address = SocketAddress(ip_address(host.strip("[]")), int(port))
        backends.append(ServiceBackend(address, State.ACTIVE, 1))
    slots = list(range(len(servers))) if slots is None else slots
    return Service(
        Vip.parse(vip),
        Forward(forward),
        OnUnknown(unknown),
        tuple(backends),
        np.array(slots, np.uint16),
    )
