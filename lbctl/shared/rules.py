"""
The rules of the services, as packets see them: which connections have slots of their own.

Both buffers lie in one table, told apart by their keys.  It is no mapped memory: what is different
is written by system calls, and only into the buffer that no packet reads.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

import numpy as np

from lbctl.errors import LbctlError
from lbctl.shared import abi, addresses, syscall

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lbctl.model import IPNetwork
    from lbctl.shared.records import ServiceRule
    from lbctl.shared.tables import Tables

    Entries = Mapping[bytes, bytes]  # key to run

FIXED_BITS = 64  # of a key, before the client's address
MAPPED_BITS = 96  # of an address, before that of IPv4
EVERYBODY = addresses.words(ip_address("::"))


def key(buffer: int, service: int, rule: ServiceRule) -> bytes:
    """The key under which packets look for *rule* of the service of that index."""
    row = np.zeros(1, abi.RULE_KEY)
    row["prefix_length"] = FIXED_BITS + _bits(rule.clients)
    row["service"], row["buffer"], row["port"] = service, buffer, rule.port
    row["client"] = addresses.words(rule.clients.network_address) if rule.clients else EVERYBODY
    return row.tobytes()


def run(first_line: int, slots: int) -> bytes:
    """Where its slots are."""
    return np.array([(first_line, slots)], abi.RUN).tobytes()


class RuleTable:
    """What is in the table, remembered for each buffer."""

    def __init__(self, tables: Tables) -> None:
        self._fd, self._room = tables.fd["rules"], tables.capacity.rules
        self._held: tuple[dict[bytes, bytes], dict[bytes, bytes]] = ({}, {})
        for found in syscall.map_keys(self._fd, abi.RULE_KEY.itemsize):
            buffer = int(np.frombuffer(found, abi.RULE_KEY)["buffer"][0])
            self._held[buffer & 1][found] = b""  # as it is not known, it is written anew

    def require_room(self, count: int) -> None:
        """Raise LbctlError when *count* rules do not fit."""
        if count > self._room:
            raise LbctlError(
                f"rules: {count} are wanted and {self._room} fit; start lbctld with larger --rules"
            )

    def write(self, buffer: int, wanted: Entries) -> None:
        """Make *wanted* the rules of a buffer that no packet reads."""
        held = self._held[buffer]
        for gone in held.keys() - wanted.keys():
            syscall.map_delete(self._fd, gone)
            del held[gone]
        for entry, value in wanted.items():
            if held.get(entry) != value:
                syscall.map_update(self._fd, entry, value)
                held[entry] = value


def _bits(clients: IPNetwork | None) -> int:
    if clients is None:
        return 0
    return clients.prefixlen + (MAPPED_BITS if clients.version == 4 else 0)
