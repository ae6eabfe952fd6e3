"""
The model: the switch as one would write it without hurry, in dictionaries.

It says what must become of a packet.  Which of several servers a new connection gets it leaves to
the switch: the test tells it afterwards.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from lbctl.shared.abi import Verdict
from tests.support import frames


@dataclass
class Service:
    """
    One VIP: its servers with their states, and how they are reached.

    *own*: the servers of its own slots, all unless told.  *rules*: those of other connections, by
    "clients 198.51.100.8/32 port 443".
    """

    name: str
    servers: dict[str, str]
    protocol: str = "tcp"
    forward: str = "nat"
    unknown: str = "reset"
    any_port: bool = False
    own: tuple = ()
    rules: dict[str, tuple] = field(default_factory=dict)
    by_address: bool = False
    reset_down: bool = False
    homes: dict[str, str] = field(default_factory=dict)  # by the client's address
    refusals: dict[str, bool] = field(default_factory=dict)  # may be withheld, by server

    def active(self, servers):
        """Those of them that get new connections."""
        return [server for server in servers if self.servers[server] == "active"]

    @property
    def runs(self):
        """Who gets new connections, by the rule; "" is the service's own slots."""
        found = {rule: self.active(servers) for rule, servers in self.rules.items()}
        return {"": self.active(self.own or self.servers)} | found

    @property
    def several(self):
        """Whether some of its clients' second SYNs find another server."""
        return any(len(run) > 1 for run in self.runs.values())

    def run(self, client, port):
        """Who may get a new connection: a rule for the port goes before one for any."""
        host = ip_address(frames.split(client)[0])
        best = (False, -1), ""
        for rule in self.rules:
            said = dict(zip(rule.split()[::2], rule.split()[1::2], strict=True))
            clients = ip_network(said["clients"]) if "clients" in said else None
            if (clients and host not in clients) or said.get("port", str(port)) != str(port):
                continue
            best = max(best, (("port" in said, clients.prefixlen if clients else -1), rule))
        return self.runs[best[1]]

    def publish(self):
        """See what the switch sees from now on; it remembers of removed servers what it knew."""
        self.homes.clear()
        for server, state in self.servers.items():
            if state != "removed":
                self.refusals[server] = self.several


@dataclass
class Connection:
    """What there is to know of a connection."""

    service: Service
    server: str
    state: str
    used: int
    answered: bool = False
    withheld: bool = False  # a refusal of this server
    spent: bool = False  # no refusal will be
    over: frozenset = frozenset()  # the sides that have finished or reset

    @property
    def asking(self):
        """Whether the server has not said yes so far."""
        return self.state == "half_open" and not self.answered


@dataclass
class App:
    """A VIP of a network application, and whether that runs."""

    name: str
    protocol: str
    on_exit: str
    runs: bool = False

    def forward(self, flags):
        """A client's packet; flags "" is UDP."""
        if self.runs:
            return Fate(Verdict.TO_APP)
        if self.on_exit == "kernel":
            return Fate(Verdict.TO_KERNEL)
        if self.on_exit == "reset" and flags:
            return Fate(Verdict.DROP_UNANSWERABLE if "R" in flags else Verdict.RESET)
        return Fate(Verdict.DROP_APP_GONE)


class Fate(NamedTuple):
    """What becomes of a packet; *servers*: those that it may go to."""

    verdict: Verdict
    servers: tuple = ()
    service: Service | None = None


def is_syn(flags):
    """Tell whether a packet asks for a connection."""
    return "S" in flags and not set("AFR") & set(flags)


