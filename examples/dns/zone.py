"""
The zone: find what a zone file says about a name (RFC 1034 section 4.3.2, RFC 4592).

dnspython reads the file (RFC 1035 section 5).  It knows names and records, and no messages.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

import dns.exception
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.zone

from lbctl.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from dns.name import Name
    from dns.node import Node
    from dns.rdatatype import RdataType
    from dns.rrset import RRset

_MOST_ALIASES = 16  # of one answer


class Outcome(Enum):
    """What a zone has to say about a name."""

    FOUND = auto()  # records, or that there are none of this type
    NO_SUCH_NAME = auto()
    DELEGATED = auto()  # another zone's servers know
    OUTSIDE = auto()  # not of this zone


class Finding(NamedTuple):
    """The sections of an answer."""

    outcome: Outcome
    answer: tuple[RRset, ...] = ()
    authority: tuple[RRset, ...] = ()
    additional: tuple[RRset, ...] = ()


class Zone:
    """The records of one zone."""

    def __init__(self, path: str | Path, origin: str | None = None) -> None:
        """Read a file; *origin*: the zone's name, unless the file has $ORIGIN."""
        try:
            zone = dns.zone.from_file(str(path), origin, relativize=False)
            apex = zone.get_rdataset(zone.origin or dns.name.root, dns.rdatatype.SOA)
        except (OSError, UnicodeDecodeError, dns.exception.DNSException) as error:
            where = "" if str(path) in str(error) else f"{path}: "
            raise UsageError(f"{where}{error or type(error).__name__}; correct it") from error
        if zone.origin is None or apex is None:
            raise UsageError(f"{path}: no SOA record; a zone begins with one")
        self.origin: Name = zone.origin
        self._nodes: dict[Name, Node] = dict(zone.nodes)
        self._names = {parent for name in self._nodes for parent in self._up_to_origin(name)}
        negative = min(apex.ttl, apex[0].minimum)  # RFC 2308 section 5
        self._soa = dns.rrset.from_rdata(self.origin, negative, apex[0])

    def find(self, name: Name, kind: RdataType) -> Finding:
        """Find the records of a type, following aliases as far as they stay in the zone."""
        if not name.is_subdomain(self.origin):
            return Finding(Outcome.OUTSIDE)
        chain: list[RRset] = []
        for _ in range(_MOST_ALIASES):
            if servers := self._delegation(name, kind):
                return Finding(Outcome.DELEGATED, tuple(chain), (servers,), self._glue(servers))
            source = self._source(name)
            if source is None:
                return Finding(Outcome.NO_SUCH_NAME, tuple(chain), (self._soa,))
            alias = self._records(source, dns.rdatatype.CNAME, name)
            if alias is None or kind in (dns.rdatatype.CNAME, dns.rdatatype.ANY):
                return self._end(source, kind, name, chain)
            chain.append(alias)
            name = alias[0].target
            if not name.is_subdomain(self.origin) or any(name == one.name for one in chain):
                break
        return Finding(Outcome.FOUND, tuple(chain))

    def _end(self, source: Name, kind: RdataType, name: Name, chain: list[RRset]) -> Finding:
        """What there is at the end of a chain of aliases."""
        found = self._records(source, kind, name)
        if found is None:
            return Finding(Outcome.FOUND, tuple(chain), (self._soa,))
        return Finding(Outcome.FOUND, (*chain, found))

    def _records(self, source: Name, kind: RdataType, name: Name) -> RRset | None:
        """Records at *source* under the *name* that was asked for; of any type, the first."""
        node = self._nodes.get(source)
        for rdataset in node.rdatasets if node else ():
            if kind in (rdataset.rdtype, dns.rdatatype.ANY):  # RFC 8482 section 4.1
                return dns.rrset.from_rdata_list(name, rdataset.ttl, list(rdataset))
        return None

    def _source(self, name: Name) -> Name | None:
        """Where a name's records are: at itself, at a wildcard, or nowhere."""
        if name in self._names:
            return name
        encloser = next(parent for parent in self._up_to_origin(name) if parent in self._names)
        wildcard = dns.name.Name((b"*", *encloser.labels))
        return wildcard if wildcard in self._names else None

    def _delegation(self, name: Name, kind: RdataType) -> RRset | None:
        """The name servers of the zone that *name* is delegated to, if it is."""
        for parent in reversed(self._up_to_origin(name)[:-1]):
            servers = self._records(parent, dns.rdatatype.NS, parent)
            if servers and not (parent == name and kind == dns.rdatatype.DS):
                return servers
        return None

    def _glue(self, servers: RRset) -> tuple[RRset, ...]:
        """Addresses of name servers, as far as the zone has them."""
        found = [
            self._records(server.target, kind, server.target)
            for server in servers
            for kind in (dns.rdatatype.A, dns.rdatatype.AAAA)
        ]
        return tuple(one for one in found if one)

    def _up_to_origin(self, name: Name) -> list[Name]:
        """A name of the zone, its parents, and the origin."""
        depth = len(name.labels) - len(self.origin.labels)
        return [dns.name.Name(name.labels[count:]) for count in range(depth + 1)]
