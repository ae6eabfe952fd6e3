"""
The running application: what is known of a program that has its sockets.

Values only.  The event loop changes them; whoever asks in another thread reads.
"""

from __future__ import annotations

import pwd
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lbctl.control.broker.hung import Patience
from lbctl.control.program_state import AppState, PortState
from lbctl.model import App
from lbctl.netif.sockets import Place
from lbctl.netif.status import Page

if TYPE_CHECKING:
    from lbctl.shared.configuration import ConfigurationTable

# An application is not disturbed by a change of these.
HARMLESS = {"hung_after", "on_exit"}
FOR_GOOD = 2  # `evicted` of a status page: its application was changed or removed


@dataclass(frozen=True, slots=True)
class Peer:
    """The process at the other end of a connection, as it was when it connected."""

    pid: int
    uid: int

    @property
    def user(self) -> str:
        """The user's name, or the number where there is none."""
        with suppress(KeyError):
            return pwd.getpwuid(self.uid).pw_name
        return str(self.uid)

    def __str__(self) -> str:
        return f"pid {self.pid}, user {self.user}"


@dataclass
class Port:
    """One socket; *slot*: of the NIC under which packets find it, None: they do not."""

    place: Place
    zero_copy: bool = False
    slot: int | None = None


@dataclass
class RunningApp:
    """
    An application that has its sockets; *number*: the one that packets know it by.

    *bound*: if not, it is to ask for that when it has mapped its rings.
    """

    app: App
    number: int
    peer: Peer
    page: Page
    ports: list[Port]
    since: float  # seconds since 1970
    bound: bool = True
    hung: bool = False
    patience: Patience = field(default_factory=Patience)

    def queue_of(self, nic: str) -> int | None:
        """The first queue that it has on a NIC."""
        queues = (port.place.queue for port in self.ports if port.place.nic == nic)
        return next(queues, None)


@dataclass
class Record:
    """What is remembered of an application until it is removed, or lbctld ends."""

    running: RunningApp | None = None
    last: tuple[str, float] | None = None  # user and start of the last one
    exits: int = 0
    hung_count: int = 0

    def state(self) -> AppState | None:
        """As others see it; None: it has not run."""
        running = self.running
        if running is None:
            if self.last is None:
                return None
            return AppState(None, *self.last, exits=self.exits, hung_count=self.hung_count)
        return AppState(
            pid=running.peer.pid,
            user=running.peer.user,
            since=running.since,
            ports=tuple(port_states(running)),
            hung=running.hung,
            exits=self.exits,
            hung_count=self.hung_count,
        )


def port_states(running: RunningApp) -> list[PortState]:
    """What the application tells of its ports; it may tell anything."""
    return [
        PortState(port.place.nic, port.place.queue, port.zero_copy, **running.page.counters(number))
        for number, port in enumerate(running.ports)
    ]


def number_of(table: ConfigurationTable, app: App) -> int | None:
    """The number that packets know an application by; None: they do not know it."""
    numbers = (table.app_number(vip) for vip in app.vips)
    return next((number for number in numbers if number is not None), None)


def disturbed(old: App, new: App | None) -> bool:
    """Whether a change takes the application's sockets away: it must be opened anew, if at all."""
    return new is None or old.model_dump(exclude=HARMLESS) != new.model_dump(exclude=HARMLESS)
