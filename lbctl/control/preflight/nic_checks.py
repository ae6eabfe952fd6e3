"""
The checks of a NIC: whether it is there, and whether XDP on it does what the switch needs.

Pure.  What concerns veth pairs alone is in `veth_checks`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbctl.control.preflight.facts import GENERIC, VETH, XdpFeature
from lbctl.control.preflight.finding import Told, error, known, note, warning
from lbctl.model import Mode

if TYPE_CHECKING:
    from lbctl.control.preflight.facts import Link, Nic

NATIVE_MTU = 3506  # bytes; with pages of 4 KiB, less the headroom and the kernel's part of a buffer
SILENT = "its driver does not tell (Linux 6.3 and later ask it)"
NO_ETHTOOL = "its settings cannot be read"
MERGING = {"rx-lro": "lro", "rx-gro-hw": "rx-gro-hw"}  # feature, and its name for ethtool
STRICT = 1
BUSY = 1000  # packets on another NIC, after which a silent one is odd


def no_such_nic(nic: Nic) -> Told | None:
    """There is none of that name."""
    if nic.link:
        return None
    return error(
        "does not exist",
        "a name was mistyped, or the NIC is in another network namespace",
        f"lbctl detach {nic.name}" if nic.configured else "ip link",
    )


def _link(nic: Nic) -> Link:
    return known(nic.link, "it does not exist")


def not_attached(nic: Nic) -> Told | None:
    """It is configured, and has no switching processor."""
    if not nic.configured or nic.attached or _link(nic).program:
        return None
    why = nic.refusal or "it came after lbctld had looked"
    return error("is not attached", why, f"lbctl attach {nic.name}")


def foreign_program(nic: Nic) -> Told | None:
    """Another XDP program sits on it."""
    link = _link(nic)
    if nic.attached or not link.program:
        return None
    name = repr(nic.program) if nic.program else "without a name"
    return error(
        f"has the XDP program {name}, number {link.program}",
        "it is not of this lbctl, which never replaces what it has not put there",
        f"ip link set dev {nic.name} xdp off",
    )


def nic_down(nic: Nic) -> Told | None:
    """It is not up, or has no carrier."""
    link = _link(nic)
    if not link.up:
        return error("is down", "no packet comes in or leaves", f"ip link set {nic.name} up")
    if link.carrier:
        return None
    far = nic.peer
    if far and far.enter is not None:
        return error(
            f"has no carrier: its other end {far.link.name} is down",
            "no packet comes in or leaves",
            f"{far.enter}ip link set {far.link.name} up",
        )
    return error(
        "has no carrier", "its cable is out, or its other end is down", f"ethtool {nic.name}"
    )


def not_ethernet(nic: Nic) -> Told | None:
    """Frames have MACs there is no other way to send by."""
    if _link(nic).ethernet:
        return None
    return error("is no Ethernet NIC", "packets are switched by their MAC addresses", "ip link")


def enslaved(nic: Nic) -> Told | None:
    """It is a port of a bridge or bond: the kernel's addresses and routes are not on it."""
    link = _link(nic)
    if not link.master or link.master_kind == "vrf":
        return None
    kind, name = link.master_kind or "device", link.master
    cure = f"ip link set {nic.name} nomaster"
    if kind in ("bond", "team"):
        cure = f"lbctl attach {name}"
    return error(
        f"is a port of the {kind} {name}",
        f"addresses, routes and neighbors are on {name}, so that no way leads out by {nic.name}",
        cure,
    )


def same_bridge(nic: Nic) -> Told | None:
    """Two NICs of the switch in one bridge."""
    if not nic.mates:
        return None
    others = ", ".join(nic.mates)
    return error(
        f"is in the same bridge as {others}",
        "the bridge floods from one to the other what the switch forwards as well",
        f"ip link set {nic.name} nomaster",
    )


def no_native_mode(nic: Nic) -> Told | None:
    """Its driver has no native XDP."""
    features = known(nic.features, SILENT)
    if features & XdpFeature.BASIC or _link(nic).kind == VETH:
        return None
    driver = f" ({nic.driver})" if nic.driver else ""
    return warning(
        f"has a driver{driver} without native XDP",
        "in generic mode every packet first becomes one of the kernel's, at a third of the speed",
        f"ethtool -i {nic.name}",
    )


def generic_mode(nic: Nic) -> Told | None:
    """It works in generic mode though its driver can do better."""
    if nic.attached != GENERIC or not known(nic.features, SILENT) & XdpFeature.BASIC:
        return None
    told = note if nic.wanted is Mode.GENERIC else warning
    return told(
        "works in generic mode, and its driver could do native",
        "generic mode is several times as slow",
        f"lbctl detach {nic.name} && lbctl attach {nic.name} --mode native",
    )


