"""
The plan: which rules, routes and neighbors make programs on the switch send through the switch.

Pure.  Three things need the kernel's help, for it does not know what the switching processors do:

- what is sent from an address of a pseudo interface leaves by that interface, wherever the switch
  knows the way to; elsewhere the kernel sends it by a NIC and asks for the MAC, as it always does,
  for the switching processors cannot ask;
- who asks for the MAC of its IPv6 address on an attached NIC is answered there;
- what a back-end that is the switch itself answers goes to an attached NIC, and not to the client.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from ipaddress import ip_network
from socket import IPPROTO_TCP, IPPROTO_UDP
from typing import TYPE_CHECKING

from lbctl.control.interfaces.records import (
    ANYWHERE,
    ORDER,
    Claim,
    Guide,
    Record,
    Rule,
    Way,
    table_of,
)
from lbctl.control.routing.records import IPNetwork
from lbctl.control.routing.snapshot import Routing
from lbctl.model import ANY_PORT, Forward, Protocol
from lbctl.pseudo.device import Device

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lbctl.model import Configuration, IPAddress, SocketAddress

NUMBERS = {Protocol.TCP: IPPROTO_TCP, Protocol.UDP: IPPROTO_UDP}


@dataclass(frozen=True, slots=True)
class Put:
    """Make the kernel hold a record."""

    record: Record


@dataclass(frozen=True, slots=True)
class Delete:
    """Make the kernel forget a record."""

    record: Record


@dataclass(frozen=True, slots=True)
class Facts:
    """
    What the plan is made of, beside the configuration.

    *devices*: pseudo interfaces by name; *attached*: the NICs that have a switching processor, by
    ifindex, without the pseudo interfaces'; *routing*: the kernel's links and routes; *known*:
    where the switch knows a way to, and where not, as `differing` gives it.
    """

    devices: Mapping[str, Device]
    attached: AbstractSet[int]
    routing: Routing
    known: Mapping[IPNetwork, bool]


def wanted(instance: str, configuration: Configuration, facts: Facts) -> frozenset[Record]:
    """All records that *configuration* needs."""
    found = (
        *_of_pseudo(instance, configuration, facts),
        *_of_servers(instance, configuration, facts),
    )
    return frozenset({_place(record): record for record in _sorted(found)}.values())


def changes(have: AbstractSet[Record], want: AbstractSet[Record]) -> Iterator[Put | Delete]:
    """
    How the kernel gets from one to the other.

    What is new comes first, in the order in which one needs the other, and what goes in the
    opposite one.  A route is not replaced but made anew: that of IPv6 would be doubled.
    """
    former = {_place(record): record for record in have - want}
    for record in _sorted(want - have):
        old = former.pop(_place(record), None)
        if isinstance(old, Way):
            yield Delete(old)
        yield Put(record)
    yield from (Delete(record) for record in reversed(_sorted(former.values())))


def differing(routes: Mapping[IPNetwork, bool]) -> dict[IPNetwork, bool]:
    """Those prefixes whose value is not that of the one that covers them; of all others, False."""
    found: dict[IPNetwork, bool] = {}
    covering: list[tuple[int, int, bool]] = []  # version, last address, value
    for version, first, bits, prefix in sorted(
        (p.version, int(p.network_address), p.prefixlen, p) for p in routes
    ):
        del bits
        last = first + prefix.num_addresses - 1
        while covering and (covering[-1][0] != version or covering[-1][1] < first):
            covering.pop()
        value = routes[prefix]
        if value != (covering[-1][2] if covering else False):
            found[prefix] = value
        covering.append((version, last, value))
    return found


def local_servers(configuration: Configuration) -> dict[SocketAddress, set[tuple[int, int]]]:
    """
    Back-ends whose replies the switch has to see, with protocol and port that they answer from.

    Only those of pools that forward by NAT: others answer clients themselves.
    """
    vips = configuration.vips_by_pool()
    found: dict[SocketAddress, set[tuple[int, int]]] = {}
    for pool in configuration.pools:
        if pool.forward is not Forward.NAT:
            continue
        for backend in pool.backends:
            found.setdefault(backend.address, set()).update(
                (NUMBERS[vip.protocol], 0 if vip.port == ANY_PORT else backend.address.port)
                for vip in vips[pool.name]
            )
    return found


def _of_pseudo(instance: str, configuration: Configuration, facts: Facts) -> Iterator[Record]:
    """Programs send from the addresses of pseudo interfaces by those."""
    vips = _vips(configuration)
    for pseudo in configuration.pseudo:
        device = facts.devices.get(pseudo.name)
        if device is None:
            continue
        index = device.outer.ifindex
        for address in (interface.ip for interface in pseudo.addresses):
            table, version = table_of(instance, index), address.version
            yield Guide(index, version, device.inner.mac)
            yield Rule(address, table)
            for prefix, known in {**facts.known, **vips}.items():
                if prefix.version == version:
                    yield Way(table, prefix, index if known else 0)
            if address.version == 6:
                yield from (Claim(nic, address) for nic in facts.attached)


def _of_servers(instance: str, configuration: Configuration, facts: Facts) -> Iterator[Record]:
    """Back-ends that are the switch itself answer by way of an attached NIC."""
    hosts = {i.ip for pseudo in configuration.pseudo for i in pseudo.addresses}
    for server, answers in local_servers(configuration).items():
        address = server.address
        if address in hosts or not answers:
            continue
        home = facts.routing.home(address)
        nic = facts.routing.beside(address, facts.attached)
        if home is None or nic is None or home.ifindex in facts.attached:
            continue
        table, version = table_of(instance, home.ifindex), address.version
        yield Guide(home.ifindex, version, nic.mac)
        yield Way(table, ANYWHERE[version], home.ifindex)
        yield from (Rule(address, table, *answer) for answer in answers)


def _vips(configuration: Configuration) -> dict[IPNetwork, bool]:
    """The addresses that the switch itself serves: no route need lead to them."""
    vips = [vip for pool in configuration.pools for vip in pool.vips]
    vips += [vip for app in configuration.apps for vip in app.vips]
    return {ip_network(vip.address): True for vip in vips}


def _sorted(records: Iterable[Record]) -> list[Record]:
    return sorted(records, key=lambda record: (ORDER.index(type(record)), repr(record)))


def _place(record: Record) -> object:
    """What a record shares with the one that takes its place when it is put."""
    if isinstance(record, Guide):
        return Guide, record.ifindex, record.version
    if isinstance(record, Way):
        return Way, record.table, record.prefix
    return record


def addresses_of(configuration: Configuration) -> frozenset[IPAddress]:
    """The control VIPs: all addresses of all pseudo interfaces."""
    return frozenset(i.ip for pseudo in configuration.pseudo for i in pseudo.addresses)
