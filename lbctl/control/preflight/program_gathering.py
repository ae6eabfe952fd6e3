"""
The gathering of facts about programs on the switch: what controller and tables know of them.

Reads only.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lbctl.control.interfaces.records import table_of
from lbctl.control.preflight.program_facts import App
from lbctl.pseudo.device import inner_name
from lbctl.shared import abi
from lbctl.shared.abi import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lbctl.control.controller import Controller
    from lbctl.control.preflight.facts import Nic
    from lbctl.control.preflight.program_facts import Pseudo
    from lbctl.control.preflight.survey import Survey
    from lbctl.model import App as Wanted
    from lbctl.model import IPAddress

STRICT = 1  # of rp_filter


def addresses(controller: Controller) -> set[IPAddress]:
    """All addresses of pseudo interfaces."""
    return {i.ip for one in controller.configuration.pseudo for i in one.addresses}


def pseudo(controller: Controller, survey: Survey, nics: Sequence[Nic]) -> list[Pseudo]:
    """The pseudo interfaces that are wanted."""
    attached = {nic.name for nic in controller.dataplane.attached()}
    deaf = tuple(nic.name for nic in nics if nic.attached and nic.rp_filter == STRICT)
    wanted = controller.configuration.pseudo
    old = {one.name for one in wanted if any(i.version == 4 for i in one.addresses)}
    return [
        replace(
            found,
            attached=inner_name(found.name) in attached,
            table=table_of(controller.name, found.link.ifindex) if found.link else 0,
            deaf=deaf if found.name in old else (),
        )
        for found in (survey.pseudo(wanted) if wanted else ())
    ]


def apps(controller: Controller, nics: Mapping[str, Nic]) -> list[App]:
    """The applications that are wanted; what queues there are is known of *nics* only."""
    return [_app(controller, one, nics) for one in controller.configuration.apps]


def _app(controller: Controller, one: Wanted, nics: Mapping[str, Nic]) -> App:
    state = controller.programs.running(one.name)
    heard = {(port.nic, port.queue) for port in state.ports} if state else set()
    unheard = {}
    for name in one.nics or tuple(n for n, nic in nics.items() if nic.attached):
        queues = nics[name].queues if name in nics else None
        every = range(min(queues.receive, abi.APP_QUEUES)) if queues else ()
        if missing := tuple(queue for queue in every if (name, queue) not in heard):
            unheard[name] = missing
    return App(
        one.name,
        one.on_exit,
        state.pid if state else None,
        hung=bool(state and state.hung),
        unheard=unheard,
        lost=_lost(controller, one),
    )


def _lost(controller: Controller, one: Wanted) -> int:
    """Packets for its VIPs that found no application, as far as they are counted."""
    table, lost = controller.dataplane.configuration, 0
    for vip in one.vips:
        if (index := table.service_index(vip)) is not None:
            row = controller.dataplane.counters.of_service(index)
            lost += int(row[Verdict.DROP_APP_GONE]) + int(row[Verdict.RESET])
    return lost
