"""
The trial: have back-ends answer, and see which way their answers take.

First a plain connection from the switch.  Where that works, a SYN from an address that is no
neighbor (a nat server must answer it through the switch), or one for each VIP (a dsr server must
take it).  Only servers on a link of ours are tried: what a router on the way does with such a
packet says nothing of the server.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, NamedTuple

from lbctl.control.health.check import look
from lbctl.control.health.target import Outcome, Target
from lbctl.control.preflight.facts import Answer
from lbctl.control.preflight.probing import Ports, ask
from lbctl.control.preflight.segments import Probe
from lbctl.model import ANY_PORT, Forward, Protocol, SocketAddress, TcpCheck, Vip
from lbctl.shared.abi import NextHopState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lbctl.control.preflight.facts import Backend
    from lbctl.model import IPAddress
    from lbctl.shared.routing import NextHop

# Nobody's addresses, for documentation: RFC 5737, RFC 3849, RFC 9637.
STRANGERS: tuple[IPAddress, ...] = (
    IPv4Address("192.0.2.1"),
    IPv4Address("198.51.100.1"),
    IPv4Address("203.0.113.1"),
    IPv6Address("2001:db8::1"),
    IPv6Address("3fff::1"),
)
FAR, NEAR = 64, 2  # hops: to a container behind the server; no further, should it send it on
CHECK = TcpCheck(timeout=1.0, interval=2.0)
REFUSED = "connection refused"
HIGH = range(50_000, 60_000)  # ports


class Means(NamedTuple):
    """What it takes: the next hop of each host, who is a stranger, and how to connect and ask."""

    hops: Mapping[IPAddress, NextHop]
    strangers: Mapping[int, IPAddress]  # by IP version
    vips: Mapping[str, Sequence[Vip]]  # by pool
    connect: Callable[[Sequence[SocketAddress]], dict[SocketAddress, Answer | None]]
    ask: Callable[[Sequence[Probe]], list[Answer] | None] = ask


def tried(backends: Sequence[Backend], means: Means) -> list[Backend]:
    """The same back-ends with what they said."""
    open_to = [b for b in backends if b.tcp and b.hop is NextHopState.RESOLVED]
    said = means.connect([*dict.fromkeys(b.address for b in open_to)])
    seen = [replace(b, accepts=said.get(b.address)) for b in backends]
    with Ports() as ports:
        probes = {
            (number, vip): probe
            for number, backend in enumerate(seen)
            if backend.accepts is Answer.ACCEPTED
            for vip, probe in _probes(backend, means, ports)
        }
        unique = {(p.destination, p.source): p for p in probes.values()}
        found = means.ask([*unique.values()]) if unique else []
    if found is None:
        return seen
    answers = dict(zip(unique, found, strict=True))
    for (number, vip), probe in probes.items():
        answer = answers[probe.destination, probe.source]
        if vip is None:
            seen[number] = replace(seen[number], returns=answer)
        else:
            seen[number] = replace(seen[number], has={**seen[number].has, vip: answer})
    return seen


def _probes(backend: Backend, means: Means, ports: Ports) -> list[tuple[Vip | None, Probe]]:
    """What to send to a back-end; None stands for its own address."""
    hop, way = means.hops.get(backend.address.address), backend.way
    if hop is None or way is None or way.gateway or not backend.nic:
        return []
    made = (backend.nic, hop.source_mac, hop.destination_mac)
    if backend.forward is Forward.NAT:
        stranger = means.strangers.get(backend.address.address.version)
        if stranger is None:
            return []
        source = SocketAddress(stranger, HIGH[secrets.randbelow(len(HIGH))])
        return [(None, Probe(*made, source, backend.address, FAR))]
    found: list[tuple[Vip | None, Probe]] = []
    for vip in means.vips.get(backend.pool, ()):
        held = ports.take(way.source) if way.source and vip.protocol is Protocol.TCP else None
        if way.source and held:
            port = backend.address.port if vip.port == ANY_PORT else vip.port
            to, source = SocketAddress(vip.address, port), SocketAddress(way.source, held)
            found.append((vip, Probe(*made, source, to, NEAR)))
    return found


def connect(addresses: Sequence[SocketAddress]) -> dict[SocketAddress, Answer | None]:
    """Open a connection to each; None: the switch could not even try."""

    async def all_of_them() -> list[Outcome]:
        targets = [Target("", address, CHECK) for address in addresses]
        return await asyncio.gather(*map(look, targets))

    return dict(zip(addresses, map(_answer, asyncio.run(all_of_them())), strict=True))


def _answer(outcome: Outcome) -> Answer | None:
    if outcome.ok:
        return Answer.ACCEPTED
    if not outcome.conclusive:
        return None
    return Answer.REFUSED if outcome.reason == REFUSED else Answer.SILENT
