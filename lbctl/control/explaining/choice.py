"""
The choice: sentences about who serves a packet that is of no connection yet.

Pure; for the stage select, and the rules that it looks at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbctl.control.explaining.headers import TCP
from lbctl.control.explaining.names import rule_for
from lbctl.control.explaining.recognition import for_no_service, is_syn
from lbctl.model import Scheduler
from lbctl.shared import abi
from lbctl.shared.abi import ServiceFlag, Stage, Verdict

if TYPE_CHECKING:
    from lbctl.control.explaining.case import Case
    from lbctl.model import Rule

MOST = 8  # back-ends that a sentence names
FULL = "every place that this client's connection could take holds a live one"


def is_asked(case: Case) -> bool:
    """Whether the stage had something to choose."""
    return case.reached(Stage.SELECT) and case.at(Stage.CONNECTION)["backend"] == abi.NONE


def rules(case: Case) -> str | None:
    """Which rule has slots for the connection; None: the service has no rules, or none counts."""
    if case.service is None or case.pool is None or not case.has(ServiceFlag.RULES):
        return None
    rule, client = _rule(case), case.came.source
    if rule is None:
        return f"no rule is for {client}: the slots of pool {case.pool.name} itself count"
    return f"the rule `{rule}` is for {client}: its slots count"


def select(case: Case) -> str:
    """What was chosen, or why nobody was."""
    verdict = case.verdict(Stage.SELECT)
    if case.server is not None:
        return _reply(case)
    if verdict is Verdict.CONTINUE:
        return _chosen(case)
    if verdict is Verdict.DROP_NO_BACKEND:
        return _nobody(case)
    if verdict is Verdict.DROP_INTERNAL:
        return "the slot names a back-end of another service: a bug of lbctl"
    return _clash(case) if verdict is Verdict.DROP_TUPLE_CLASH else _stranger(case, verdict)


def _clash(case: Case) -> str:
    return (
        f"{case.client} has a connection to each server that its slots lead to, by another VIP: "
        f"the server could not tell the two apart"
    )


def _stranger(case: Case, verdict: Verdict) -> str:
    """A packet that is of no connection and starts none."""
    if case.pool is None or case.has(ServiceFlag.ORPHAN):  # its VIP was removed
        return for_no_service(case.came, case, verdict)
    unknown = f"on_unknown of pool {case.pool.name} is {case.pool.on_unknown}"
    what = "it is answered by a reset" if verdict is Verdict.RESET else "it is dropped"
    return f"it is of no connection and no SYN, and {unknown}: {what}"


def _reply(case: Case) -> str:
    if case.verdict(Stage.SELECT) is Verdict.CONTINUE:
        return f"{FULL}, so that it is taken for a reply of one that had no room"
    who = "see the stage pseudo" if case.programs_have_it else "the kernel has it"
    return (
        f"{case.came.origin} answers nobody whom the switch brought to it (a health check, or this "
        f"host itself): {who}"
    )


def _chosen(case: Case) -> str:
    row = case.at(Stage.SELECT)
    parts = []
    if case.came.protocol == TCP and not is_syn(case.came):
        parts.append("it is no SYN, but on_unknown is hash")
    if case.has(ServiceFlag.BY_ADDRESS):
        parts.append(f"{Scheduler.SH} chooses by the client's address alone")
    if row["slots"]:
        parts.append(f"slot {row['slot']} of {row['slots']} is back-end {case.server_text}")
    parts += _retry(case)
    parts.append(_tracked(case))
    return "; ".join(parts)


def _retry(case: Case) -> list[str]:
    previous = int(case.at(Stage.CONNECTION)["previous"]) - 1
    if previous < 0:
        return []
    if previous == case.backend:
        return ["the same as before, for no other was found"]
    return [f"another than {case.name_of(previous)}, which has been tried"]


def _tracked(case: Case) -> str:
    match Verdict(int(case.at(Stage.SELECT)["delivered"])):
        case Verdict.TO_BACKEND_UNTRACKED:
            return f"no connection is kept: {FULL}"
        case Verdict.TO_BACKEND:
            return "the connection goes on"
    return "a new connection"


def _nobody(case: Case) -> str:
    """Who might have been chosen, and how those stand."""
    rule = _rule(case)
    pool = case.names.configuration.pool(rule.pool) if rule else case.pool
    if pool is None:
        return "nobody serves: the VIP was removed"
    members = [member for one in case.names.chain(pool) for member in case.names.of_pool(one)]
    told = []
    for member in members[:MOST]:
        weight = ", weight 0" if not member.backend.weight else ""
        reason = f", {member.reason}" if member.reason else ""
        told.append(f"{member.backend.address} is {member.state}{weight}{reason}")
    if len(members) > MOST:
        told.append(f"and {len(members) - MOST} more")
    quorum = f" (its quorum is {pool.quorum})" if pool.quorum > 1 else ""
    return f"nobody serves for pool {pool.name}{quorum}: {'; '.join(told) or 'it has no back-end'}"


def _rule(case: Case) -> Rule | None:
    """The rule that counts for the packet."""
    packet = case.came
    if case.pool is None or packet.source is None or not case.has(ServiceFlag.RULES):
        return None
    return rule_for(case.pool, packet.source, packet.destination_port)
