"""
The departure: sentences about how the packet leaves, what is changed in it, and who is answered.

Pure; for the stages route, rewrite, icmp, reset, too_big and finish.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbctl.control.explaining.headers import Packet, flags_text
from lbctl.control.nic_names import shown
from lbctl.shared import syscall
from lbctl.shared.abi import NextHopState, ServiceFlag, Stage, Verdict

if TYPE_CHECKING:
    import numpy as np

    from lbctl.control.explaining.case import Case

ACTIONS = {
    syscall.ABORTED: "ABORTED",
    syscall.DROP: "DROP",
    syscall.PASS: "PASS",
    syscall.TX: "TX",
    syscall.REDIRECT: "REDIRECT",
}
CHANGING = ("destination_mac", "source_mac", "source", "destination", "ttl")
WORDS = {"destination_mac": "destination MAC", "source_mac": "source MAC", "ttl": "TTL"}
LEAVING = (syscall.TX, syscall.REDIRECT)


def route(case: Case) -> str:
    """The next hop, or what is in the way to it."""
    return _route(case, case.verdict(Stage.ROUTE))


def rewrite(case: Case) -> str:
    """What is different in the packet that leaves."""
    if case.verdict(Stage.REWRITE) is not Verdict.CONTINUE:
        return "the headers are not where they were: a bug of lbctl"
    told = [
        f"{WORDS.get(name, name)} {before} -> {after}"
        for name, (before, after) in changes(case).items()
    ]
    dsr = "DSR: addresses and ports stay; " if case.has(ServiceFlag.DSR) else ""
    return f"{dsr}{', '.join(told)}; {_checksums(case)}"


def icmp(case: Case) -> str:
    """What an ICMP packet for a VIP's address leads to."""
    verdict, quoted = case.verdict(Stage.ICMP), case.came.quoted
    if verdict is Verdict.ECHO_REPLY:
        return f"a ping: answered by {case.left}, from the VIP itself; {_checksums(case)}"
    if verdict is Verdict.TO_KERNEL:
        return "neither an echo request nor an error about TCP or UDP: the kernel has it"
    if verdict is Verdict.DROP_MALFORMED or quoted is None:
        return "what it quotes is not whole, or was not sent by that VIP: it is dropped"
    ends = {
        Verdict.DROP_NO_SERVICE: "and that is no VIP: it is dropped",
        Verdict.DROP_NO_CONNECTION: "and no such connection is known: it is dropped",
        Verdict.TO_BACKEND_ICMP: f"so back-end {case.server_text} must hear it; {_checksums(case)}",
    }
    end = ends.get(verdict) or f"of back-end {case.server_text}; {_route(case, verdict)}"
    return f"about a packet that {quoted.origin} has sent to {quoted.target}, {end}"


def reset(case: Case) -> str:
    """The reset that answers."""
    if case.verdict(Stage.RESET) is Verdict.DROP_UNANSWERABLE:
        return "the packet is a reset itself, which must not be answered by another"
    return _answer(case.left)


def too_big(case: Case) -> str:
    """What the sender is told."""
    match case.verdict(Stage.TOO_BIG):
        case Verdict.TOO_BIG_REPLY:
            return f"{case.came.source} is told by {case.left}, from the VIP; {_checksums(case)}"
        case Verdict.TO_KERNEL:
            return "a reply: the kernel has it, and tells the back-end"
        case Verdict.DROP_TOO_BIG:
            return "its sender allows fragments (DF is not set), which a switch never makes"
    return "there is no room for the answer: a bug of lbctl"


def finish(case: Case) -> str:
    """What XDP does with it."""
    action = case.trial.action
    told = {
        syscall.PASS: "the kernel goes on with it, as if there were no switch",
        syscall.DROP: "nobody sees it again",
        syscall.TX: f"it leaves by {shown(case.nic)}, by which it came",
    }
    if case.end is Verdict.TO_APP:
        told[syscall.REDIRECT] = f"into the buffers of application {case.app and case.app.name}"
    said = told.get(action) or f"it leaves by {out_nic(case)}"
    return f"XDP_{ACTIONS.get(action, str(action))}: {said}"


