"""The labels: those of a configuration's back-ends, written once for as long as it is in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lbctl.control.master import served_at
from lbctl.control.metrics.catalogue import MEMBER, SERVED
from lbctl.control.metrics.exposition import pairs

if TYPE_CHECKING:
    from lbctl.model import Configuration, SocketAddress, Vip


class Record(NamedTuple):
    """A back-end as it serves one VIP, and the labels of what is counted there."""

    vip: Vip
    address: SocketAddress
    text: str


class Labels(NamedTuple):
    """*members*: by pool, in the order of its back-ends."""

    configuration: Configuration
    members: dict[str, list[str]]
    records: list[Record]

    @classmethod
    def of(cls, configuration: Configuration) -> Labels:
        """Write them."""
        vips = configuration.vips_by_pool()
        members, records = {}, []
        for pool in configuration.pools:
            addresses = [(b.address, str(b.address)) for b in pool.backends]
            members[pool.name] = [pairs(MEMBER, (pool.name, text)) for _, text in addresses]
            for vip in vips[pool.name]:
                name = str(vip)
                records += [
                    Record(vip, served_at(vip, address), pairs(SERVED, (pool.name, name, text)))
                    for address, text in addresses
                ]
        return cls(configuration, members, records)
