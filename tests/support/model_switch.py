"""
The model: the switch as one would write it without hurry, in dictionaries.

It says what must become of a packet.  Which of several servers a new connection gets it leaves to
the switch: the test tells it afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from lbctl.shared.abi import Verdict


@dataclass
class Service:
    """One VIP: its servers with their states, and how they are reached."""

    name: str
    servers: dict[str, str]
    protocol: str = "tcp"
    forward: str = "nat"
    unknown: str = "reset"
    any_port: bool = False
    refusals: dict[str, bool] = field(default_factory=dict)  # may be withheld, by server

    @property
    def active(self):
        """Those that get new connections."""
        return [server for server, state in self.servers.items() if state == "active"]

    def publish(self):
        """See what the switch sees from now on; it remembers of removed servers what it knew."""
        for server, state in self.servers.items():
            if state != "removed":
                self.refusals[server] = len(self.active) > 1


@dataclass
class Connection:
    """What there is to know of a connection."""

    service: Service
    server: str
    state: str
    used: int
    answered: bool = False
    withheld: bool = False
    over: frozenset = frozenset()  # the sides that have finished or reset


class Fate(NamedTuple):
    """What becomes of a packet; *servers*: those that it may go to."""

    verdict: Verdict
    servers: tuple = ()
    service: Service | None = None


class Model:
    """All connections, by client and service; time is in ticks."""

    def __init__(self, timeouts):
        self.timeouts, self.now = timeouts, 0
        self.connections = {}
        self.pending = None  # a connection whose server is not known yet, and who was silent before

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

    def forward(self, service, client, port, flags, *, proven):
        """
        A client's packet; flags "" is UDP.

        *proven*: it acknowledges what the server said.
        """
        key = (client, service.name, port if service.any_port else 0)
        connection = self.live(key)
        syn = "S" in flags and not set("AFR") & set(flags)
        if connection and not self.starts_over(connection, syn=syn):
            self.advance(connection, "client", flags, proven=proven)
            return Fate(Verdict.TO_BACKEND, (connection.server,), service)
        return self.begin(key, service, flags, connection, syn=syn)

    def starts_over(self, connection, *, syn):
        """Tell whether a packet begins a new connection in the place of an old one."""
        state = connection.service.servers[connection.server]
        if connection.state == "udp":
            return state in ("down", "removed")
        if not syn:
            return False
        silent = connection.state == "half_open" and not connection.answered
        several = len(connection.service.active) > 1 and connection.service.forward == "nat"
        return (
            connection.state in ("closing", "closed") or state != "active" or (silent and several)
        )

    def begin(self, key, service, flags, before, *, syn):
        """A packet of no connection."""
        if not service.active:
            return Fate(Verdict.DROP_NO_BACKEND)
        if flags and not syn and service.unknown != "hash":
            if service.unknown == "drop":
                return Fate(Verdict.DROP_NO_CONNECTION)
            return Fate(Verdict.DROP_UNANSWERABLE if "R" in flags else Verdict.RESET)
        state, over = "udp" if not flags else "half_open", frozenset()
        if flags and not syn:
            state = "closed" if "R" in flags else "closing" if "F" in flags else "established"
            over = frozenset() if state == "established" else {"client"}
        self.connections[key] = Connection(service, "", state, self.now, over=over)
        self.pending = (key, before if before and before.state == "half_open" else None)
        return Fate(Verdict.TO_BACKEND_NEW, tuple(service.active), service)

    def learn(self, server):
        """The switch has chosen; a retry without luck may be refused in silence once more."""
        key, before = self.pending
        self.connections[key].server = server
        if before and before.server != server:
            self.connections[key].withheld = before.withheld

    def reply(self, server, client, protocol, flags, port=0):
        """A server's packet; *port*: that of the VIP, if it has any port."""
        for key, connection in list(self.connections.items()):
            service = connection.service
            theirs = (client, port, protocol) == (key[0], key[2], service.protocol)
            theirs = theirs and service.forward == "nat" and connection.server == server
            if theirs and self.live(key):
                if self.withholds(connection, flags):
                    connection.used, connection.withheld = self.now, True
                    return Fate(Verdict.DROP_RESET_WITHHELD)
                self.advance(connection, "server", flags, proven=True)
                return Fate(Verdict.TO_CLIENT, (key[2],), service)
        return Fate(Verdict.TO_KERNEL)

    def withholds(self, connection, flags):
        """Tell whether a refusal is kept back, so that the client tries another server."""
        fresh = connection.state == "half_open" and not (connection.answered or connection.withheld)
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
            connection.answered |= {"S", "A"} <= set(flags)
        elif "A" in flags and (direct or (connection.answered and proven)):
            connection.state = "established"
