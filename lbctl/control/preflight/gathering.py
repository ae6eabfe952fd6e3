"""
The gathering: what the controller and its tables know, as facts; with what a survey found.

Reads only.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from lbctl.control.master import served_at
from lbctl.control.preflight import program_gathering
from lbctl.control.preflight.facts import Backend, Pool, Room, Service, Source
from lbctl.control.preflight.survey import Asked
from lbctl.model import Forward, Protocol, State
from lbctl.shared.abi import NextHopState
from lbctl.shared.routing import NextHop

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lbctl.control.controller import Controller
    from lbctl.control.preflight.facts import Nic
    from lbctl.control.preflight.survey import Surroundings
    from lbctl.model import Backend as Wanted
    from lbctl.model import IPAddress, Vip
    from lbctl.shared.arrays import Array

IN_USE = {State.ACTIVE, State.DRAINING}  # as the administrator wants it
LINE = 32  # slots that are given away together


def asked(controller: Controller, names: Sequence[str] = ()) -> list[Asked]:
    """The NICs to look at: those that are named, and all that are configured."""
    attached = {nic.name: nic.mode for nic in controller.dataplane.attached()}
    wanted = {nic.name: nic.mode for nic in controller.configuration.nics}
    return [
        Asked(
            name,
            attached.get(name),
            name in wanted,
            **({"wanted": wanted[name]} if name in wanted else {}),
            refusal=controller.nics.refusals.get(name, ""),
        )
        for name in dict.fromkeys((*names, *wanted))
    ]


def gateway_of(controller: Controller) -> frozenset[int]:
    """IP versions of servers whose gateway the switch is."""
    nat = [p for p in controller.configuration.pools if p.forward is Forward.NAT and p.backends]
    return frozenset(pool.family for pool in nat if pool.family)


def hosts(controller: Controller) -> set[IPAddress]:
    """All addresses that back-ends and VIPs have."""
    pools = controller.configuration.pools
    found = {b.address.address for pool in pools for b in pool.backends}
    return found | {vip.address for pool in pools for vip in pool.vips}


def hosts_with_vips(controller: Controller) -> set[IPAddress]:
    """VIPs that checks are sent to, and the servers that answer for them."""
    vips = controller.configuration.vips_by_pool()
    pools = [p for p in controller.configuration.pools if p.health and p.health.to_vip]
    servers = {backend.address.address for pool in pools for backend in pool.backends}
    return servers | {vip.address for pool in pools for vip in vips[pool.name]}


def hops(controller: Controller) -> dict[IPAddress, NextHop]:
    """What the switching processors know of the way to each back-end."""
    table = controller.dataplane.routing
    return {host: table.next_hop(index) for host, index in table.destinations().items()}


def serving(controller: Controller) -> set[str]:
    """The NICs that back-ends are behind."""
    names = {nic.slot: nic.name for nic in controller.dataplane.attached()}
    found = [hop for hop in hops(controller).values() if hop.state is NextHopState.RESOLVED]
    return {names[hop.nic] for hop in found if hop.nic in names}


def packets(controller: Controller) -> dict[str, int]:
    """How many each attached NIC has seen."""
    names = {nic.slot: nic.name for nic in controller.dataplane.attached()}
    found = dict.fromkeys(names.values(), 0)
    for count in controller.dataplane.counters.by_nic():
        if count.nic in names:
            found[names[count.nic]] += count.packets
    return found


def checked_by(controller: Controller, around: Surroundings) -> dict[str, tuple[Source, ...]]:
    """By NIC: the VIPs that servers of DSR pools answer checks from."""
    found: dict[str, dict[IPAddress, Source]] = {}
    vips = controller.configuration.vips_by_pool()
    for pool in controller.configuration.pools:
        if not pool.health or not pool.health.to_vip:
            continue
        for vip in vips[pool.name]:
            back = around.ways.get(vip.address)
            for backend in pool.backends:
                way = around.ways.get(backend.address.address)
                if way and vip.address.version == 4:
                    source = Source(vip.address, back.nic if back else None)
                    found.setdefault(way.nic, {})[vip.address] = source
    return {nic: tuple(sources.values()) for nic, sources in found.items()}


def backends(
    controller: Controller,
    around: Surroundings,
    nics: Mapping[str, Nic],
    known: Mapping[IPAddress, NextHop],
) -> list[Backend]:
    """Every back-end that its administrator wants in use."""
    slots = {nic.slot: nic.name for nic in controller.dataplane.attached()}
    counters = controller.dataplane.counters.by_backend()
    vips = controller.configuration.vips_by_pool()
    found = []
    for pool in controller.configuration.pools:
        tcp = [vip for vip in vips[pool.name] if vip.protocol is Protocol.TCP]
        for backend in pool.backends:
            if backend.state not in IN_USE:
                continue
            host = backend.address.address
            hop, way = known.get(host, NextHop()), around.ways.get(host)
            name = slots.get(hop.nic, "") if hop.state is NextHopState.RESOLVED else ""
            link = nics[name].link if name in nics else None
            standing = controller.master.standings.of(pool.name, backend)
            opened, answered, reset = _counted(controller, counters, tcp, backend)
            one = Backend(
                pool.name,
                backend.address,
                pool.forward,
                checked=pool.health is not None,
                state=standing.state,
                reason=standing.reason,
                hop=hop.state,
                mtu=hop.mtu,
                nic=name,
                nic_mtu=link.mtu if link else None,
                way=way,
                gateway=way.source if way and not way.gateway else None,
                tcp=bool(tcp),
                connections=opened,
                answers=answered,
                resets=reset,
            )
            found.append(one)
    return found


def _counted(
    controller: Controller, counters: Array, vips: Sequence[Vip], backend: Wanted
) -> tuple[int, int, int]:
    """Connections, answers and resets of a back-end, of all *vips* together."""
    index_of = controller.dataplane.configuration.backend_index
    indices = [index_of(vip, served_at(vip, backend.address)) for vip in vips]
    rows = counters[[index for index in indices if index is not None]]
    return (int(rows["connections"].sum()), int(rows["answers"].sum()), int(rows["resets"].sum()))


def pools(controller: Controller) -> list[Pool]:
    """The pools, and who serves in their names."""
    configuration = controller.configuration
    found = []
    for pool in configuration.pools:
        who = controller.master.serving(configuration, pool)
        found.append(
            Pool(pool.name, len(pool.vips), len(pool.backends), who.pool.name if who else None)
        )
    return found


def services(controller: Controller, around: Surroundings) -> list[Service]:
    """The VIPs."""
    attached = [nic.name for nic in controller.dataplane.attached()]
    seen, programs = _seen(controller), program_gathering.addresses(controller)
    return [
        # that the address is a pseudo interface's was somebody's wish
        replace(found, local=False, answered=True) if vip.address in programs else found
        for pool in controller.configuration.pools
        for vip in pool.vips
        for found in (_service(pool.name, vip, around, attached, seen[vip]),)
    ]


def _seen(controller: Controller) -> Counter[Vip]:
    """How many packets came for each VIP so far."""
    table, counters = controller.dataplane.configuration, controller.dataplane.counters
    traffic, (reasons, _) = counters.by_backend()["packets_in"], counters.reasons()
    found: Counter[Vip] = Counter()
    for index, record in table.backends().items():
        found[record.vip] += int(traffic[index])
    for pool in controller.configuration.pools:
        for vip in pool.vips:
            if (number := table.service_index(vip)) is not None:
                found[vip] += int(reasons[number].sum())
    return found


def _service(
    pool: str, vip: Vip, around: Surroundings, attached: Sequence[str], seen: int
) -> Service:
    way = around.ways.get(vip.address)
    network = next(_networks(around, attached, vip.address), None)
    answered = (network, vip.address) in around.answered
    return Service(
        pool,
        vip,
        local=bool(way and way.own),
        network=network,
        answered=answered or (network, vip.address.version) in around.answers_all,
        seen=seen,
    )


def _networks(around: Surroundings, names: Sequence[str], address: IPAddress) -> Iterator[str]:
    """The NICs in whose network an address is."""
    for name in names:
        if any(address in interface.network for interface in around.addresses.get(name, ())):
            yield name


def rooms(controller: Controller) -> list[Room]:
    """The tables that can be full."""
    plane, master = controller.dataplane, controller.master
    capacity, configuration = plane.capacity, controller.configuration
    slots = sum(
        -(-master.dealt(run) // LINE) * LINE * len(pool.vips)
        for pool in configuration.pools
        for run in (pool, *(configuration.pool(rule.pool) for rule in pool.rules))
        if run
    )
    records = plane.configuration.backends()
    neighbors = len(plane.routing.destinations()) + len(plane.routing.gateways())
    vips = sum(len(pool.vips) for pool in configuration.pools)
    vips += sum(len(app.vips) for app in configuration.apps)
    return [
        Room("connections", plane.connections.used(), plane.connections.size // 2, "connections"),
        Room("services", vips, capacity.services, "services"),
        Room("back-ends", len(records), capacity.backends, "backends"),
        Room("slots", slots, capacity.slots, "slots"),
        Room("next hops", neighbors, capacity.next_hops, "next-hops"),
        Room("routes", len(plane.routing.routes()), capacity.routes, "routes"),
    ]
