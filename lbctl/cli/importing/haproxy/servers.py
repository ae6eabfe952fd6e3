"""The servers: where they are, how much they get, and whether they are backups."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lbctl.cli.importing.haproxy import server_words, units
from lbctl.cli.importing.haproxy.binds import address_of
from lbctl.cli.importing.haproxy.server_words import Option
from lbctl.model import Backend, IPAddress, SocketAddress, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lbctl.cli.importing.haproxy.lines import Section, Statement
    from lbctl.cli.importing.remarks import Remarks

MOST_WEIGHT = 256
PORT = re.compile(r"([+-]?)([0-9]{0,5})")
NO_ADDRESS = "a server is an IP address and a port; names are not resolved"
TLS_SERVER = "it expects TLS that HAProxy spoke for the clients, and lbctl ends and begins none"


@dataclass(frozen=True)
class Server:
    """A server; *port* is counted from that of the VIP where *relative*."""

    line: int
    text: str
    host: IPAddress
    port: int
    relative: bool
    weight: int
    state: State
    options: Mapping[str, Option] = field(repr=False)

    @property
    def is_backup(self) -> bool:
        """Whether it serves only when no other can."""
        return "backup" in self.options

    @property
    def is_checked(self) -> bool:
        """Whether its health is asked for."""
        return "check" in self.options

    def at(self, vip_port: int | None) -> SocketAddress | None:
        """Where it is, seen from a VIP with that port; None if that cannot be said."""
        port = self.port
        if self.relative:
            if vip_port is None:
                return None
            port += vip_port
        try:
            return SocketAddress.parse(str(SocketAddress(self.host, port)))
        except ValueError:
            return None

    def backend(self, address: SocketAddress) -> Backend:
        """The back-end that it becomes."""
        return Backend(address=address, weight=self.weight, state=self.state)


def servers(section: Section, remarks: Remarks) -> list[Server]:
    """Read the servers of a proxy; what cannot be taken is remarked."""
    defaults: dict[str, Option] = {}
    found: list[Server] = []
    for statement in section.statements:
        word, *rest = statement.words
        if word == "default-server":
            defaults = server_words.read(statement.line, rest, defaults, remarks)
        elif word == "server":
            found += _server(statement, defaults, remarks)
        elif word in ("server-template", "dispatch"):
            remarks.not_taken(statement.line, statement.text, NO_ADDRESS)
    return found


def _server(
    statement: Statement, defaults: Mapping[str, Option], remarks: Remarks
) -> Iterator[Server]:
    """Read one line; yields nothing if it cannot be taken."""
    if len(statement.words) < 3:
        remarks.not_taken(statement.line, statement.text, "it has no address")
        return
    _, name, where, *words = statement.words
    host, sign, port = _where(where)
    if host is None or port is None:
        remarks.not_taken(statement.line, f"server {name} {where}", NO_ADDRESS)
        return
    relative = bool(sign) or port == 0
    try:
        SocketAddress.parse(str(SocketAddress(host, 1 if relative else port)))
    except ValueError as err:
        remarks.not_taken(statement.line, f"server {name} {where}", str(err))
        return
    options = server_words.read(statement.line, words, defaults, remarks)
    if "ssl" in options:
        remarks.not_taken(statement.line, f"server {name} {where} ssl", TLS_SERVER)
        return
    weight, state = _weight(options, remarks)
    yield Server(statement.line, statement.text, host, port, relative, weight, state, options)


def _where(text: str) -> tuple[IPAddress | None, str, int | None]:
    """Split an address into host, sign and port; port 0, or one with a sign, goes by the VIP's."""
    if ":" not in text or text.endswith("]"):
        return address_of(text), "", 0
    host, _, port = text.rpartition(":")  # also of IPv6 without brackets
    found = PORT.fullmatch(port)
    if not found:
        return None, "", None
    number = int(found[2] or 0)
    return address_of(host), found[1], -number if found[1] == "-" else number


def _weight(options: Mapping[str, Option], remarks: Remarks) -> tuple[int, State]:
    state = State.MAINTENANCE if "disabled" in options else State.ACTIVE
    if "weight" not in options:
        return 1, state
    line, text = options["weight"]
    weight = units.number(text, 0, MOST_WEIGHT)
    if weight is None:
        remarks.not_taken(line, f"weight {text}", f"it must be 0 to {MOST_WEIGHT}")
        return 1, state
    if weight == 0:
        why = "the server drains; when it is restored it has weight 1"
        remarks.differs(line, "weight 0", why)
        return 1, State.DRAINING if state is State.ACTIVE else state
    return weight, state
