"""The balance: which scheduler is nearest to what a backend says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lbctl.model import Scheduler

if TYPE_CHECKING:
    from lbctl.cli.importing.haproxy.lines import Section
    from lbctl.cli.importing.remarks import Remarks

SAME = {
    "roundrobin": Scheduler.WRR,
    "static-rr": Scheduler.WRR,
    "leastconn": Scheduler.WLC,
    "source": Scheduler.SH,
    "random": Scheduler.P2C,
}
NEAREST = {
    "first": (Scheduler.WLC, "servers are not filled one after the other"),
    "uri": (Scheduler.MAGLEV, "nothing looks into requests: a hash of the flow decides"),
    "url_param": (Scheduler.MAGLEV, "nothing looks into requests: a hash of the flow decides"),
    "hdr": (Scheduler.MAGLEV, "nothing looks into requests: a hash of the flow decides"),
    "rdp-cookie": (Scheduler.SH, "nothing looks into the cookie: the client's address decides"),
    "hash": (Scheduler.MAGLEV, "a hash of the flow decides"),
}
STICKS = "a client keeps its server by the hash of its address, without end and without a table"
AGENTS = "the weights that agents ask for count with least-load"


def scheduler(section: Section, remarks: Remarks, *, agents: bool) -> Scheduler:
    """Choose the scheduler of a backend; *agents*: whether some ask for weights."""
    found = _balance(section, remarks)
    for words in (("stick", "on"), ("stick", "match"), ("stick", "store-request")):
        for statement in section.every(*words):
            if statement.words[2:3] == ("src",):
                remarks.differs(statement.line, statement.text, f"scheduler sh: {STICKS}")
                found = Scheduler.SH
            else:
                remarks.not_taken(statement.line, statement.text, "only addresses can stick: sh")
    if agents and found is Scheduler.WRR:
        remarks.differs(section.head.line, section.head.text, f"scheduler least-load: {AGENTS}")
        return Scheduler.LEAST_LOAD
    if agents:
        why = f"scheduler {found}: {AGENTS} only"
        remarks.differs(section.head.line, section.head.text, why)
    return found


def _balance(section: Section, remarks: Remarks) -> Scheduler:
    said = section.last("balance")
    if said is None or len(said.words) == 1:
        return Scheduler.WRR
    name = re.sub(r"\(.*", "", said.words[1])
    if said.words[1] == "hash" and said.words[2:3] == ("src",) and len(said.words) == 3:
        return Scheduler.SH
    if name in SAME:
        return SAME[name]
    ours, why = NEAREST.get(name, (Scheduler.WRR, "there is none of that name"))
    remarks.differs(said.line, said.text, f"scheduler {ours}: {why}")
    return ours
