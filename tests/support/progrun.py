"""
Program runs: a switch without NICs, whose program is run on single frames (PROG_TEST_RUN).

    with machine(NAT | IPV6) as switch:
        switch.publish(switch.service("203.0.113.10:80/tcp", ["10.0.1.11:8080"]))
        ran = switch.run(frames.tcp("198.51.100.7:40000", "203.0.113.10:80"))

The kernel says of every test run that the frame came in by the loopback device, so that is the one
NIC that is registered, under whichever slot the test asks for.
"""

from __future__ import annotations

import os
import random
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import NamedTuple
from unittest import mock
from uuid import uuid4

import numpy as np

from lbctl.model import Configuration, Forward, OnUnknown, Pool, SocketAddress, State, Timeouts, Vip
from lbctl.shared import abi, syscall, tables
from lbctl.shared.abi import ConnectionKey, Verdict
from lbctl.shared.clock import Clock
from lbctl.shared.programs import Programs
from lbctl.shared.records import Service, ServiceBackend, ServiceRule
from lbctl.shared.routing import NextHop, NextHopState
from lbctl.shared.tables import Capacity
from lbctl.switching.dataplane import Dataplane
from tests.support import frames

BPFFS = Path("/sys/fs/bpf/lbctl")
LOOPBACK = 1
OUTSIDE, INSIDE = 0, 1  # slots of the NICs towards the clients and towards the servers
PROGRAM = abi.PSEUDO_FIRST  # of a pseudo interface
MACS = {OUTSIDE: frames.OUTSIDE_MAC, INSIDE: frames.INSIDE_MAC, PROGRAM: frames.END_MAC}
SMALL = Capacity(
    services=32,
    backends=128,
    slots=32_768,
    connections=8192,
    next_hops=256,
    routes=128,
    rules=32,
)
# What makes the program have a feature, in a word.
POOLS = {
    "nat": {"vips": ["203.0.113.1:1/tcp"], "backends": [{"address": "10.0.0.1:1"}]},
    "ipv6": {"vips": ["[2001:db8::1]:1/tcp"]},
    "dsr": {"vips": ["203.0.113.2:1/tcp"], "forward": "dsr"},
    "any_port": {"vips": ["203.0.113.3:*/tcp"]},
    "shared": {"vips": ["203.0.113.4:1/tcp"], "backends": [{"address": "10.0.0.1:1"}]},
    "rules": {
        "vips": ["203.0.113.5:*/tcp"],
        "rules": [{"clients": "198.51.100.0/24", "pool": "nat"}],
    },
    "reset_down": {"vips": ["203.0.113.6:1/tcp"], "on_down": "reset"},
}
PROGRAMS = {
    "pseudo": {"pseudo": [{"name": "lb0", "addresses": ["203.0.113.254"]}]},
    "apps": {"apps": [{"name": "voip", "vips": ["203.0.113.7:1/udp"]}]},
}
ALL = (*POOLS, *PROGRAMS)


class Ran(NamedTuple):
    """What became of a frame; *frame* is the one that leaves, or would."""

    action: int
    frame: bytes
    verdict: Verdict

    def __repr__(self):
        """Show what scapy makes of it: pytest prints this where two differ."""
        name = ("ABORTED", "DROP", "PASS", "TX", "REDIRECT")[self.action]
        summary = frames.Ether(self.frame).summary() if self.frame else "-"
        return f"<{name} {self.verdict.name} {summary} {self.frame.hex()}>"


def passed(frame, verdict=Verdict.TO_KERNEL):
    """The kernel has it, untouched."""
    return Ran(syscall.PASS, frame, verdict)


def sent(frame, verdict=Verdict.TO_BACKEND):
    """It leaves by another NIC than it came in by."""
    return Ran(syscall.REDIRECT, frame, verdict)


def answered(frame, verdict):
    """It leaves by the NIC that it came in by."""
    return Ran(syscall.TX, frame, verdict)


def dropped(verdict):
    """Nobody will look at the frame."""
    return Ran(syscall.DROP, b"", verdict)


def rule_of(words, slots):
    """Make a rule of "clients 198.51.100.0/24", "port 80" or both; *slots*: as in a service."""
    said = dict(zip(words.split()[::2], words.split()[1::2], strict=True))
    clients = ip_network(said["clients"]) if "clients" in said else None
    return ServiceRule(clients, int(said.get("port", 0)), np.array(slots, np.uint16))


def mac_bytes(mac):
    """Six bytes."""
    return bytes.fromhex(mac.replace(":", ""))


class SharedClock(Clock):
    """One measurement for all switches of a test run."""

    def close(self):
        """Stay: others use it too."""


