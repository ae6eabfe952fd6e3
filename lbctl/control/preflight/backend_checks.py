"""
The checks of back-ends: the way there, the way back, and what they say.

Pure.  One that its administrator has taken out is not looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbctl.control.preflight.facts import Answer
from lbctl.control.preflight.finding import Told, error, known, warning
from lbctl.model import Forward, State
from lbctl.shared.abi import NextHopState

if TYPE_CHECKING:
    from lbctl.control.preflight.facts import Backend

FEW = 3  # connections that may go unanswered before that means something
UNTRIED = "it could not be tried"
ASKS = {4: "ARP", 6: "neighbor solicitation"}
FAMILY = {4: "", 6: "-6 "}


def own_address(backend: Backend) -> Told | None:
    """It is the switch itself."""
    if backend.way is None or not backend.way.own:
        return None
    return error(
        "is this switch itself",
        "packets are sent out, and none comes back",
        f"lbctl backend remove {backend.pool} {backend.address}",
    )


def no_route(backend: Backend) -> Told | None:
    """The kernel has no route to it."""
    if backend.hop is not NextHopState.NO_ROUTE or (backend.way and backend.way.own):
        return None
    host = backend.address.address
    return error(
        "has no route that leads to it",
        "packets for it are dropped as DROP_NO_ROUTE",
        f"ip {FAMILY[host.version]}route add {host} via GATEWAY",
    )


def route_not_attached(backend: Backend) -> Told | None:
    """The way to it leaves by a NIC without a switching processor."""
    if backend.hop is not NextHopState.NOT_ATTACHED:
        return None
    name = backend.way.nic if backend.way else "IFACE"
    return error(
        f"is reached by NIC {name}, which is not attached",
        "packets for it are dropped as DROP_NOT_ATTACHED",
        f"lbctl attach {name}",
    )


def no_neighbor(backend: Backend) -> Told | None:
    """Nobody has told the MAC that its packets need."""
    if backend.hop is not NextHopState.UNRESOLVED:
        return None
    host = backend.neighbor
    who = f"has a gateway {host} that" if host != backend.address.address else "is one that"
    where = f" on NIC {backend.way.nic}" if backend.way else ""
    return error(
        f"{who} does not answer {ASKS[host.version]}{where}",
        "packets for it are dropped as DROP_NO_NEIGHBOR; it is down, or in another network",
        f"ping -c 3 {host}",
    )


def route_mtu(backend: Backend) -> Told | None:
    """The route to it takes less than the NIC does."""
    if backend.hop is not NextHopState.RESOLVED:
        return None
    most = known(backend.nic_mtu, "the MTU of its NIC is not known")
    if backend.mtu >= most:
        return None
    return warning(
        f"has a route with an MTU of {backend.mtu}, its NIC {backend.nic} takes {most}",
        "clients are told to send smaller packets (TOO_BIG_REPLY); those who hear no ICMP hang",
        f"ip {FAMILY[backend.address.address.version]}route get {backend.address.address}",
    )


def backend_down(backend: Backend) -> Told | None:
    """Its check failed, or it gets nothing for another reason that was found out."""
    if backend.state is State.ACTIVE or not backend.reason:
        return None
    return warning(
        f"is {backend.state}: {backend.reason}",
        "it gets no new connections",
        f"lbctl health check {backend.pool} {backend.address}"
        if backend.checked
        else f"lbctl backend list {backend.pool}",
    )


def backend_refuses(backend: Backend) -> Told | None:
    """No connection can be opened from the switch."""
    if not backend.tcp or backend.hop is not NextHopState.RESOLVED or backend.checked:
        return None
    if known(backend.accepts, UNTRIED) is Answer.ACCEPTED:
        return None
    said = "refuses" if backend.accepts is Answer.REFUSED else "does not answer"
    return error(
        f"{said} a connection from the switch",
        "nothing listens there, or a firewall is in the way; without a check it gets connections "
        "all the same",
        f"lbctl pool set {backend.pool} --check tcp",
    )


def return_route(backend: Backend) -> Told | None:
    """Its answers to clients do not come back through the switch."""
    if backend.forward is not Forward.NAT or not backend.tcp:
        return None
    if known(backend.accepts, UNTRIED) is not Answer.ACCEPTED:
        return None
    if known(backend.returns, UNTRIED) is not Answer.SILENT:
        return None
    host = backend.address.address
    told = warning if backend.answers else error
    return told(
        "answers the switch, but its answers to an address elsewhere do not come back here",
        "its default route does not lead through the switch, so that clients get answers from an "
        "address that they have not asked",
        f"ip {FAMILY[host.version]}route replace default via {backend.gateway or 'SWITCH'}  "
        f"# on {host}",
    )


def no_answers(backend: Backend) -> Told | None:
    """It was given connections, and none was answered by way of the switch."""
    if backend.forward is not Forward.NAT or backend.state is not State.ACTIVE:
        return None
    if backend.answers or backend.connections < FEW:
        return None
    if backend.resets:
        what, why = "refused them all", "nothing listens on that port"
    else:
        what = "answered none of them"
        why = "it is silent, or its answers take another way: look at its default route"
    return error(
        f"was given {backend.connections} connections and {what}",
        why,
        f"lbctl explain tcp {backend.address} 192.0.2.1:50000 --flags SYN,ACK",
    )


def vip_missing(backend: Backend) -> Told | None:
    """A server of a DSR pool does not take packets for the VIP."""
    if backend.forward is not Forward.DSR or not backend.tcp:
        return None
    if known(backend.accepts, UNTRIED) is not Answer.ACCEPTED:
        return None
    known(backend.has or None, UNTRIED)
    lost = [vip for vip, answer in backend.has.items() if answer is not Answer.ACCEPTED]
    if not lost:
        return None
    vip, host = lost[0], backend.address.address
    if backend.has[vip] is Answer.REFUSED:
        return error(
            f"has the VIP {vip.address}, but nothing listens there on port {vip.port}",
            "the server program is bound to another address",
            f"ss -ltn sport = :{vip.port or backend.address.port}  # on {host}",
        )
    return error(
        f"does not answer as the VIP {vip.address}",
        "with dsr each server has the VIP itself, on its loopback interface, and does not answer "
        "ARP for it",
        f"ip address add {vip.address}/{vip.address.max_prefixlen} dev lo  # on {host}",
    )


CHECKS = (
    own_address,
    no_route,
    route_not_attached,
    no_neighbor,
    route_mtu,
    backend_down,
    backend_refuses,
    return_route,
    no_answers,
    vip_missing,
)
