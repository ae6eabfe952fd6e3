"""
The build: make the namespaces, bridges and cables of a plan, so that XDP works on veth.

What is unusual here is what the kernel asks for where a veth pair stands for a cable to a NIC
with a program (measured on Linux 6.18; `far end` is the other end of the switch's cable):

- Far ends and senders have tx checksum offload off.  XDP cannot tell that a checksum is still to
  be done, so that a rewritten packet would leave with a wrong one.
- Far ends have an XDP program that passes everything.  With GRO alone a frame that is *redirected*
  to the NIC arrives, one that is sent back (XDP_TX) is counted as sent and is lost.
- Both ends of the switch's cables have equally many queues, or attaching fails with ENOSPC.
- Bridges do not show their packets to iptables.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from lbctl.testbed import namespaces
from lbctl.testbed.far_end import pass_everything
from lbctl.testbed.plan import ROUTER, SWITCH, VIPS4, VIPS6

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lbctl.testbed.plan import Host, Net, Plan

QUEUES_MOST = 8
EVERYWHERE: Mapping[str, int | str] = {
    "net.ipv6.conf.all.accept_dad": 0,  # addresses are there at once
    "net.ipv6.conf.default.accept_dad": 0,
    "net.ipv6.conf.default.dad_transmits": 0,
    "net.ipv6.conf.all.accept_ra": 0,
    "net.ipv6.conf.default.accept_ra": 0,
    "net.ipv4.conf.all.rp_filter": 0,
    "net.ipv4.conf.default.rp_filter": 0,
}
BRIDGING: Mapping[str, int | str] = {
    "net.bridge.bridge-nf-call-iptables": 0,
    "net.bridge.bridge-nf-call-ip6tables": 0,
    "net.bridge.bridge-nf-call-arptables": 0,
    "net.ipv6.conf.default.disable_ipv6": 1,
}
ROUTING: Mapping[str, int | str] = {
    "net.ipv4.ip_forward": 1,
    "net.ipv6.conf.all.forwarding": 1,
    "net.ipv4.conf.all.send_redirects": 0,
    "net.ipv4.conf.default.send_redirects": 0,
}
CLIENT: Mapping[str, int | str] = {"net.ipv4.ip_local_port_range": "1024 65535"}
SILENT_VIPS: Mapping[str, int | str] = {
    "net.ipv4.conf.all.arp_ignore": 1,
    "net.ipv4.conf.all.arp_announce": 2,
}
TENTATIVE = 0x40  # IFA_F_TENTATIVE
VIP_TABLE = 100  # routes of what servers send from a VIP


def build(plan: Plan) -> None:
    """Make everything; whoever calls removes it all if this fails."""
    for role in plan.roles:
        name = plan.namespace(role)
        namespaces.create(name)
        namespaces.sysctl(name, {**EVERYWHERE, **_settings(plan, role)})
        namespaces.ip(name, ["link set lo up"])
    for side in ("ext", "int"):
        nets = [net for net in plan.nets if net.side == side]
        namespaces.ip(plan.namespace(side), [line for net in nets for line in _bridge(net)])
    for net in plan.nets:
        _join(plan, net, "switch", net.nic, SWITCH)
        if plan.dsr:
            _join(plan, net, "router", net.nic, ROUTER)
    for host in plan.hosts:
        _plug_in(plan, host)
    _harden(plan)


def _settings(plan: Plan, role: str) -> Mapping[str, int | str]:
    if role in ("ext", "int"):
        return BRIDGING
    if role in ("switch", "router"):
        return ROUTING
    if role.startswith("client"):
        return CLIENT
    return SILENT_VIPS if plan.dsr else {}


def _bridge(net: Net) -> list[str]:
    return [
        f"link add {net.bridge} type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
        f"link set {net.bridge} up",
    ]


def _cable(plan: Plan, net: Net, role: str, nic: str, port: str) -> None:
    """A cable from a namespace's NIC to a port of the network's bridge."""
    side, there = plan.namespace(net.side), plan.namespace(role)
    queues = min(os.cpu_count() or 1, QUEUES_MOST)
    count = f"numtxqueues {queues} numrxqueues {queues}"
    namespaces.ip(
        side,
        [
            f"link add {port} {count} type veth peer name {nic} {count} netns {there}",
            f"link set {port} master {net.bridge} up",
        ],
    )


def _join(plan: Plan, net: Net, role: str, nic: str, position: int) -> None:
    """Give the switch, or the router, its NIC in a network."""
    _cable(plan, net, role, nic, f"{role}{net.number}")
    namespaces.ip(
        plan.namespace(role),
        [
            f"address add {net.ipv4_of(position)} dev {nic}",
            f"address add {net.ipv6_of(position)} dev {nic} nodad",
            f"link set {nic} up",
        ],
    )


def _plug_in(plan: Plan, host: Host) -> None:
    """Give a client or server its NIC, and its default route by the switch."""
    _cable(plan, host.net, host.role, "eth0", host.role)
    gateway4, gateway6 = host.net.gateways
    namespaces.ip(
        host.namespace,
        [
            f"address add {host.ipv4}/{host.net.ipv4.prefixlen} dev eth0",
            f"address add {host.ipv6}/{host.net.ipv6.prefixlen} dev eth0 nodad",
            "link set eth0 up",
            f"route add default via {gateway4}",
            f"route add default via {gateway6}",
        ],
    )
    namespaces.offloads(host.namespace, ["eth0"], tx_checksum=False, gro=False)
    if plan.dsr and host.net.side == "int":
        _own_vips(host)


def _own_vips(host: Host) -> None:
    """Let a server take packets for the VIPs, and send theirs by the router."""
    for vips, gateway in (
        (VIPS4, host.net.ipv4_of(ROUTER).ip),
        (VIPS6, host.net.ipv6_of(ROUTER).ip),
    ):
        lines = [
            f"route add local {vips} dev lo",
            f"rule add from {vips} table {VIP_TABLE}",
            f"route add default via {gateway} table {VIP_TABLE}",
        ]
        namespaces.ip(host.namespace, lines, family=vips.version)


def _harden(plan: Plan) -> None:
    """Make the far ends of the switch's cables such that XDP on its NICs works."""
    for side in ("ext", "int"):
        name = plan.namespace(side)
        ports = [f"switch{net.number}" for net in plan.nets if net.side == side]
        namespaces.offloads(name, ports, tx_checksum=False, gro=True)
        namespaces.call(name, lambda ports=ports: pass_everything(ports))  # type: ignore[misc]
    namespaces.offloads(plan.namespace("switch"), plan.nics, tx_checksum=False, gro=True)


def settled(plan: Plan) -> bool:
    """Whether every NIC has its link-local address, without which it cannot ask for an IPv6 MAC."""
    wanted = {
        "switch": len(plan.nets),
        "router": len(plan.nets),
        **dict.fromkeys((host.role for host in plan.hosts), 1),
    }
    roles = (role for role in plan.roles if role in wanted)
    return all(
        namespaces.call(plan.namespace(role), _link_locals) >= wanted[role] for role in roles
    )


def _link_locals() -> int:
    """How many link-local addresses the calling thread's namespace has that may be used."""
    text = Path("/proc/thread-self/net/if_inet6").read_text(encoding="ascii")
    rows = [line.split() for line in text.splitlines()]
    return sum(row[0].startswith("fe80") and not int(row[4], 16) & TENTATIVE for row in rows)


def answers(namespace: str, port: int) -> bool:
    """Whether a TCP server answers on a port of a namespace, over IPv4 and IPv6."""

    def connect() -> bool:
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, port), timeout=1):
                pass
        return True

    try:
        return namespaces.call(namespace, connect)
    except OSError:
        return False
