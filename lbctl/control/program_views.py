"""
The program views: what is known of pseudo interfaces and network applications, as answers.

Reads only, and takes no lock, like the views.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from lbctl.control.journal import iso
from lbctl.control.program_answers import AppStatus, PortStatus, PseudoStatus
from lbctl.control.program_edits import app_of, pseudo_of
from lbctl.pseudo.device import inner_name
from lbctl.shared.abi import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lbctl.control.controller import Controller
    from lbctl.control.program_state import AppState
    from lbctl.model import App, Pseudo
    from lbctl.shared.arrays import Array

    Found = Mapping[str, Mapping[str, int]]


def pseudo(controller: Controller) -> tuple[PseudoStatus, ...]:
    """All pseudo interfaces."""
    wanted = controller.configuration.pseudo
    found = _by_nic(controller) if wanted else {}
    return tuple(_pseudo(controller, one, found) for one in wanted)


def one_pseudo(controller: Controller, name: str) -> PseudoStatus:
    """One pseudo interface.  Raises NotFound."""
    wanted = pseudo_of(controller.configuration, name)
    return _pseudo(controller, wanted, _by_nic(controller))


def apps(controller: Controller) -> tuple[AppStatus, ...]:
    """All network applications."""
    wanted = controller.configuration.apps
    reasons = controller.dataplane.counters.reasons()[0] if wanted else None
    return tuple(_app(controller, one, reasons) for one in wanted)


def one_app(controller: Controller, name: str) -> AppStatus:
    """One network application.  Raises NotFound."""
    wanted = app_of(controller.configuration, name)
    return _app(controller, wanted, controller.dataplane.counters.reasons()[0])


def _by_nic(controller: Controller) -> Found:
    """Packets by name of the NIC that they came by, and by name of the verdict."""
    names = {nic.slot: nic.name for nic in controller.dataplane.attached()}
    found: dict[str, Counter[str]] = {name: Counter() for name in names.values()}
    for count in controller.dataplane.counters.by_nic():
        if count.nic in names:
            found[names[count.nic]][count.verdict.name] += count.packets
    return found


def _pseudo(controller: Controller, one: Pseudo, found: Found) -> PseudoStatus:
    inner = inner_name(one.name)
    sent = found.get(inner, {})
    alone = len(controller.configuration.pseudo) == 1
    received = sum(nic.get(Verdict.TO_PSEUDO.name, 0) for nic in found.values())
    return PseudoStatus(
        name=one.name,
        addresses=one.addresses,
        mtu=_mtu(controller, one),
        inner_end=inner,
        state="up" if inner in found else "missing",
        packets_in=received if alone else None,
        packets_out=sent.get(Verdict.FROM_PSEUDO.name, 0),
        verdicts=dict(sent),
        next=f"curl --interface {one.addresses[0].ip} http://ADDRESS/",
    )


def _mtu(controller: Controller, one: Pseudo) -> int | None:
    """Bytes of a packet; the routing table has the way to the interface, once it is there."""
    table = controller.dataplane.routing
    hop = table.destinations().get(one.addresses[0].ip)
    found = table.next_hop(hop).mtu if hop is not None else 0
    return found or one.mtu


def _app(controller: Controller, one: App, reasons: Array | None) -> AppStatus:
    """*reasons*: packets by service and verdict; None: there are none."""
    state = controller.programs.running(one.name)
    pid = state.pid if state else None
    verdicts = _verdicts(controller, one, reasons)
    alive = state if state and pid is not None else None
    standing = "stopped" if alive is None else "hung" if alive.hung else "running"
    return AppStatus(
        **dict(one),
        state=standing,
        pid=pid,
        run_by=alive.user if alive else None,
        since=iso(alive.since) if alive else None,
        exits=state.exits if state else 0,
        hung_count=state.hung_count if state else 0,
        packets=verdicts.get(Verdict.TO_APP.name, 0),
        verdicts=verdicts,
        ports=tuple(PortStatus(**asdict(port)) for port in alive.ports) if alive else (),
        next=_next(one, alive),
    )


def _verdicts(controller: Controller, one: App, reasons: Array | None) -> dict[str, int]:
    """The verdicts that packets for its VIPs had, by name."""
    found: Counter[str] = Counter()
    for vip in one.vips:
        index = controller.dataplane.configuration.service_index(vip)
        if index is not None and reasons is not None:
            row = reasons[index]
            found.update({Verdict(int(v)).name: int(row[v]) for v in np.flatnonzero(row)})
    return dict(found)


def _next(one: App, alive: AppState | None) -> str | None:
    """What to type when it does not do its work."""
    if alive is None:
        user = f"'#{one.user}'" if one.user.isdecimal() else one.user
        return f'sudo -u {user} python3 PROGRAM  # that has netif.open("{one.name}")'
    if alive.hung:
        return f"ps -o stat,wchan:20,cmd -p {alive.pid}"
    return None
