"""The addresses: where to listen and where to push, as options write them."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import NamedTuple, Self

from lbctl.errors import UsageError


class Address(NamedTuple):
    """A host by address or name, and a port; no host means all addresses of this machine."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``HOST:PORT``, ``[IPV6]:PORT`` or ``:PORT``.  Raises UsageError."""
        match = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([^\s:\[\]]*)):([0-9]{1,5})", text)
        if not match or int(match[3]) > 65535:
            raise UsageError(f"{text!r} is not HOST:PORT, such as 10.0.1.11:8407 or [::]:8407")
        if match[1]:
            try:
                ip_address(match[1])
            except ValueError:
                raise UsageError(f"{text!r}: {match[1]} is not an IPv6 address") from None
        return cls(match[1] or match[2], int(match[3]))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def server_name(text: str) -> str:
    """
    Read the name of an agent, ``ADDR:PORT``, as the switch writes it.

    The switch knows agents by address, never by a name of the DNS.  Raises UsageError.
    """
    host, port = Address.parse(text)
    try:
        address = ip_address(host)
    except ValueError:
        raise UsageError(f"{text!r} is not ADDRESS:PORT, such as 10.0.1.11:8407") from None
    if not port:
        raise UsageError(f"{text!r}: the port must be 1 to 65535")
    return str(Address(str(address), port))
