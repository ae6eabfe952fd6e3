"""The binds: which VIPs a frontend has."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING, NamedTuple

from lbctl.cli.importing.haproxy import units
from lbctl.model import Protocol, Vip

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lbctl.cli.importing.haproxy.lines import Section, Statement
    from lbctl.cli.importing.remarks import Remarks
    from lbctl.model import IPAddress

MOST_PORTS = 256  # of a range: each becomes a VIP
PREFIX = re.compile(r"(?:ipv[46]|tcp[46]?)@")
EVERY4, EVERY6 = ("", "*", str(IPv4Address(0))), ("::",)
NO_TLS = "lbctl does not end TLS; let the servers do that, and bind the port without ssl"
WORDS = {
    "accept-proxy": "the servers themselves get what the peer says by the PROXY protocol",
    "accept-netscaler-cip": "the servers themselves get what the peer says",
    "maxconn": "lbctl does not limit connections",
}


class Bind(NamedTuple):
    """A VIP, and the line that has it."""

    line: int
    vip: Vip


def binds(section: Section, addresses: Sequence[IPAddress], remarks: Remarks) -> Iterator[Bind]:
    """The VIPs of a frontend; *addresses* stand for `*`."""
    for statement in section.every("bind"):
        if len(statement.words) == 1:
            remarks.not_taken(statement.line, statement.text, "it has no address")
            continue
        _, where, *words = statement.words
        if "ssl" in words:
            remarks.not_taken(statement.line, statement.text, NO_TLS)
            continue
        for word in words:
            if word in WORDS:
                remarks.not_taken(statement.line, word, WORDS[word])
        for part in where.split(","):
            for text in _vips(part, "v4v6" in words, addresses, statement, remarks):
                try:
                    yield Bind(statement.line, Vip.parse(f"{text}/{Protocol.TCP}"))
                except ValueError as err:
                    remarks.not_taken(statement.line, part, str(err))


def _vips(
    part: str,
    both: bool,  # noqa: FBT001 - both families
    addresses: Sequence[IPAddress],
    statement: Statement,
    remarks: Remarks,
) -> list[str]:
    """Every address and port that an address of a bind stands for."""
    host, _, span = PREFIX.sub("", part, count=1).rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    ports = _ports(span)
    if "/" in part or "@" in host or ports is None:
        why = f"it must be an address and a port, or up to {MOST_PORTS} ports"
        remarks.not_taken(statement.line, part, why)
        return []
    hosts = [host]
    if host in (*EVERY4, *EVERY6):
        versions = {4, 6} if both and host in EVERY6 else {6 if host in EVERY6 else 4}
        hosts = [str(address) for address in addresses if address.version in versions]
        for version in sorted(versions - {address.version for address in addresses}):
            why = f"a VIP is one address; say the IPv{version} one with --address"
            remarks.not_taken(statement.line, part, why)
    return [f"{_bracketed(each)}:{port}" for each in hosts for port in ports]


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _ports(text: str) -> range | None:
    """Read a port or a range of ports."""
    first, dash, last = text.partition("-")
    low = units.number(first, 1, 65535)
    high = units.number(last, 1, 65535) if dash else low
    if low is None or high is None or not 0 <= high - low < MOST_PORTS:
        return None
    return range(low, high + 1)


def address_of(text: str) -> IPAddress | None:
    """Read an address; None if it is none."""
    try:
        return ip_address(PREFIX.sub("", text, count=1).removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
