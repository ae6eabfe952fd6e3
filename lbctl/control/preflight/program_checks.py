"""
The checks of programs on the switch: pseudo interfaces that lose packets, applications that do.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbctl.control.preflight.finding import Told, error, known, note, warning
from lbctl.control.preflight.veth_checks import CHECKSUMS
from lbctl.model import OnExit

if TYPE_CHECKING:
    from lbctl.control.preflight.program_facts import App, Pseudo

UNREADABLE = "its settings cannot be read"
GRO = "rx-gro"
INSTEAD = {
    OnExit.RESET: "its clients are reset (TCP) or hear nothing",
    OnExit.DROP: "its packets are dropped as DROP_APP_GONE",
    OnExit.KERNEL: "the kernel has its packets, and whoever listens there",
}


def pseudo_missing(pseudo: Pseudo) -> Told | None:
    """There is no such interface."""
    if pseudo.link:
        return None
    return error(
        "is not there",
        "what is for its addresses is dropped, and programs cannot use them",
        f"lbctl pseudo show {pseudo.name}",
    )


def pseudo_not_attached(pseudo: Pseudo) -> Told | None:
    """The switch has no part in it."""
    if not pseudo.link or pseudo.attached:
        return None
    return error(
        "has no switching processor at the switch's end",
        "nothing gets in, and what programs send is lost",
        f"lbctl pseudo show {pseudo.name}",
    )


def pseudo_down(pseudo: Pseudo) -> Told | None:
    """Nothing comes or goes."""
    if not pseudo.link or pseudo.link.up:
        return None
    return error("is down", "nothing gets in or out of it", f"ip link set {pseudo.name} up")


def pseudo_checksums(pseudo: Pseudo) -> Told | None:
    """What programs send has checksums that nobody makes."""
    if not pseudo.link or not CHECKSUMS & known(pseudo.offloads, UNREADABLE):
        return None
    return error(
        "leaves checksums to a NIC",
        "no NIC ever makes them: what programs send arrives with a wrong one and is thrown away; "
        "pings work",
        f"ethtool -K {pseudo.name} tx off",
    )


def pseudo_without_gro(pseudo: Pseudo) -> Told | None:
    """Nothing that is redirected to a veth arrives, if its far end has neither GRO nor XDP."""
    if not pseudo.link or GRO in known(pseudo.offloads, UNREADABLE):
        return None
    return error(
        "has GRO switched off",
        "a veth takes frames that are redirected to it only with GRO: what is for it is counted as "
        "sent and lost",
        f"ethtool -K {pseudo.name} gro on",
    )


def pseudo_without_rule(pseudo: Pseudo) -> Told | None:
    """What programs send from its addresses takes another way, past the switch."""
    lost = known(pseudo.without_rule, "the rules of the kernel cannot be read")
    if not pseudo.link or not lost:
        return None
    family = " -6" if lost[0].version == 6 else ""
    names = ", ".join(map(str, lost))
    return error(
        f"does not get what programs send from {names}",
        "the rule that leads it there is gone: answers of programs leave past the switch, if at "
        "all, and connections of theirs to VIPs fail",
        f"ip{family} rule add from {lost[0]} lookup {pseudo.table}",
    )


def pseudo_hidden(pseudo: Pseudo) -> Told | None:
    """Hosts on the network of a NIC do not find it."""
    if not pseudo.link or not pseudo.deaf:
        return None
    return warning(
        f"is not to be found by hosts on the network of {' and '.join(pseudo.deaf)}",
        "the reverse path filter there is strict, so that the kernel does not answer ARP for its "
        "addresses; routers that have a route to it are not concerned",
        " ".join(
            ("sysctl -w", *(f"net.ipv4.conf.{nic}.rp_filter=2" for nic in pseudo.deaf)),
        ),
    )


def app_stopped(app: App) -> Told | None:
    """Nobody takes its packets."""
    if app.pid is not None:
        return None
    told = note if app.on_exit is OnExit.KERNEL else error
    return told("does not run", INSTEAD[app.on_exit], f"lbctl app show {app.name}")


def app_hung(app: App) -> Told | None:
    """It has its buffers and does not look at them."""
    if app.pid is None or not app.hung:
        return None
    return error(
        f"(process {app.pid}) lets its packets wait",
        f"it is taken for hung until it looks again: {INSTEAD[app.on_exit]}",
        f"ps -o stat,wchan:20,cmd -p {app.pid}",
    )


def app_misses_queues(app: App) -> Told | None:
    """Packets come by queues that it does not receive from."""
    if app.pid is None or not app.unheard:
        return None
    told = warning if app.lost else note
    places = [
        f"{nic} queue{'s' * (len(queues) > 1)} {', '.join(map(str, queues))}"
        for nic, queues in app.unheard.items()
    ]
    nic = next(iter(app.unheard))
    lost = f"{app.lost} packets so far" if app.lost else "none so far"
    return told(
        f"does not receive from {'; '.join(places)}",
        f"what comes by these for its VIPs does not reach it ({lost}), unless the NIC steers it "
        f"elsewhere",
        f"ethtool -n {nic}",
    )


PSEUDO_CHECKS = (
    pseudo_missing,
    pseudo_not_attached,
    pseudo_down,
    pseudo_checksums,
    pseudo_without_gro,
    pseudo_without_rule,
    pseudo_hidden,
)
APP_CHECKS = (app_stopped, app_hung, app_misses_queues)