def out_nic(case: Case) -> str | None:
    """The NIC by which it leaves; None: it does not."""
    if case.trial.action == syscall.TX:
        return shown(case.nic)
    if case.trial.action == syscall.REDIRECT and case.end is not Verdict.TO_APP:
        return case.names.nic(int(case.at(Stage.FINISH)["out_nic"]))
    return None


def changes(case: Case) -> dict[str, tuple[str | int, str | int]]:
    """What is different in the packet that leaves, before and after."""
    if case.trial.action not in LEAVING:
        return {}
    pairs = {name: (_field(case.came, name), _field(case.left, name)) for name in CHANGING}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _field(packet: Packet, name: str) -> str | int:
    texts = {"source": packet.origin, "destination": packet.target}
    value: str | int = texts.get(name) or getattr(packet, name)
    return value


def _route(case: Case, verdict: Verdict) -> str:
    hop = _hop(case)
    if verdict is Verdict.CONTINUE:
        return _next_hop(case, hop)
    host = case.client if case.server is not None else case.server_text
    mtu = int(case.at(Stage.ROUTE)["mtu"]) or (int(hop["mtu"]) if hop is not None else 0)
    too_big = f"{case.came.length} bytes are more than the way to {host} takes (MTU {mtu})"
    told = {
        Verdict.DROP_TTL_EXPIRED: f"its TTL is {case.came.ttl}: it has come to its end",
        Verdict.DROP_NO_ROUTE: f"no route leads to {host}",
        Verdict.DROP_NO_NEIGHBOR: f"the MAC of the next hop to {host} is not known",
        Verdict.DROP_NOT_ATTACHED: f"to {host} it is by a NIC that has no switching processor",
        Verdict.TOO_BIG_REPLY: too_big,
        Verdict.DROP_TOO_BIG: too_big,
        Verdict.TO_KERNEL: f"no next hop to {host} is known: the kernel has it",
    }
    return told.get(verdict, "there is no such next hop: a bug of lbctl")


def _hop(case: Case) -> np.void | None:
    """The next hop that the packet is sent by: a back-end's, or a client's."""
    if case.server is None:
        row = case.backend_row
        return None if row is None else case.trial.hops.get(int(row["next_hop"]))
    if case.entry_index is None:
        return None
    return case.trial.hops.get(int(case.trial.after["next_hop"][case.entry_index]))


def _next_hop(case: Case, hop: np.void | None) -> str:
    host = case.client if case.server is not None else case.server_text
    way = f"{case.left.destination_mac} by {out_nic(case) or 'a NIC that is not there'}"
    if case.server is not None and case.entry_index is not None:
        if hop is None or hop["state"] != NextHopState.RESOLVED:
            return f"{host} is answered where its first packet came from: to {way}"
        return f"the next hop to the client {host} is {way} (MTU {hop['mtu']})"
    mtu = f" (MTU {hop['mtu']})" if hop is not None else ""
    return f"the next hop to {host} is {way}{mtu}"


def _checksums(case: Case) -> str:
    """Whether those of the packet that leaves are right; the switch can but carry on wrong ones."""
    before, after = case.came.checksums, case.left.checksums
    wrong = [name for name, right in after.items() if not right]
    if not wrong:
        return "its checksums are right" if after else "it has no checksums"
    carried = all(not before.get(name, True) for name in wrong)
    which = " and ".join(wrong)
    if carried:
        return f"the {which} checksum was wrong when it came, and still is (checksum offload?)"
    return f"the {which} checksum is wrong: a bug of lbctl"


def _answer(packet: Packet) -> str:
    numbers = f"sequence number {packet.sequence}"
    if packet.acknowledgement:
        numbers += f", acknowledging {packet.acknowledgement}"
    right = all(packet.checksums.values())
    sums = "its checksums are right" if right else "its checksums are wrong: a bug of lbctl"
    return (
        f"answered by {flags_text(packet.flags)} {packet.origin} > {packet.target} "
        f"({numbers}; {sums})"
    )
