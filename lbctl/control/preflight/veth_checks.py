"""
The checks of a veth pair: what the kernel asks of the far end where a pair stands for a cable.

Pure.  Measured on Linux 6.18, and as its drivers/net/veth.c has it: in native mode

- a frame that is redirected to a NIC arrives if the far end has an XDP program or GRO;
- a frame that is sent back (XDP_TX) arrives only if the far end has an XDP program;
- a checksum that the far end left to its NIC stays undone in what is rewritten.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lbctl.control.preflight.facts import VETH
from lbctl.control.preflight.finding import Told, error, known, warning
from lbctl.control.preflight.nic_checks import NATIVE_MTU

if TYPE_CHECKING:
    from lbctl.control.preflight.facts import Nic, Peer

CHECKSUMS = {"tx-checksum-ip-generic", "tx-checksum-ipv4", "tx-checksum-ipv6"}
ELSEWHERE = "its other end is in a network namespace that cannot be looked into"


def _is_native_veth(nic: Nic) -> bool:
    return nic.link is not None and nic.link.kind == VETH and nic.native


def _peer(nic: Nic) -> Peer:
    return known(nic.peer, ELSEWHERE)


def no_peer(nic: Nic) -> Told | None:
    """Its other end is gone."""
    if nic.link is None or nic.link.kind != VETH or nic.link.peer:
        return None
    return error(
        "has no other end",
        "what was in its peer's network namespace is gone with it",
        f"ip link delete {nic.name}",
    )


def peer_without_program(nic: Nic) -> Told | None:
    """What is sent back by the NIC that it came by does not arrive."""
    if not _is_native_veth(nic) or _peer(nic).link.program:
        return None
    far = _peer(nic)
    told, lost = warning, "resets, pings, too-big replies"
    if nic.attached and nic.alone:
        told, lost = error, "all packets"
    one = f"from lbctl.testbed.far_end import pass_everything as p; p(['{far.link.name}'])"
    return told(
        f"is a veth whose other end {far.link.name} has no XDP program",
        f"what leaves by the NIC that it came by ({lost}) is counted as sent and lost",
        f'{far.enter or ""}{sys.executable} -c "{one}"',
    )


def peer_checksums(nic: Nic) -> Told | None:
    """Its other end leaves checksums undone."""
    if not _is_native_veth(nic):
        return None
    far = _peer(nic)
    if not CHECKSUMS & known(far.offloads, ELSEWHERE):
        return None
    return error(
        f"is a veth whose other end {far.link.name} leaves checksums to its NIC",
        "no NIC ever does them: what is rewritten arrives with a wrong checksum and is thrown "
        "away; pings work",
        f"{far.enter or ''}ethtool -K {far.link.name} tx off",
    )


def peer_mtu(nic: Nic) -> Told | None:
    """Its other end may send packets that no page holds."""
    if not _is_native_veth(nic) or _peer(nic).link.mtu <= NATIVE_MTU:
        return None
    far = _peer(nic)
    return error(
        f"is a veth whose other end {far.link.name} has an MTU of {far.link.mtu}",
        f"native XDP takes {NATIVE_MTU} at most",
        f"{far.enter or ''}ip link set {far.link.name} mtu {NATIVE_MTU // 500 * 500}",
    )


def peer_queues(nic: Nic) -> Told | None:
    """Its other end sends by more queues than it receives by."""
    if not _is_native_veth(nic):
        return None
    here = known(nic.queues, "its queues cannot be read")
    there = known(_peer(nic).queues, ELSEWHERE)
    if there.transmit <= here.receive:
        return None
    far = _peer(nic)
    if here.most >= there.transmit:
        cure = f"ethtool -L {nic.name} rx {there.transmit}"
    else:
        cure = f"{far.enter or ''}ethtool -L {far.link.name} tx {here.receive}"
    return error(
        f"has {here.receive} receive queues, its other end {far.link.name} sends by "
        f"{there.transmit}",
        "native XDP on a veth wants at least as many here",
        cure,
    )


CHECKS = (no_peer, peer_without_program, peer_checksums, peer_mtu, peer_queues)
