"""
The case: one packet that was tried, with everything at hand that sentences about it need.

Reads only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from lbctl.control.explaining.headers import TCP, UDP, Packet
from lbctl.control.explaining.names import Names, at_port
from lbctl.control.nic_names import shown
from lbctl.model import Protocol, SocketAddress
from lbctl.shared import abi
from lbctl.shared.abi import BackendState, ConnectionState, ServiceFlag, Stage, Verdict
from lbctl.shared.records import BackendRecord
from lbctl.switching.explain import Trial
from lbctl.switching.nics import AttachedNic

if TYPE_CHECKING:
    import numpy as np

    from lbctl.model import App, Pool, Vip

PROTOCOLS = {TCP: Protocol.TCP, UDP: Protocol.UDP}


@dataclass(frozen=True)
class Entry:
    """A row of the connection table, as it was found and as the packet leaves it."""

    record: BackendRecord | None
    state: ConnectionState
    flags: int
    idle_seconds: float
    age_seconds: float
    becomes: ConnectionState

    @property
    def answered(self) -> bool:
        """Whether its server has answered the SYN."""
        return bool(self.flags & ConnectionState.ANSWERED)


@dataclass(frozen=True)
class Case:
    """
    The trial, the packet as it came and as it is afterwards, the NIC, and the names.

    *sender*: who hands it over, if that is known.  *queue*: of the NIC, by which it came.
    """

    trial: Trial
    came: Packet
    left: Packet
    nic: AttachedNic
    names: Names
    sender: str = ""
    queue: int = 0

    def at(self, stage: Stage) -> np.void:
        """The trace of a stage."""
        row: np.void = self.trial.traces[stage]
        return row

    def reached(self, stage: Stage) -> bool:
        """Whether the packet came as far as that."""
        return bool(self.at(stage)["reached"])

    def verdict(self, stage: Stage) -> Verdict:
        """What a stage decided."""
        return Verdict(int(self.at(stage)["verdict"]))

    @cached_property
    def end(self) -> Verdict:
        """What became of the packet."""
        return self.verdict(Stage.FINISH)

    @cached_property
    def traces(self) -> np.ndarray:
        """The traces that name service and connection: of an error, those of what it is about."""
        about = self.trial.about
        return self.trial.traces if about is None else about

    @cached_property
    def service(self) -> int | None:
        """The index of the service that the packet is to, if it is to one."""
        return _index(self.traces["service"][Stage.SERVICE])

    @cached_property
    def server(self) -> int | None:
        """The index of the back-end that the sender seems to be."""
        return _index(self.traces["server"][Stage.SERVICE])

    @cached_property
    def backend(self) -> int | None:
        """The index of the back-end that the packet is for, or from."""
        for stage in (Stage.SELECT, Stage.CONNECTION):
            row = self.traces[stage]
            if row["reached"] and row["backend"] != abi.NONE:
                return int(row["backend"])
        return None

    @cached_property
    def backend_row(self) -> np.void | None:
        """Its record in the tables."""
        return None if self.backend is None else self.trial.backends.get(self.backend)

    @cached_property
    def record(self) -> BackendRecord | None:
        """Who that is."""
        return None if self.backend is None else self.names.record(self.backend)

    @cached_property
    def vip(self) -> Vip | None:
        """The VIP that the packet is about."""
        record = self.record or (None if self.server is None else self.names.record(self.server))
        if self.service is not None:
            return self.names.vip(self.service)
        return record.vip if record else None

    @cached_property
    def pool(self) -> Pool | None:
        """The pool of that VIP; None where it was removed."""
        return self.names.pool(self.vip) if self.vip else None

    @cached_property
    def app(self) -> App | None:
        """The network application that has that VIP."""
        return self.names.app(self.vip) if self.vip else None

    @cached_property
    def programs_have_it(self) -> bool:
        """Whether it goes to, or comes from, a pseudo interface and not the kernel."""
        return self.reached(Stage.PSEUDO) and self.verdict(Stage.PSEUDO) is not Verdict.TO_KERNEL

    @cached_property
    def interface(self) -> str | None:
        """The pseudo interface that it comes from, or is for."""
        if self.nic.is_pseudo:
            return shown(self.nic)
        return self.names.interface(self.came.destination) if self.programs_have_it else None

    @cached_property
    def service_port(self) -> int | None:
        """The port of the VIP that the packet is about."""
        if self.trial.about is not None:
            return self.came.quoted.source_port if self.came.quoted else None
        forward = self.service is not None
        return self.came.destination_port if forward else self.came.source_port

    @property
    def server_text(self) -> str | None:
        """The back-end's address, at the port that it is asked at."""
        return str(at_port(self.record.address, self.service_port)) if self.record else None

    def has(self, flag: ServiceFlag) -> bool:
        """Whether the service, or else the back-end, has a flag."""
        rows = (self.trial.service, self.backend_row)
        row = next((row for row in rows if row is not None), None)
        return row is not None and bool(int(row["flags"]) & flag)

    def name_of(self, backend: int) -> str:
        """Write who an index of the back-end table is."""
        record = self.names.record(backend)
        if record is None:
            return f"a back-end that is gone (index {backend})"
        return str(at_port(record.address, self.service_port))

    def state_of(self, backend: int) -> BackendState:
        """The state of a back-end, as packets see it."""
        row = self.trial.backends.get(backend)
        return BackendState(int(row["state"])) if row is not None else BackendState.FREE

    @cached_property
    def entry_index(self) -> int | None:
        """Which of the eight entries of the client it is, if there is one."""
        row = self.traces[Stage.CONNECTION]
        return _index(row["connection"]) if row["reached"] else None

    @cached_property
    def entry(self) -> Entry | None:
        """The connection that was found, before the packet."""
        index = self.entry_index
        if index is None:
            return None
        row, detail = self.trial.before[index], self.trial.details[index]
        state, after = int(row["state"]), int(self.trial.after["state"][index])
        age = (self.trial.tick - int(row["last_used"])) & 0xFFFF
        # ticks are 32 bits of jiffies, less those of which a tick is made
        lived = (self.trial.tick - int(detail["created"])) & 0x3FFFFF
        return Entry(
            self.names.record(int(row["backend"])),
            ConnectionState(state & ConnectionState.MASK),
            state & ~ConnectionState.MASK,
            round((age if age < abi.AGE_FUTURE else 0) * self.trial.tick_seconds, 1),
            round(lived * self.trial.tick_seconds, 1),
            ConnectionState(after & ConnectionState.MASK),
        )

    @cached_property
    def entry_server(self) -> str:
        """Who serves the connection that was found."""
        record = self.entry.record if self.entry else None
        return str(at_port(record.address, self.service_port)) if record else "a gone server"

    @cached_property
    def client(self) -> SocketAddress | None:
        """The client of the connection that the packet is of, or would be."""
        packet = self.came.quoted or self.came
        forward = self.service is not None and self.came.quoted is None
        host = packet.source if forward else packet.destination
        port = packet.source_port if forward else packet.destination_port
        return SocketAddress(host, port or 0) if host else None


def _index(value: np.integer) -> int | None:
    """An index of a trace; None: there is none."""
    return None if int(value) == abi.NONE else int(value)
