"""
The programs: sentences about packets for, and from, what runs on the switch itself.

Pure; for the stages app and pseudo.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbctl.control.explaining.departure import out_nic
from lbctl.control.nic_names import shown
from lbctl.model import OnExit
from lbctl.shared.abi import Stage, Verdict

if TYPE_CHECKING:
    from lbctl.control.explaining.case import Case
    from lbctl.model import App


def is_asked(case: Case) -> bool:
    """Whether the stage pseudo had something to do: all that is the kernel's comes by."""
    return case.programs_have_it


def app(case: Case) -> str:
    """Whether the application gets it, or what becomes of it instead."""
    verdict, one = case.verdict(Stage.APP), case.app
    if one is None:  # it was removed this very moment
        return "its application is gone"
    nic = shown(case.nic)
    if verdict is Verdict.TO_APP:
        return f"application {one.name} receives from {nic}, queue {case.queue}: it gets the packet"
    return f"application {one.name} {_why_not(case, one)}; {_instead(one, verdict)}"


def pseudo(case: Case) -> str:
    """To which pseudo interface it goes, or how it leaves from one."""
    verdict, packet = case.verdict(Stage.PSEUDO), case.came
    if verdict is Verdict.DROP_MALFORMED:
        return f"{packet.problem or 'its lengths cannot be'}: it is dropped"
    if case.nic.is_pseudo:
        start = f"from a program on the switch, by pseudo interface {shown(case.nic)}"
        if verdict is Verdict.FROM_PSEUDO:
            way = f"{case.left.destination_mac} by {out_nic(case)}"
            return f"{start}: the next hop to {packet.destination} is {way}"
    else:
        start = f"{packet.destination} is an address of pseudo interface {case.interface}"
        if verdict is Verdict.TO_PSEUDO:
            return f"{start}: programs on the switch have it, as it came"
    return f"{start}, but {_in_the_way(case, verdict)}"


def _why_not(case: Case, one: App) -> str:
    """Why an application does not get a packet."""
    state = case.names.running(one.name)
    if state is None or state.pid is None:
        return "does not run"
    if state.hung:
        return "lets packets wait (it is taken for hung)"
    places = [f"{port.nic} queue {port.queue}" for port in state.ports]
    there = ", ".join(places) or "nowhere"
    return f"does not receive from {shown(case.nic)}, queue {case.queue} (it does from {there})"


def _instead(one: App, verdict: Verdict) -> str:
    told = {
        Verdict.RESET: "it is answered by a reset",
        Verdict.TO_KERNEL: "the kernel has it, and whoever listens there",
    }
    what = told.get(verdict, "it is dropped")
    if one.on_exit is OnExit.RESET and verdict is Verdict.DROP_APP_GONE:
        return f"its on_exit is reset, which only TCP has: {what}"
    return f"its on_exit is {one.on_exit}: {what}"


def _in_the_way(case: Case, verdict: Verdict) -> str:
    host = case.came.destination
    mtu = int(case.at(Stage.PSEUDO)["mtu"])
    told = {
        Verdict.DROP_NO_ROUTE: f"no route leads to {host}",
        Verdict.DROP_NO_NEIGHBOR: f"the MAC of the next hop to {host} is not known",
        Verdict.DROP_NOT_ATTACHED: f"to {host} it is by a NIC that has no switching processor",
        Verdict.TOO_BIG_REPLY: (
            f"{case.came.length} bytes are more than the way to {host} takes (MTU {mtu})"
        ),
    }
    return told.get(verdict, "there is no such next hop: a bug of lbctl")