def no_redirect(nic: Nic) -> Told | None:
    """Frames cannot be redirected to it."""
    if not nic.senders if nic.attached else _link(nic).kind != VETH:
        return None  # some drivers can as soon as they have a program
    features = known(nic.features, SILENT)
    if features & XdpFeature.NDO_XMIT or not features:
        return None
    why = "what other NICs send out by it is lost, and no counter of lbctl sees that"
    if nic.peer:
        far = nic.peer
        what = f"its other end {far.link.name} has no XDP program and no GRO"
        cure = f"{far.enter or ''}ethtool -K {far.link.name} gro on"
        return error(f"takes no redirected frames: {what}", why, cure)
    names, mode = (nic.name, "native") if nic.attached == GENERIC else ("", "generic")
    names = names or " ".join(nic.senders)
    cure = f"lbctl detach {names} && lbctl attach {names} --mode {mode}"
    return error("takes no redirected frames", why, cure)


def merged_packets(nic: Nic) -> Told | None:
    """The NIC puts several packets together before XDP sees them."""
    offloads = known(nic.offloads, NO_ETHTOOL)
    found = [name for feature, name in MERGING.items() if feature in offloads]
    if not found:
        return None
    return warning(
        f"merges packets ({', '.join(found)} is on)",
        "most drivers refuse native XDP with it; merged packets are too big to be sent on",
        f"ethtool -K {nic.name} {' '.join(f'{name} off' for name in found)}",
    )


def few_queues(nic: Nic) -> Told | None:
    """A virtual NIC has no queue for each processor to send redirected frames by."""
    if nic.driver != "virtio_net" or not nic.native:
        return None
    queues = known(nic.queues, NO_ETHTOOL)
    if queues.receive + nic.cpus <= queues.most:
        return None
    return note(
        f"has {queues.most} pairs of queues; native XDP would like {queues.receive + nic.cpus}",
        "processors share queues and wait for each other, if the driver takes XDP at all",
        f"ethtool -L {nic.name} combined {max(1, queues.most - nic.cpus)}",
    )


def large_mtu(nic: Nic) -> Told | None:
    """Native XDP wants a whole packet in one page."""
    link = _link(nic)
    if nic.attached or link.kind == VETH or not nic.native or link.mtu <= NATIVE_MTU:
        return None
    return warning(
        f"has an MTU of {link.mtu}",
        f"most drivers take native XDP up to about {NATIVE_MTU} bytes only: a packet must fit into "
        f"a page",
        f"ip link set {nic.name} mtu {NATIVE_MTU // 500 * 500}",
    )


def small_mtu(nic: Nic) -> Told | None:
    """Packets that come in by another NIC may be too large for it."""
    link = _link(nic)
    if nic.largest is None or nic.largest[0] <= link.mtu:
        return None
    size, other = nic.largest
    told = warning if nic.has_servers else note
    return told(
        f"has an MTU of {link.mtu}, NIC {other} has {size}",
        "larger packets are not forwarded: their sender is told the size that fits "
        "(TOO_BIG_REPLY), and where ICMP is filtered large transfers hang",
        f"ip link set {nic.name} mtu {size}",
    )


def promiscuous(nic: Nic) -> Told | None:
    """It takes frames for others, too."""
    if not _link(nic).promiscuous:
        return None
    return note(
        "is promiscuous",
        "lbctl does not need that, and each frame for another MAC costs time",
        f"ip link set {nic.name} promisc off",
    )


def rp_filter(nic: Nic) -> Told | None:
    """The kernel drops answers that come from where none of its routes leads."""
    if not nic.checked:
        return None
    setting = known(nic.rp_filter, "its setting cannot be read")
    lost = [source for source in nic.checked if _dropped(source.nic, nic.name, setting)]
    if not lost:
        return None
    kind = "strict" if setting == STRICT else "loose"
    names = ", ".join(str(source.address) for source in lost)
    return error(
        f"has a {kind} reverse path filter, and no route leads back to {names} by it",
        "the kernel drops the answers to checks of these VIPs, and takes the servers for down",
        f"sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.{nic.name}.rp_filter=0",
    )


def _dropped(way: str | None, name: str, setting: int) -> bool:
    """RFC 3704: strict wants the route by the same NIC, loose wants any."""
    return bool(setting) and (way is None or (setting == STRICT and way != name))


def silent_nic(nic: Nic) -> Told | None:
    """It has never seen a packet, while others have."""
    if not nic.attached or known(nic.packets, "packets are not counted") or nic.most < BUSY:
        return None
    return note(
        "has not seen a single packet",
        f"another NIC has seen {nic.most}: is this the one that is meant, and is it connected?",
        f"ip -s link show {nic.name}",
    )


CHECKS = (
    foreign_program,
    not_attached,
    nic_down,
    not_ethernet,
    enslaved,
    same_bridge,
    no_native_mode,
    generic_mode,
    no_redirect,
    merged_packets,
    few_queues,
    large_mtu,
    small_mtu,
    promiscuous,
    rp_filter,
    silent_nic,
)