class Model:
    """All connections, by client and service; time is in ticks."""

    def __init__(self, timeouts):
        self.timeouts, self.now = timeouts, 0
        self.connections = {}
        self.counters = {}  # by service and the server's address
        self.pending = None  # a connection whose server is not known yet, and the one before it

    def live(self, key):
        """The connection of that key, unless its time is over."""
        connection = self.connections.get(key)
        if connection and self.now - connection.used > self.timeouts[connection.state]:
            del self.connections[key]
            return None
        return connection

    def states(self):
        """The states of all live connections, sorted."""
        live = [self.live(key) for key in list(self.connections)]
        return sorted(connection.state for connection in live if connection)

    def count(self, connection, what):
        """Count something of the server of a connection."""
        key = (connection.service.name, frames.split(connection.server)[0])
        self.counters.setdefault(key, Counter())[what] += 1

    def forward(self, service, client, port, flags, *, proven):
        """
        A client's packet; flags "" is UDP.

        *proven*: it acknowledges what the server said.
        """
        key = (client, service.name, port if service.any_port else 0)
        connection = self.live(key)
        if not connection or self.starts_over(connection, flags):
            return self.begin(key, service, flags, connection, port)
        if self.is_lost(connection, flags):
            connection.state, connection.used = "closed", self.now
            connection.over = frozenset({"server"})
            return Fate(Verdict.RESET_DOWN)
        if is_syn(flags):
            self.note_silence(connection)
        self.advance(connection, "client", flags, proven=proven)
        return Fate(Verdict.TO_BACKEND, (connection.server,), service)

    def is_lost(self, connection, flags):
        """Tell whether the client hears that its server is down; its own resets go on."""
        service = connection.service
        down = service.reset_down and service.servers[connection.server] == "down"
        return down and flags and "R" not in flags

    def note_silence(self, connection):
        """A SYN once more: the server was silent, unless its refusal was kept back."""
        if connection.asking and not connection.withheld:
            self.count(connection, "retries")

    def starts_over(self, connection, flags):
        """Tell whether a packet begins a new connection in the place of an old one."""
        state = connection.service.servers[connection.server]
        if connection.state == "udp":
            return state in ("down", "removed")
        if not is_syn(flags):
            return False
        several = connection.service.several and connection.service.forward == "nat"
        return (
            connection.state in ("closing", "closed")
            or state != "active"
            or (connection.asking and several)
        )

    def begin(self, key, service, flags, before, port):
        """A packet of no connection."""
        syn = is_syn(flags)
        run = service.run(key[0], port)
        if not run and not service.rules:
            return Fate(Verdict.DROP_NO_BACKEND)
        if flags and not syn and service.unknown != "hash":
            if service.unknown == "drop":
                return Fate(Verdict.DROP_NO_CONNECTION)
            return Fate(Verdict.DROP_UNANSWERABLE if "R" in flags else Verdict.RESET)
        if not run:
            return Fate(Verdict.DROP_NO_BACKEND)
        if before and syn:
            self.note_silence(before)
        state, over = "udp" if not flags else "half_open", frozenset()
        if flags and not syn:
            state = "closed" if "R" in flags else "closing" if "F" in flags else "established"
            over = frozenset() if state == "established" else {"client"}
        alone = bool(service.rules) and len(run) == 1 and syn
        self.connections[key] = Connection(service, "", state, self.now, spent=alone, over=over)
        self.pending = (key, before if before and before.asking else None)
        return Fate(Verdict.TO_BACKEND_NEW, tuple(run), service)

    def learn(self, server):
        """
        Hear what the switch has chosen; returns the verdict that this makes of it.

        A retry that finds nobody else is no new connection, and may be refused in silence again.
        """
        key, before = self.pending
        connection = self.connections[key]
        connection.server = server
        if before and before.server == server:
            return Verdict.TO_BACKEND
        if before:
            connection.spent |= before.withheld or before.spent
        elif connection.service.by_address:
            home = connection.service.homes.setdefault(frames.split(key[0])[0], server)
            assert home == server
        self.count(connection, "connections")
        return Verdict.TO_BACKEND_NEW

    def reply(self, server, client, protocol, flags, port=0):
        """A server's packet; *port*: that of the VIP, if it has any port."""
        for key, connection in list(self.connections.items()):
            service = connection.service
            theirs = (client, port, protocol) == (key[0], key[2], service.protocol)
            theirs = theirs and service.forward == "nat" and connection.server == server
            if theirs and self.live(key):
                if connection.asking and "R" in flags:
                    self.count(connection, "resets")
                if self.withholds(connection, flags):
                    connection.used, connection.withheld = self.now, True
                    return Fate(Verdict.DROP_RESET_WITHHELD)
                self.advance(connection, "server", flags, proven=True)
                return Fate(Verdict.TO_CLIENT, (key[2],), service)
        return Fate(Verdict.TO_KERNEL)

    def withholds(self, connection, flags):
        """Tell whether a refusal is kept back, so that the client tries another server."""
        fresh = connection.asking and not (connection.withheld or connection.spent)
        return "R" in flags and fresh and connection.service.refusals[connection.server]

    def advance(self, connection, side, flags, *, proven):
        """One more packet of a connection."""
        connection.used = self.now
        if not flags:
            return
        if connection.state == "half_open":
            self.shake_hands(connection, side, flags, proven=proven)
        if connection.state == "half_open" and not (side == "server" and "R" in flags):
            return
        if "R" in flags:
            connection.state, connection.over = "closed", connection.over | {side}
        elif "F" in flags:
            connection.over |= {side}
            connection.state = "closed" if len(connection.over) == 2 else "closing"
        elif connection.state == "closed" and connection.over == {side}:
            connection.state, connection.over = "established", frozenset()

    def shake_hands(self, connection, side, flags, *, proven):
        """The server answers, and the client has heard it."""
        direct = connection.service.forward == "dsr"
        if side == "server":
            if {"S", "A"} <= set(flags) and not connection.answered:
                connection.answered = True
                self.count(connection, "answers")
        elif "A" in flags and (direct or (connection.answered and proven)):
            connection.state = "established"
