"""
The client: claim an application's ports from lbctld, and stay known to it.

It connects, claims, and asks to be resumed after lbctld restarted or took the ports away.  All but
the claim and `route` happen without waiting, at the application's own calls.
"""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lbctl.errors import DaemonUnreachable, LbctlError, NotFound, NotPermitted
from lbctl.netif import kernel, sockets, wire
from lbctl.netif.interface import Interface
from lbctl.netif.pulse import Pulse
from lbctl.netif.status import Page
from lbctl.netif.wire import BadMessage, Ended, Grant, Request, Route

if TYPE_CHECKING:
    from collections.abc import Sequence

RUN = Path("/run/lbctl")
_PATIENCE = 10.0  # seconds that lbctld may take to make sockets, or to tell a route
_CROWDED = 0.05  # seconds between two attempts to be let in at all
_AGAIN = 1.0  # seconds between two attempts to be known to lbctld
# Of these lbctld will not change its mind.
_FINAL = (NotFound, NotPermitted)


def default_path() -> Path:
    """Where lbctld listens for applications, by LBCTL_NAME."""
    return RUN / f"{os.environ.get('LBCTL_NAME') or 'default'}.apps"


def open(  # noqa: A001 - netif.open, as with files
    name: str, socket_path: str | os.PathLike[str] | None = None
) -> Interface:
    """
    Claim the ports of the application *name*, as `lbctl app add` declared it.

    *socket_path*: /run/lbctl/$LBCTL_NAME.apps unless given, or default.apps.  Needs no privilege,
    but to be the user that the application belongs to.  Raises DaemonUnreachable, NotFound,
    NotPermitted, Conflict (it runs already) or LbctlError.
    """
    session = Session(Path(socket_path) if socket_path else default_path(), name)
    try:
        grant, descriptors = session.claim()
        return _make(session, grant, descriptors)
    except BaseException:
        session.close()
        raise


def _make(session: Session, grant: Grant, descriptors: Sequence[int]) -> Interface:
    umem, page, *numbers = descriptors
    plugs = [sockets.adopt(number) for number in numbers]
    try:
        pages = Page(page, len(grant.ports))
        frames, rings = kernel.map_all(grant, umem, plugs)
        session.keep(umem, page, plugs)
        if not grant.bound:
            session.bind()
        pulse = Pulse(pages, session)
        pages.header["pid"] = os.getpid()
        ports = kernel.make_ports(grant, frames, rings, plugs, pulse)
    except BaseException:
        for plug in plugs:
            plug.close()
        raise
    return Interface(ports, frames, pulse, grant.vips, session)


class Session:
    """The connection to lbctld, and the descriptors to show it again."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self._plug: socket.socket | None = None
        self._memory: list[int] = []
        self._sockets: list[socket.socket] = []
        self._asked = False
        self._again = 0.0

    # -- with waiting ------------------------------------------------------------------------------

    def claim(self) -> tuple[Grant, list[int]]:
        """Ask for the application's ports; the descriptors are the session's to close."""
        message, descriptors = self._ask(Request(wire.APP, self.name))
        self._memory = descriptors[:2]
        try:
            grant = Grant.decode(wire.answer(message, "app"))
            grant.expect(descriptors)
        except BaseException:
            wire.close(descriptors[2:])
            raise
        return grant, descriptors

    def keep(self, umem: int, page: int, plugs: list[socket.socket]) -> None:
        """Have these to show again."""
        self._memory, self._sockets = [umem, page], plugs

    def bind(self) -> None:
        """Ask for the sockets to be bound, now that their rings are mapped."""
        message, _ = self._ask(Request(wire.BIND, self.name), self._shown())
        wire.answer(message, "bound")

    def route(self, address: str) -> Route:
        """Ask how to get to an address."""
        message, _ = self._ask(Request(wire.ROUTE, address=address))
        return Route.decode(wire.answer(message, "route"))

    def _ask(self, request: Request, shown: Sequence[int] = ()) -> tuple[wire.Message, list[int]]:
        """Send a request and wait for its answer; answers that are overdue come first."""
        plug = self._plug or self._connect()
        plug.settimeout(_PATIENCE)
        try:
            wire.send(plug, request.encode(), shown)
            if self._asked:
                self._hear(wire.receive(plug)[0])
            return wire.receive(plug)
        except (Ended, OSError) as error:
            self._hang_up()
            reason = "it closed the connection" if isinstance(error, Ended) else error.strerror
            raise DaemonUnreachable(
                f"{self.path}: lbctld gave no answer ({reason or 'timeout'}); try again"
            ) from error

    def _connect(self) -> socket.socket:
        plug = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        try:
            plug.settimeout(_PATIENCE)
            self._knock(plug)
        except OSError as error:
            plug.close()
            raise DaemonUnreachable(
                f"{self.path}: no lbctld listens there ({error.strerror}); start it"
            ) from error
        self._plug = plug
        return plug

    def _knock(self, plug: socket.socket) -> None:
        """Connect; where too many others wait to be let in, try again for a while."""
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                plug.connect(str(self.path))
            except BlockingIOError:
                if time.monotonic() > end:
                    raise
                time.sleep(_CROWDED)
            else:
                return

    def _shown(self) -> list[int]:
        return [*self._memory, *(plug.fileno() for plug in self._sockets)]

    # -- without waiting ---------------------------------------------------------------------------

    def step(self, *, evicted: bool) -> None:
        """
        Be known to lbctld: connect anew after its end, ask to be resumed after being evicted.

        Once a second at most.  Raises NotFound or NotPermitted if lbctld knows the application no
        longer.
        """
        now = time.monotonic()
        if self._plug is not None:
            self._listen(self._plug)
        if now < self._again or self._asked:
            return
        if self._plug is None or evicted:
            self._again = now + _AGAIN
            self._resume()

    def _resume(self) -> None:
        try:
            plug = self._plug or self._connect()
            plug.settimeout(0)
            wire.send(plug, Request(wire.RESUME, self.name).encode(), self._shown())
        except (DaemonUnreachable, OSError):
            self._hang_up()
        else:
            self._asked = True

    def _listen(self, plug: socket.socket) -> None:
        """Hear what lbctld has said by now."""
        plug.settimeout(0)
        try:
            message, descriptors = wire.receive(plug)
        except BlockingIOError:
            return
        except (Ended, BadMessage, OSError):
            self._hang_up()
            return
        wire.close(descriptors)
        self._hear(message)

    def _hear(self, message: wire.Message) -> None:
        """Take the answer to a resume; what it refuses for now is tried again."""
        self._asked = False
        try:
            wire.answer(message, "resumed")
        except _FINAL:
            raise
        except LbctlError:
            self._again = time.monotonic() + _AGAIN

    def _hang_up(self) -> None:
        self._asked = False
        if self._plug is not None:
            self._plug.close()
            self._plug = None

    def close(self) -> None:
        """End the connection: lbctld sees that the application has ended."""
        self._hang_up()
        wire.close(self._memory)
        self._memory = []
