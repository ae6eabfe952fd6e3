"""
The advice: what keeps the switch from doing its work, and what to type about it.

Silence is not a state: each of these would otherwise show only as missing packets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbctl.control.journal import iso
from lbctl.control.master import wanted_share
from lbctl.control.nic_keeper import PSEUDO
from lbctl.control.preflight.inspection import standing
from lbctl.model import Mode, OnExit, State
from lbctl.pseudo.device import inner_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lbctl.control.controller import Controller
    from lbctl.model import Pool, Pseudo


def warnings(controller: Controller) -> tuple[str, ...]:
    """All that is wrong now, one line each."""
    return tuple(by_name(controller).values())


def by_name(controller: Controller) -> dict[str, str]:
    """The same, by what makes a warning the one of a moment ago though its numbers differ."""
    control_vips = {i.ip for pseudo in controller.configuration.pseudo for i in pseudo.addresses}
    plain = (
        *_nics(controller),
        *_pools(controller),
        *_programs(controller),
        *controller.nics.pseudo.interfaces.warnings(controller.configuration),
        *_captures(controller),
        *controller.routing.warnings(but=control_vips),
    )
    found = {f"{one.check} {one.subject}": one.line for one in standing(controller)}
    return dict(zip(plain, plain, strict=True)) | found


def _nics(controller: Controller) -> Iterator[str]:
    attached = {nic.name: nic for nic in controller.dataplane.attached()}
    configuration = controller.configuration
    if configuration.pools and not configuration.nics:
        yield "no NIC is attached, so nothing is balanced; run `lbctl attach IFACE...`"
    for nic in configuration.nics:
        index, found = controller.links.index(nic.name), attached.get(nic.name)
        if index is None:
            yield (
                f"NIC {nic.name} has vanished; it is attached again when it comes back, "
                f"or `lbctl detach {nic.name}`"
            )
        elif not found or found.ifindex != index:
            why = controller.nics.refusals.get(nic.name, "it came after lbctld had looked")
            yield f"NIC {nic.name} is not attached: {why}; run `lbctl attach {nic.name}`"
        else:
            if not controller.links.is_up(nic.name):
                yield f"NIC {nic.name} is down; run `ip link set {nic.name} up`"
            if found.warning:
                yield found.warning
            elif found.mode == Mode.GENERIC and nic.mode is Mode.AUTO:
                yield (
                    f"NIC {nic.name} works in generic mode, which is slow; "
                    f"`lbctl preflight {nic.name}` says why"
                )


def _pools(controller: Controller) -> Iterator[str]:
    configuration = controller.configuration
    used = {p.backup for p in configuration.pools} | {
        rule.pool for p in configuration.pools for rule in p.rules
    }
    for pool in configuration.pools:
        if not pool.vips and pool.name not in used:
            yield f"pool {pool.name} has no VIP; run `lbctl vip add {pool.name} ADDR:PORT/PROTO`"
        if not any(wanted_share(backend) for backend in pool.backends):
            yield f"pool {pool.name} has no active back-end; {_cure(pool)}"
        else:
            yield from _served(controller, pool)


def _programs(controller: Controller) -> Iterator[str]:
    """Pseudo interfaces that are not there, and applications that do nothing."""
    attached = {nic.name for nic in controller.dataplane.attached()}
    for pseudo in controller.configuration.pseudo:
        if inner_name(pseudo.name) not in attached:
            gone = f"it has vanished; restart lbctld, or `lbctl pseudo remove {pseudo.name}`"
            why = controller.nics.refusals.get(PSEUDO, gone)
            yield f"pseudo interface {pseudo.name} is missing: {why}"
        else:
            yield from _pseudo(controller, pseudo)
    for app in controller.configuration.apps:
        state = controller.programs.running(app.name)
        if state is None or state.pid is None:
            if app.on_exit is not OnExit.KERNEL:
                yield (
                    f"app {app.name} does not run, so that nobody serves its VIPs; "
                    f"`lbctl app show {app.name}` says how to start it"
                )
        elif state.hung:
            yield (
                f"app {app.name} hangs: it does not look at packets that wait for it; "
                f"see `lbctl app show {app.name}`"
            )


def _pseudo(controller: Controller, pseudo: Pseudo) -> Iterator[str]:
    """What keeps packets from a pseudo interface that is there."""
    name, inner = pseudo.name, inner_name(pseudo.name)
    if not controller.links.is_up(name):
        cure = f"`ip link set {name} up; ip link set {inner} up`"
        yield f"pseudo interface {name} is down; run {cure}"
        return
    own = controller.links.own(interface.ip for interface in pseudo.addresses)
    for interface in pseudo.addresses:
        if interface.ip not in own:
            yield (
                f"pseudo interface {name} has lost its address {interface.ip}; "
                f"run `ip address add {interface} dev {name}`"
            )


def _captures(controller: Controller) -> Iterator[str]:
    """Whoever captures may have gone home."""
    if session := controller.capturing.current:
        yield (
            f"a capture of {session.wanted.words()} runs since {iso(session.since)}, started by "
            f"{session.who}; `lbctl capture --stop` ends it"
        )


def _served(controller: Controller, pool: Pool) -> Iterator[str]:
    """What is wrong with a pool that has back-ends which are wanted."""
    who = controller.master.serving(controller.configuration, pool)
    see = f"see `lbctl backend list {pool.name}`"
    if who is None:
        yield f"pool {pool.name}: too few back-ends are well, so that nobody serves; {see}"
    elif who.panicking:
        yield f"pool {pool.name} panics: too few back-ends are well, so that all are asked; {see}"
    elif who.pool.name != pool.name:
        yield f"pool {pool.name} is served by its backup {who.pool.name}; {see}"
    shares = controller.master.standings.shares.get(pool.name)
    if shares and shares.problem:
        yield f"pool {pool.name}: {shares.problem}"


def _cure(pool: Pool) -> str:
    for backend in pool.backends:
        if backend.state is not State.ACTIVE:
            return f"run `lbctl backend restore {pool.name} {backend.address}`"
    if pool.backends:
        address = pool.backends[0].address
        return f"run `lbctl backend set {pool.name} {address} --weight 1`"
    return f"run `lbctl backend add {pool.name} ADDR:PORT`"
