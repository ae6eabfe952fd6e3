"""
The wanted packets: a filter in words, and as the switching processors read it.

What the frame itself tells is in the filter; what only the tables know is marked, by the index of
services and back-ends.  Indices come and go with configurations, so `write` is called again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field, field_validator

from lbctl.control.capturing import verdicts
from lbctl.control.edits import pool_of
from lbctl.control.nic_names import is_called
from lbctl.control.program_edits import app_of
from lbctl.errors import NotFound, UsageError
from lbctl.model import IPAddress, Model, SocketAddress
from lbctl.shared import abi, addresses
from lbctl.shared.abi import Liked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lbctl.control.controller import Controller
    from lbctl.model import Configuration, Vip
    from lbctl.shared.arrays import Array
    from lbctl.switching.capture import Capture

ICMP = 1
PROTOCOLS = {**addresses.PROTOCOL_NUMBERS, "icmp": ICMP}
LINE_SNAP = 128  # bytes that a line needs of a frame: all headers
EVERY = 0xFFFF_FFFF  # all verdicts

Word = Annotated[str, Field(max_length=64)]


class Wanted(Model):
    """Which packets, in which form, and how many; those that have all of what is given."""

    verdict: list[Word] = Field(default=[], max_length=abi.VERDICTS)
    pool: str | None = None
    app: str | None = None
    backend: Word | None = None
    host: IPAddress | None = None
    port: int | None = Field(default=None, ge=1, le=65_535)
    protocol: Literal["tcp", "udp", "icmp"] | None = None
    nic: list[Word] = Field(default=[], max_length=abi.NICS_MAX)
    count: int | None = Field(default=None, ge=1)
    seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    snap: int = Field(default=abi.SNAP, ge=1, le=abi.SNAP)
    form: Literal["pcapng", "json"] = "pcapng"

    @field_validator("host")
    @classmethod
    def _plain(cls, host: IPAddress | None) -> IPAddress | None:
        """An IPv4 address that is written as IPv6 is the IPv4 address."""
        return (host.ipv4_mapped or host) if host is not None and host.version == 6 else host

    @field_validator("backend")
    @classmethod
    def _address(cls, backend: str | None) -> str | None:
        """It is an address; a query cannot have a value that is a tuple."""
        return None if backend is None else str(SocketAddress.parse(backend))

    @property
    def server(self) -> SocketAddress | None:
        """The back-end."""
        return None if self.backend is None else SocketAddress.parse(self.backend)

    @property
    def bytes(self) -> int:
        """How much of a frame is taken."""
        return self.snap if self.form == "pcapng" else min(self.snap, LINE_SNAP)

    def check(self, controller: Controller) -> None:
        """Refuse what is not there.  Raises NotFound or UsageError."""
        verdicts.named(self.verdict)
        plane = controller.dataplane
        if self.app is not None and (self.pool is not None or self.backend is not None):
            raise UsageError("a packet is for an application or for a pool; leave one of them out")
        if self.pool is not None:
            pool_of(controller.configuration, self.pool)
        if self.app is not None:
            app_of(controller.configuration, self.app)
        for name in self.nic:
            if not any(is_called(nic, name) for nic in plane.attached()):
                raise NotFound(f"NIC {name!r} is not attached; see `lbctl status`")
        known = {record.address for record in plane.configuration.backends().values()}
        known |= {b.address for pool in controller.configuration.pools for b in pool.backends}
        if self.backend is not None and self.server not in known:
            raise NotFound(f"no pool has a back-end {self.backend}; see `lbctl backend list`")

    def write(self, capture: Capture, controller: Controller) -> None:
        """Have the switching processors take these packets from now on."""
        capture.marked[:] = self._marks(controller, len(capture.marked))
        row = capture.filter[0:1]
        row["verdicts"] = sum(1 << v for v in verdicts.named(self.verdict)) or EVERY
        row["snap"] = self.bytes
        row["asks"] = self._asks()
        row["port"], row["protocol"] = self.port or 0, PROTOCOLS.get(self.protocol or "", 0)
        if self.host is not None:
            row["host"] = addresses.words(self.host)
        row["nics"] = self._nics(controller)  # last: this one turns it on

    def words(self) -> str:
        """The filter, for a person."""
        return ", ".join(self._words()) or "every packet"

    def _words(self) -> Iterator[str]:
        if self.verdict:
            yield f"verdict {' or '.join(self.verdict)}"
        for name in ("pool", "app", "backend", "host", "port", "protocol"):
            if (value := getattr(self, name)) is not None:
                yield f"{name.replace('backend', 'back-end')} {value}"
        if self.nic:
            yield f"in by {' or '.join(self.nic)}"

    def _asks(self) -> int:
        asked = {
            Liked.HOST: self.host,
            Liked.PORT: self.port,
            Liked.BACKEND: self.backend,
            Liked.SERVICE: self.pool if self.app is None else self.app,
        }
        return sum(bit for bit, value in asked.items() if value is not None)

    def _nics(self, controller: Controller) -> int:
        """A bit for the slot of each NIC; a NIC that is not there has none."""
        if not self.nic:
            return (1 << abi.NICS_MAX) - 1
        return sum(
            1 << nic.slot
            for nic in controller.dataplane.attached()
            if any(is_called(nic, name) for name in self.nic)
        )

    def _vips(self, configuration: Configuration) -> list[Vip]:
        """Those of the pool or the application that is asked for; none if it has gone."""
        found = list(configuration.vips_by_pool().get(self.pool or "", ()))
        return found + [v for app in configuration.apps if app.name == self.app for v in app.vips]

    def _marks(self, controller: Controller, entries: int) -> Array:
        """What services and, behind them, back-ends have of what is asked for: uint64[entries]."""
        marks = np.zeros(entries, np.uint64)
        table = controller.dataplane.configuration
        for vip in self._vips(controller.configuration):
            if (index := table.service_index(vip)) is not None:
                marks[index] = Liked.SERVICE
        if not self._asks() & (Liked.HOST | Liked.PORT | Liked.BACKEND):
            return marks
        first, wanted = controller.dataplane.capacity.services, self.server
        for index, (vip, server) in table.backends().items():
            mark = Liked.BACKEND if _same(wanted, server) else 0
            mark |= Liked.HOST if server.address == self.host else 0
            mark |= Liked.PORT if self.port and self.port in (vip.port, server.port) else 0
            marks[first + index] = mark
        return marks


def _same(wanted: SocketAddress | None, server: SocketAddress) -> bool:
    """Whether a record is of the back-end that is wanted; its port 0 is every port."""
    if wanted is None:
        return False
    return server == wanted or (server.port == 0 and server.address == wanted.address)
