"""
The kernel's side: read the records that an instance has in the kernel, add and delete them.

In the network namespace of the calling thread.  What is of another instance, or of people, is not
seen: ours are in tables with numbers of our own.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from socket import AF_INET, AF_INET6
from typing import TYPE_CHECKING, Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl import rt_type
from pyroute2.netlink.rtnl.ifaddrmsg import IFA_F_DEPRECATED, IFA_F_NODAD, IFA_F_NOPREFIXROUTE
from pyroute2.netlink.rtnl.ndmsg import NUD_PERMANENT

from lbctl.control.interfaces.records import (
    ANYWHERE,
    NOBODY,
    Claim,
    Guide,
    Record,
    Rule,
    Way,
    tables_of,
)
from lbctl.errors import LbctlError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from collections.abc import Set as AbstractSet

    from lbctl.model import IPAddress

FAMILIES = {4: AF_INET, 6: AF_INET6}
HOST = {4: 32, 6: 128}
PRIORITY = 900  # of the rules: after `local`, before anybody else's
PROTOCOL = 108  # who made a route or rule, as `ip` shows it; no program of iproute2's list
THROW = rt_type["throw"]
ON_LINK = 4  # RTNH_F_ONLINK: the gateway is there, whatever the prefixes say
CLAIM = IFA_F_NODAD | IFA_F_NOPREFIXROUTE
FOREVER = 0xFFFFFFFF
THERE_ALREADY = errno.EEXIST
GONE = {errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENODEV}
Message = Any  # pyroute2 carries no types


class Kernel:
    """One look at the kernel, or one round of changes; close it afterwards."""

    def __init__(self, instance: str) -> None:
        self._tables = tables_of(instance)
        self._kernel = IPRoute(strict_check=True)

    def close(self) -> None:
        """Give the socket back."""
        self._kernel.close()

    def own(self) -> dict[IPAddress, set[int]]:
        """The addresses of this host, and the NICs that have them."""
        found: dict[IPAddress, set[int]] = {}
        for message in self._kernel.addr("dump"):
            found.setdefault(_address(message), set()).add(message["index"])
        return found

    def held(self, tables: Collection[int], claimed: AbstractSet[IPAddress]) -> frozenset[Record]:
        """
        The records that are there.

        Looks into *tables* and those that rules of ours name, and for NICs that claim *claimed*.
        """
        rules = list(self._rules())
        looked_into = {*tables, *(rule.table for rule in rules)}
        return frozenset(
            (
                *rules,
                *(way for table in looked_into for way in self._ways(table)),
                *self._guides({self._tables.index(table) for table in looked_into}),
                *self._claims(claimed),
            )
        )

    def _rules(self) -> Iterator[Rule]:
        for family in FAMILIES.values():
            for message in self._kernel.rule("dump", family=family):
                table = message.get_attr("FRA_TABLE") or message["table"]
                source = message.get_attr("FRA_SRC")
                if table in self._tables and source:
                    ports = message.get_attr("FRA_SPORT_RANGE") or "0:0"
                    protocol = message.get_attr("FRA_IP_PROTO") or 0
                    yield Rule(ip_address(source), table, protocol, int(ports.split(":")[0]))

    def _ways(self, table: int) -> Iterator[Way]:
        for version, family in FAMILIES.items():
            for message in self._routes(table, family):
                first = message.get_attr("RTA_DST") or ANYWHERE[version].network_address
                prefix = ip_network(f"{first}/{message['dst_len']}")
                if message["type"] == THROW:
                    yield Way(table, prefix, 0)
                elif message.get_attr("RTA_GATEWAY") == str(NOBODY[version]):
                    yield Way(table, prefix, message.get_attr("RTA_OIF"))

    def _routes(self, table: int, family: int) -> list[Message]:
        try:
            return list(self._kernel.route("dump", table=table, family=family))
        except NetlinkError as error:
            if error.code in GONE:  # there is no such table
                return []
            raise

    def _guides(self, nics: Collection[int]) -> Iterator[Guide]:
        for version, family in FAMILIES.items():
            for message in self._kernel.neigh("dump", family=family):
                if message["ifindex"] not in nics or message["state"] != NUD_PERMANENT:
                    continue
                if message.get_attr("NDA_DST") == str(NOBODY[version]):
                    mac = bytes.fromhex(message.get_attr("NDA_LLADDR").replace(":", ""))
                    yield Guide(message["ifindex"], version, mac)

    def _claims(self, claimed: AbstractSet[IPAddress]) -> Iterator[Claim]:
        """Addresses as `_change` puts them on a NIC; the interface itself has them otherwise."""
        for message in self._kernel.addr("dump", family=AF_INET6):
            address, flags = _address(message), message.get_attr("IFA_FLAGS") or 0
            ours = flags & IFA_F_DEPRECATED and message["prefixlen"] == HOST[6]
            if ours and address in claimed:
                yield Claim(message["index"], address)

    # -- changes -------------------------------------------------------------------------------

    def put(self, record: Record) -> None:
        """Add a record; what stands in its place is replaced.  Raises LbctlError."""
        with _told(record, THERE_ALREADY):
            self._change(record, adding=True)

    def delete(self, record: Record) -> None:
        """Remove a record; one that is gone already is no error."""
        with _told(record, *GONE):
            self._change(record, adding=False)

    def _change(self, record: Record, *, adding: bool) -> None:
        match record:
            case Claim(ifindex, address):
                fields = {"index": ifindex, "address": str(address), "prefixlen": HOST[6]}
                # Deprecated: no program sends from it unless it asks for it.
                lives = {"flags": CLAIM, "preferred_lft": 0, "valid_lft": FOREVER}
                self._kernel.addr("add" if adding else "del", **fields, **(lives if adding else {}))
            case Guide(ifindex, version, mac):
                self._kernel.neigh(
                    "replace" if adding else "del",
                    ifindex=ifindex,
                    family=FAMILIES[version],
                    dst=str(NOBODY[version]),
                    lladdr=mac.hex(":"),
                    state=NUD_PERMANENT,
                )
            case Way(table, prefix, ifindex):
                where: dict[str, int | str] = {"type": "throw"}
                if ifindex:
                    nobody = str(NOBODY[prefix.version])
                    where = {"oif": ifindex, "gateway": nobody, "flags": ON_LINK}
                self._kernel.route(
                    "add" if adding else "del",
                    family=FAMILIES[prefix.version],
                    table=table,
                    dst=str(prefix),
                    proto=PROTOCOL,
                    **where,
                )
            case Rule():
                self._kernel.rule("add" if adding else "del", **_spelled(record))


def _address(message: Message) -> IPAddress:
    return ip_address(message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS"))


def _spelled(rule: Rule) -> dict[str, Any]:
    """Write a rule as pyroute2 wants it."""
    version = rule.source.version
    fields = {
        "family": FAMILIES[version],
        "src": str(rule.source),
        "src_len": HOST[version],
        "table": rule.table,
        "priority": PRIORITY,
        "FRA_PROTOCOL": PROTOCOL,
    }
    if rule.protocol:
        fields["ip_proto"] = rule.protocol
    if rule.port:
        fields["sport_range"] = f"{rule.port}:{rule.port}"
    return fields


@contextmanager
def _told(record: Record, *harmless: int) -> Iterator[None]:
    """Turn a refusal of the kernel into one line; *harmless*: errnos that mean it is so already."""
    try:
        yield
    except NetlinkError as error:
        if error.code not in harmless:
            raise LbctlError(f"{record}: the kernel refuses: {os.strerror(error.code)}") from error
