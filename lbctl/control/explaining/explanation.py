"""
The explanation: try a packet and tell what came of it.

Reads the switch and changes nothing.  What is published meanwhile would mix two configurations, so
it is tried again then.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lbctl.control.explaining import choice, departure, frames, programs, recognition
from lbctl.control.explaining.answer import Change, ConnectionTold, Explanation, StageTold
from lbctl.control.explaining.arrival import Arrivals
from lbctl.control.explaining.case import Case
from lbctl.control.explaining.cure import next_command
from lbctl.control.explaining.headers import decode
from lbctl.control.explaining.names import Names, at_port
from lbctl.control.explaining.questions import ACK, Protocol
from lbctl.control.nic_names import shown
from lbctl.errors import LbctlError, UsageError
from lbctl.shared.abi import VERDICT_NOTES, Stage, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lbctl.control.controller import Controller
    from lbctl.control.explaining.arrival import Kernel
    from lbctl.control.explaining.questions import Question
    from lbctl.switching.nics import AttachedNic

TRIES = 10  # publishing takes milliseconds
SENTENCES: dict[Stage, Callable[[Case], str]] = {
    Stage.ARRIVE: recognition.arrive,
    Stage.PARSE: recognition.parse,
    Stage.SERVICE: recognition.service,
    Stage.CONNECTION: recognition.connection,
    Stage.SELECT: choice.select,
    Stage.ROUTE: departure.route,
    Stage.REWRITE: departure.rewrite,
    Stage.APP: programs.app,
    Stage.PSEUDO: programs.pseudo,
    Stage.ICMP: departure.icmp,
    Stage.RESET: departure.reset,
    Stage.TOO_BIG: departure.too_big,
    Stage.FINISH: departure.finish,
}


def explain(
    controller: Controller,
    question: Question,
    nic: str | None,
    kernel: Kernel | None = None,
    queue: int = 0,
) -> Explanation:
    """
    Explain a packet that is told in words.

    Where the flags of TCP are left open it is an ACK of the connection that there is, else a SYN.
    *nic*: by which it comes in; None: by which it would.  *queue*: of that NIC.
    """
    arrivals = _arrivals(controller, kernel)
    arrival = arrivals.of(question.source, nic)

    def tried(flags: int | None) -> Case:
        asked = replace(question, flags=flags)
        frame = frames.build(asked, arrival.nic.mac, arrival.source_mac)
        return _try(controller, frame, arrival.nic, queue, arrival.sender)

    if question.protocol is not Protocol.TCP or question.flags is not None or question.error:
        return tell(tried(question.flags))
    case = tried(ACK)
    return tell(case if case.entry else tried(None))


def explain_frames(  # noqa: PLR0913 - as many as there are ways to ask
    controller: Controller,
    given: Sequence[bytes],
    nic: str | None,
    *,
    queue: int = 0,
    to_nic: bool = False,
    kernel: Kernel | None = None,
) -> list[Explanation]:
    """
    Explain frames as they are, each by itself.

    They come in by *nic*; else by that whose MAC they are for, or by which their sender's packets
    would; by *queue* of it.  *to_nic*: the NIC's MAC is put in the place of the one that they are
    for.
    """
    arrivals = _arrivals(controller, kernel)
    told = []
    for frame in given:
        packet = decode(frame)
        entrance = arrivals.nic(nic, packet.source, packet.destination_mac)
        try:
            sent = entrance.mac + frame[6:] if to_nic else frame
            told.append(tell(_try(controller, sent, entrance, queue)))
        except UsageError as error:
            told.append(_not_tried(str(packet), shown(entrance), error))
    return told


def tell(case: Case) -> Explanation:
    """Put a case into words."""
    return Explanation(
        packet=str(case.came),
        verdict=case.end.name,
        action=departure.ACTIONS.get(case.trial.action, str(case.trial.action)),
        in_nic=shown(case.nic),
        out_nic=departure.out_nic(case),
        pool=case.pool.name if case.pool else None,
        vip=str(case.vip) if case.vip else None,
        backend=case.server_text,
        app=case.app.name if case.app else None,
        pseudo=case.interface,
        connection=_connection(case),
        rewritten={
            name: Change(before=before, after=after)
            for name, (before, after) in departure.changes(case).items()
        },
        note=VERDICT_NOTES[case.end],
        next=next_command(case),
        stages=tuple(_stages(case)),
    )


def _arrivals(controller: Controller, kernel: Kernel | None) -> Arrivals:
    """How packets come in: those of programs by their pseudo interface."""
    homes = {i.ip: one.name for one in controller.configuration.pseudo for i in one.addresses}
    return Arrivals(controller.dataplane.attached(), kernel, homes)


def _try(
    controller: Controller, frame: bytes, nic: AttachedNic, queue: int, sender: str = ""
) -> Case:
    plane, came = controller.dataplane, decode(frame)
    about = frames.about(frame, came)
    for _ in range(TRIES):
        before = _moment(controller)
        names = Names(controller)
        trial = plane.explain(frame, nic.ifindex, about, queue)
        if _moment(controller) == before:
            return Case(trial, came, decode(trial.out), nic, names, sender, queue)
    raise LbctlError("the configuration changes all the time; try again, see `lbctl events`")


def _moment(controller: Controller) -> tuple[str, int]:
    """Which buffer packets read, and how many there were before it."""
    return controller.dataplane.configuration.active_buffer, controller.publications.count


def _stages(case: Case) -> Iterator[StageTold]:
    for stage, sentence in SENTENCES.items():
        if not case.reached(stage):
            continue
        if stage is Stage.SELECT:
            if not choice.is_asked(case):
                continue
            if rule := choice.rules(case):
                yield StageTold(stage="rules", verdict=Verdict.CONTINUE.name, text=rule)
        if stage is Stage.PSEUDO and not programs.is_asked(case):
            continue
        verdict = case.verdict(stage).name
        yield StageTold(stage=stage.name.lower(), verdict=verdict, text=sentence(case))


def _connection(case: Case) -> ConnectionTold | None:
    entry = case.entry
    if entry is None or entry.record is None or case.client is None:
        return None
    vip, address = entry.record
    return ConnectionTold(
        client=case.client,
        vip=vip._replace(port=vip.port or case.service_port or 0),
        backend=at_port(address, case.service_port),
        state=entry.state.name.lower(),
        idle_seconds=entry.idle_seconds,
        age_seconds=entry.age_seconds,
        becomes=entry.becomes.name.lower(),
    )


def _not_tried(packet: str, nic: str, error: UsageError) -> Explanation:
    return Explanation(packet=packet, verdict="", action="", in_nic=nic, note=str(error))