class Switch:
    """A data plane of its own, in a folder of its own below /sys/fs/bpf."""

    def __init__(self, features=ALL, capacity=SMALL, clock=None):
        self.pins = BPFFS / f"test-{uuid4().hex[:8]}"
        self.capacity, self.clock = capacity, clock or SharedClock()
        self.program, self.busy = None, False
        self.reopen()
        try:
            self.ensure(features)
        except BaseException:
            self.destroy()
            raise

    def reopen(self):
        """Take over the pins as a new daemon would."""
        with mock.patch("lbctl.switching.dataplane.Clock", return_value=self.clock):
            self.dataplane = Dataplane.open(self.pins, self.capacity)
        self.tables = self.dataplane._tables
        self.memory = {
            name: self.tables[name]
            for name, spec in tables.specifications(self.capacity).items()
            if spec.element is not None
        }
        self.configuration = self.dataplane.configuration
        self.connections = self.dataplane.connections
        self.routing = self.dataplane.routing
        self._counted = self.memory["verdicts"].reshape(-1, abi.NICS_MAX, abi.VERDICTS)

    def ensure(self, features):
        """Have a program with at least these features."""
        pools = [
            Pool.model_validate({"name": f, **POOLS[f]}) for f in features if f not in PROGRAMS
        ]
        parts = [PROGRAMS[feature] for feature in features if feature in PROGRAMS]
        wanted = {name: value for part in parts for name, value in part.items()}
        self.dataplane.ensure(Configuration.model_validate({"pools": pools, **wanted}))
        if self.program is not None:
            os.close(self.program)
        (path,) = (self.pins / "programs").iterdir()
        self.program = syscall.get(path)

    def reset(self, seed=1):
        """Begin anew: empty tables, and the secrets that belong to *seed*."""
        for table in self.memory.values():
            table.view("u1")[:] = 0
        self.memory["control"]["layout"] = abi.ABI_VERSION
        for prefix in self.routing.routes():
            self.routing.delete_route(prefix)
        for key in self.rules():
            syscall.map_delete(self.tables.fd["rules"], key)
        with mock.patch("os.urandom", random.Random(seed).randbytes):
            self.tables.make_keys()
        self.dataplane.close()
        with mock.patch("lbctl.shared.syscall.wait_for_packets"):  # there are none
            self.reopen()
        self.now_in(OUTSIDE)
        for slot in MACS:
            exits = self.tables.fd["exits"]
            syscall.map_update(exits, slot.to_bytes(4, "little"), LOOPBACK.to_bytes(4, "little"))

    def destroy(self):
        """Leave nothing behind."""
        if self.program is not None:
            os.close(self.program)
        self.dataplane.destroy()

    # -- frames ----------------------------------------------------------------------------

    def now_in(self, nic, mac=None):
        """Let frames come in by this slot from now on."""
        value = mac_bytes(mac or MACS[nic]) + nic.to_bytes(2, "little")
        self.memory["nics"].view("<u8")[LOOPBACK] = int.from_bytes(value, "little")

    def run(self, frame, nic=OUTSIDE):
        """Run one frame; the verdict is what the counters say."""
        self.now_in(nic)
        before = self._counted["packets"][:, nic].sum(axis=0)
        ran = syscall.test_run(self.program, frame)
        (verdict,) = np.flatnonzero(self._counted["packets"][:, nic].sum(axis=0) - before)
        out = b"" if ran.action == syscall.DROP else ran.frame
        return Ran(ran.action, out, Verdict(verdict))

    def reply(self, frame):
        """Run a frame that a server sent."""
        return self.run(frame, INSIDE)

    def fast(self, frame):
        """Run one frame without asking the counters."""
        return syscall.test_run(self.program, frame)

    def counters(self):
        """What was counted of each server, by its place: a row of abi.BACKEND_COUNTER."""
        rows = self.dataplane.counters.by_backend()
        records = self.configuration.backends()
        return {str(record.address): rows[index] for index, record in records.items()}

    def verdicts(self):
        """How many packets had each verdict, whichever NIC they came by."""
        counts = self._counted["packets"].sum(axis=(0, 1))
        return {Verdict(verdict): int(counts[verdict]) for verdict in np.flatnonzero(counts)}

    # -- configuration ---------------------------------------------------------------------

    def host(self, address, mac=None, nic=INSIDE, mtu=1500, state=NextHopState.RESOLVED):
        """Give the next hop of a destination, which is set to how to get there."""
        index = self.routing.destination(ip_address(address))
        self.set_hop(index, mac or frames.server_mac(address), nic, mtu, state)
        return index

    def set_hop(self, index, mac, nic=INSIDE, mtu=1500, state=NextHopState.RESOLVED):
        """Fill a next hop."""
        hop = NextHop(nic, mac_bytes(mac), mac_bytes(MACS.get(nic, MACS[INSIDE])), mtu, state)
        self.routing.set_next_hop(index, hop)

    def route(self, prefix, mac, nic=OUTSIDE, mtu=1500, state=NextHopState.RESOLVED):
        """Add a prefix behind a gateway; connections do not hear of it before bump()."""
        index = self.routing.gateway(mac)
        self.set_hop(index, mac, nic, mtu, state)
        self.routing.put_route(ip_network(prefix), index)
        return index

    def service(self, vip, servers, forward="nat", unknown="reset", slots=None, **more):
        """
        Make a service of servers written "10.0.1.11:8080" or "10.0.1.11:8080 draining".

        *slots*: positions of servers; the active ones in turn unless given.  *more*: by_address,
        reset_down; rules, slots by "clients 198.51.100.0/24 port 80"; or the next hop of all
        servers, as in `host`: one that has a next hop already keeps it.
        """
        rules = tuple(rule_of(*rule) for rule in more.pop("rules", {}).items())
        flags = {name: more.pop(name, False) for name in ("by_address", "reset_down")}
        backends = []
        for text in servers:
            place, _, state = text.partition(" ")
            host, port = frames.split(place)
            known = self.routing.destinations().get(ip_address(host))
            backends.append(
                ServiceBackend(
                    SocketAddress(ip_address(host), port),
                    State(state or "active"),
                    self.host(host, **more) if known is None else known,
                )
            )
        if slots is None:
            slots = [i for i, b in enumerate(backends) if b.state is State.ACTIVE] * 16
        return Service(
            Vip.parse(vip),
            Forward(forward),
            OnUnknown(unknown),
            tuple(backends),
            np.array(slots, np.uint16),
            rules=rules,
            **flags,
        )

    def rules(self):
        """The keys of all rules, of both buffers."""
        return syscall.map_keys(self.tables.fd["rules"], abi.RULE_KEY.itemsize)

    def publish(self, *services, timeouts=None, local=(), programs=None):
        """Publish the next generation; wait for packets only if some may be on their way."""
        with ExitStack() as quickly:
            if not self.busy:
                quickly.enter_context(mock.patch("lbctl.shared.syscall.wait_for_packets"))
            self.configuration.publish(
                services,
                timeouts or Timeouts(),
                self.configuration.generation + 1,
                {ip_address(address) for address in local},
                programs or Programs(),
            )

    def pseudo(self, *hosts, mtu=1500, state=NextHopState.RESOLVED):
        """Give pseudo interfaces these addresses, for `Programs`."""
        where = (frames.PROGRAM_MAC, PROGRAM, mtu, state)
        return {ip_address(host): self.host(host, *where) for host in hosts}

    def shut(self, nic):
        """Let nothing leave by a slot."""
        syscall.map_delete(self.tables.fd["exits"], nic.to_bytes(4, "little"))

    # -- connections -----------------------------------------------------------------------

    @property
    def entries(self):
        """All places of the connection table, one behind the other."""
        return self.memory["connections"]["way"].reshape(-1)

    def states(self):
        """The states of the live connections, by client."""
        return {str(c.client): c.state for c in self.connections.list()}

    def age(self, seconds):
        """Let time pass for every connection, without waiting."""
        ticks = round(seconds / self.clock.tick_seconds) & 0xFFFF
        self.entries["last_used"][:] -= np.uint16(ticks)

    def forget(self):
        """Empty the connection table."""
        self.memory["connections"].view("u1")[:] = 0
        self.memory["details"].view("u1")[:] = 0

    def fill(self, key, state, age=0, backend=0):
        """
        Fill every free place of both sets of a client with strangers.

        *key*: the client's fingerprint, which says which sets they are.
        """
        ways = self.memory["connections"]["way"]
        for index in {key % len(ways), (key >> 32) % len(ways)}:
            for way in ways[index]:
                if way["key"] == ConnectionKey.FREE:
                    way["key"], way["backend"], way["state"] = key ^ 1 << 63, backend, state
                    way["last_used"] = (self.clock.now() - age) & 0xFFFF

    def key_of(self, frame):
        """Find the fingerprint of a frame's client, by letting it in and out again."""
        before = self.entries.copy()
        self.run(frame)
        (changed,) = np.flatnonzero(self.entries["key"] != before["key"])
        key = int(self.entries["key"][changed])
        self.entries[:] = before
        return key


@contextmanager
def machine(features=ALL, capacity=SMALL, clock=None):
    """A switch for a while."""
    switch = Switch(features, capacity, clock)
    try:
        yield switch
    finally:
        switch.destroy()
