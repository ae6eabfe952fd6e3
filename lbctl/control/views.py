"""
The views: what the controller and the tables know, as answers of the API.

Reads only, and takes no lock: the tables are shared memory and the configuration is one value.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from lbctl import __version__
from lbctl.control import answers, program_views
from lbctl.control.advice import warnings
from lbctl.control.edits import pool_of
from lbctl.control.master import served_at
from lbctl.control.watch import Observation
from lbctl.errors import NotFound
from lbctl.model import Pool, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np

    from lbctl.control.controller import Controller
    from lbctl.control.standing import Standing
    from lbctl.model import Backend, SocketAddress, Vip
    from lbctl.shared.abi import Verdict

    Counts = np.ndarray[tuple[int], np.dtype[np.int64]]

PLAIN = set(Pool.model_fields) - {"backends"}  # shown as configured
UNSEEN = Observation(None, 0.0, None, None)


def status(controller: Controller) -> answers.Status:
    """The switch at a glance."""
    number, configuration = controller.current
    plane = controller.dataplane
    found = controller.master.standings
    states = Counter(found.of(p.name, b).state for p in configuration.pools for b in p.backends)
    return answers.Status(
        name=controller.name,
        version=__version__,
        generation=number,
        active_buffer="B" if plane.configuration.active_buffer == "B" else "A",
        nics=nics(controller),
        connections=answers.ConnectionUse(
            used=plane.connections.used(), size=plane.connections.size
        ),
        pools=len(configuration.pools),
        backends=answers.BackendStates(**{state.value: states[state] for state in State}),
        pseudo=program_views.pseudo(controller),
        apps=program_views.apps(controller),
        warnings=warnings(controller),
    )


def nics(controller: Controller) -> tuple[answers.NicStatus, ...]:
    """The NICs that are configured, whether they are there or not."""
    attached = {nic.name: nic for nic in controller.dataplane.attached()}
    packets: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    for name, verdict, tally in tallies(controller):
        packets[name] += tally.packets
        dropped[name] += tally.packets if is_drop(verdict) else 0
    return tuple(
        answers.NicStatus(
            name=nic.name,
            mode=attached[nic.name].mode if nic.name in attached else "detached",
            program_tag=attached[nic.name].program_tag if nic.name in attached else "",
            packets=packets[nic.name],
            drops=dropped[nic.name],
        )
        for nic in controller.configuration.nics
    )


def pools(controller: Controller) -> list[answers.PoolStatus]:
    """All pools."""
    return _pools(controller, controller.configuration.pools)


def pool(controller: Controller, name: str) -> answers.PoolStatus:
    """One pool.  Raises NotFound."""
    return _pools(controller, [pool_of(controller.configuration, name)])[0]


def backends(controller: Controller, name: str | None) -> list[answers.PooledBackend]:
    """The back-ends of all pools or of one."""
    chosen = [pool(controller, name)] if name else pools(controller)
    return [
        answers.PooledBackend(**dict(backend), pool=one.name)
        for one in chosen
        for backend in one.backends
    ]


def backend(controller: Controller, name: str, address: SocketAddress) -> answers.PooledBackend:
    """One back-end.  Raises NotFound."""
    for found in backends(controller, name):
        if found.address == address:
            return found
    raise NotFound(f"pool {name!r} has no back-end {address}; see `lbctl backend list {name}`")


def vips(controller: Controller) -> list[answers.VipStatus]:
    """The VIPs of all pools, then those of network applications."""
    configuration = controller.configuration
    counts = controller.dataplane.connections.count_by_backend()
    found = []
    for one in configuration.pools:
        members = configuration.stand_ins(one)
        for vip in one.vips:
            servers = {served_at(vip, b.address) for member in members for b in member.backends}
            number = sum(_connections(controller, [vip], server, counts) for server in servers)
            found.append(answers.VipStatus(vip=vip, pool=one.name, app=None, connections=number))
    return found + [
        answers.VipStatus(vip=vip, pool=None, app=app.name, connections=None)
        for app in configuration.apps
        for vip in app.vips
    ]


def generations(controller: Controller) -> list[answers.GenerationStatus]:
    """The history, newest first."""
    active = controller.current.number
    return [
        answers.GenerationStatus(
            generation=number, time=time, who=who, what=what, active=number == active
        )
        for number, time, who, what in controller.store.history()
    ]


def generation(controller: Controller, number: int) -> answers.GenerationContent:
    """One generation of the history.  Raises NotFound."""
    found = controller.store.generation(number)
    return answers.GenerationContent(
        generation=found.number,
        time=found.time,
        who=found.who,
        what=found.what,
        active=found.number == controller.current.number,
        configuration=found.configuration,
    )


def is_drop(verdict: Verdict) -> bool:
    """Whether a verdict means that the packet was discarded."""
    return verdict.name.startswith("DROP_")


def tallies(controller: Controller) -> Iterator[tuple[str, Verdict, answers.Tally]]:
    """Every verdict that packets of an attached NIC had: the NIC's name, which, how many."""
    names = {nic.slot: nic.name for nic in controller.dataplane.attached()}
    for count in controller.dataplane.counters.by_nic():
        if count.nic in names:
            tally = answers.Tally(packets=count.packets, bytes=count.bytes)
            yield names[count.nic], count.verdict, tally


def records(
    controller: Controller, vips: Sequence[Vip], address: SocketAddress
) -> Iterator[tuple[Vip, int]]:
    """The records of one server in the back-end table: it has one for each VIP."""
    for vip in vips:
        index = controller.dataplane.configuration.backend_index(vip, served_at(vip, address))
        if index is not None:
            yield vip, index


def _pools(controller: Controller, chosen: Sequence[Pool]) -> list[answers.PoolStatus]:
    counts = controller.dataplane.connections.count_by_backend()
    vips = controller.configuration.vips_by_pool()
    return [_pool(controller, one, vips.get(one.name, ()), counts) for one in chosen]


def _pool(
    controller: Controller, one: Pool, vips: Sequence[Vip], counts: Counts
) -> answers.PoolStatus:
    configuration, found = controller.configuration, controller.master.standings
    who = controller.master.serving(configuration, one)
    shares = found.shares.get(one.name)
    itself = who is not None and who.pool.name == one.name
    dealt = controller.master.shares(one) if itself else {}
    seen = controller.watch.observations(one)
    plain = {name: getattr(one, name) for name in PLAIN}
    return answers.PoolStatus(
        **plain,
        served_by=who.pool.name if who else None,
        panicking=who.panicking if who else False,
        problem=shares.problem if shares else None,
        backends=tuple(
            _backend(
                found.of(one.name, backend),
                backend,
                seen.get(backend.address, UNSEEN),
                share=dealt.get(backend.address, 0.0),
                wanted=(shares.wanted if shares else dealt).get(backend.address, 0.0),
                connections=_connections(controller, vips, backend.address, counts),
            )
            for backend in one.backends
        ),
    )


def _backend(
    standing: Standing, backend: Backend, seen: Observation, **counted: float
) -> answers.BackendStatus:
    return answers.BackendStatus(
        address=backend.address,
        weight=backend.weight,
        state=standing.state,
        reason=standing.reason,
        measured=seen.measured,
        new_connections_per_second=round(seen.new_connections, 2),
        load=seen.load,
        report_age_seconds=None if seen.report_age is None else round(seen.report_age, 1),
        share=counted["share"],
        wanted=counted["wanted"],
        connections=int(counted["connections"]),
    )


def _connections(
    controller: Controller, vips: Sequence[Vip], address: SocketAddress, counts: Counts
) -> int:
    return sum(int(counts[index]) for _, index in records(controller, vips, address))
