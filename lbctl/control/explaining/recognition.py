"""
The recognition: sentences about what the packet is, whom it is for, and of which connection.

Pure; one function for each of the stages arrive, parse, service and connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbctl.control.explaining.arrival import STRANGER
from lbctl.control.explaining.headers import IPV4, IPV6, NAMES, SYN_ONLY, TCP, Packet
from lbctl.control.nic_names import shown
from lbctl.model import Forward
from lbctl.shared import abi
from lbctl.shared.abi import BackendState, ConnectionState, ServiceFlag, Stage, Verdict

if TYPE_CHECKING:
    from lbctl.control.explaining.case import Case, Entry

FORWARDS = {Forward.NAT: "NAT", Forward.DSR: "DSR: its servers have the VIP themselves"}
OVER = {ConnectionState.CLOSING, ConnectionState.CLOSED}


def arrive(case: Case) -> str:
    """Whether the frame is for this NIC."""
    nic, packet = case.nic, case.came
    if case.verdict(Stage.ARRIVE) is Verdict.TO_KERNEL_OTHER_MAC:
        return (
            f"the frame is for {_station(packet.destination_mac)}, and {shown(nic)} is "
            f"{nic.mac.hex(':')}: the kernel has it"
        )
    if nic.is_pseudo:
        return f"{packet.size} bytes come from a program, by pseudo interface {shown(nic)}"
    sender = f"from {packet.source_mac}"
    if case.sender:
        sender += f" ({case.sender})"
    elif packet.source_mac == STRANGER.hex(":"):
        sender += ", which stands for a MAC that is not known here"
    return (
        f"{packet.size} bytes come in by {nic.name}, for its MAC {packet.destination_mac}, {sender}"
    )


def parse(case: Case) -> str:
    """What it is."""
    packet = case.came
    if packet.source is None:
        if packet.kind in (IPV4, IPV6):
            return f"an IP header that is not whole ({packet.size} bytes): the kernel has it"
        return f"{packet.what}, which is not IP: the kernel has it"
    if case.verdict(Stage.PARSE) is not Verdict.CONTINUE:
        return f"{packet}: no VIP is of IPv6, so that the kernel has it"
    if packet.problem:
        return f"{packet}: {packet.problem}"
    return f"{packet}, {'TTL' if packet.kind == IPV4 else 'hop limit'} {packet.ttl}"


def service(case: Case) -> str:
    """Whether its destination is a VIP, its source a back-end, or neither."""
    row = case.at(Stage.SERVICE)
    if row["service"] != abi.NONE:
        return _to_vip(case)
    if row["server"] != abi.NONE:
        return _from_server(case)
    return for_no_service(case.came, case, case.verdict(Stage.SERVICE))


def for_no_service(packet: Packet, case: Case, verdict: Verdict) -> str:
    """A packet that is for no VIP; perhaps for the address of one."""
    vips = case.names.vips_at(packet.destination)
    if verdict is Verdict.TO_KERNEL:
        if case.programs_have_it:
            return f"{packet.target} is no VIP: see the stage pseudo"
        if vips:
            return (
                f"{packet.destination} is a VIP's address and one of this host's own: "
                f"what no VIP is for is the kernel's"
            )
        return f"{packet.target} is no VIP and {packet.origin} is no back-end: the kernel has it"
    address = f"{packet.destination} is a VIP's address"
    if packet.problem:
        return f"{address}, and {packet.problem}: it is dropped"
    if verdict is Verdict.ECHO_REPLY:
        return f"{address}, and the packet is ICMP: see the stage icmp"
    port = f"{packet.destination_port}/" if packet.destination_port is not None else ""
    wanted = f"{port}{NAMES.get(packet.protocol, f'protocol {packet.protocol}').lower()}"
    what = "it is answered by a reset" if verdict is Verdict.RESET else "it is dropped"
    there = ", ".join(map(str, vips)) or "only what was removed"
    return f"{address}, but no VIP there is {wanted} (there is {there}): {what}"


def connection(case: Case) -> str:
    """Whether it is of a known connection, and what that means."""
    entry, verdict = case.entry, case.verdict(Stage.CONNECTION)
    if entry is None:
        return f"no connection of {case.client} {_with_whom(case)} is known"
    found = _found(case, entry)
    if verdict is Verdict.RESET_DOWN:
        return f"{found}; that server is down, and the pool resets (on_down): the client is told"
    if verdict is Verdict.DROP_RESET_WITHHELD:
        return (
            f"{found}; the server refuses the first SYN, and the pool has others: the reset is "
            f"withheld, so that the client's next SYN finds another server"
        )
    if case.at(Stage.CONNECTION)["backend"] == abi.NONE:
        return f"{found}; {_why_over(case, entry)}, so that the packet starts it over"
    if entry.becomes != entry.state:
        return f"{found}; with this packet it becomes {_state(entry.becomes)}"
    return found


def _station(mac: str) -> str:
    if mac == "ff:ff:ff:ff:ff:ff":
        return "all stations (broadcast)"
    group = int(mac[:2] or "0", 16) & 1
    return f"the group {mac} (multicast)" if group else f"{mac}, another station"


def _to_vip(case: Case) -> str:
    vip, pool = case.vip, case.pool
    if case.app:
        return f"{vip} is a VIP of application {case.app.name}"
    if pool is None:
        return f"{case.came.target} was of a VIP that is removed: only its connections finish"
    count = len(pool.backends)
    servers = f"{count} back-end{'' if count == 1 else 's'}"
    return f"{vip} is a VIP of pool {pool.name} ({FORWARDS[pool.forward]}; {servers})"


def _from_server(case: Case) -> str:
    sender = case.came.origin
    if case.pool is None:
        return f"{sender} was a back-end of {case.vip}, which is removed: this may be a reply"
    if case.has(ServiceFlag.SHARED):
        return f"{sender} is a back-end of several VIPs: this may be a reply"
    return f"{sender} is a back-end of {case.vip} (pool {case.pool.name}): this may be a reply"


def _with_whom(case: Case) -> str:
    return f"to {case.vip}" if case.service is not None else f"with {case.came.origin}"


def _state(state: ConnectionState) -> str:
    return state.name.lower().replace("_", "-")


def _found(case: Case, entry: Entry) -> str:
    answered = ", answered" if entry.answered and entry.state is ConnectionState.HALF_OPEN else ""
    return (
        f"{case.client} has a connection to {entry.record.vip if entry.record else 'a VIP'} "
        f"by back-end {case.entry_server} ({_state(entry.state)}{answered}, "
        f"idle {entry.idle_seconds:g} s, {entry.age_seconds:g} s old)"
    )


def _why_over(case: Case, entry: Entry) -> str:
    """Why a packet forward begins a new connection: lb_starts_over in connection.h."""
    state = case.state_of(int(case.trial.before["backend"][case.entry_index]))
    if entry.state in OVER:
        return f"it is {_state(entry.state)}"
    if state is not BackendState.ACTIVE:
        return f"its server is {state.name.lower()}"
    if entry.flags & ConnectionState.WITHHELD:
        return "its server refused the SYN before"
    return "its server has not answered the SYN before"


def is_syn(packet: Packet) -> bool:
    """Whether it is TCP and asks for a connection."""
    return packet.protocol == TCP and packet.flags & SYN_ONLY[1] == SYN_ONLY[0]
