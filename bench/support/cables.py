"""
A client, a switch and a server in namespaces, by two cables, for live traffic on one CPU.

    client ── outside [switch] inside ── server

What XDP on veth needs of the far ends (checksums made by the sender, GRO on) holds for every way of
switching alike, so that they differ in nothing but the switch.
"""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lbctl.testbed import namespaces

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CLIENT, SERVER = "198.51.100.2", "10.1.0.2"
OUTSIDE, INSIDE = "198.51.100.1", "10.1.0.1"  # the switch's own
VIP = "203.0.113.10"
# one queue each: there is one CPU
_VETH = "numtxqueues 1 numrxqueues 1"
_SETTINGS: Mapping[str, int | str] = {
    "net.ipv4.conf.all.rp_filter": 0,
    "net.ipv4.conf.default.rp_filter": 0,
    "net.ipv6.conf.all.disable_ipv6": 1,
    "net.ipv6.conf.default.disable_ipv6": 1,
}
_CLIENT_SETTINGS: Mapping[str, int | str] = {
    "net.ipv4.ip_local_port_range": "1024 65535",
    "net.ipv4.tcp_tw_reuse": 1,
}
_SERVER_SETTINGS: Mapping[str, int | str] = {"net.core.somaxconn": 4096}


@dataclass(frozen=True)
class Cables:
    """The names of the three namespaces, and the MACs of the four NICs by their names."""

    client: str
    switch: str
    server: str
    macs: dict[str, bytes]


def _mac(namespace: str, nic: str) -> bytes:
    def read() -> bytes:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as plug:
            plug.bind((nic, 0))
            return bytes(plug.getsockname()[4])

    return namespaces.call(namespace, read)


def _addresses(names: Cables) -> None:
    namespaces.ip(
        names.switch,
        [
            "link set lo up",
            f"address add {OUTSIDE}/24 dev outside",
            f"address add {INSIDE}/24 dev inside",
            "link set outside up",
            "link set inside up",
        ],
    )
    for name, nic, address, gateway in (
        (names.client, "client", CLIENT, OUTSIDE),
        (names.server, "server", SERVER, INSIDE),
    ):
        namespaces.ip(
            name,
            [
                "link set lo up",
                f"address add {address}/24 dev {nic}",
                f"link set {nic} up",
                f"route add default via {gateway}",
            ],
        )
    # for the redirect that looks at nothing: its packets come for the VIP itself
    namespaces.ip(names.server, [f"address add {VIP}/32 dev lo"])


def _neighbors(names: Cables) -> None:
    """Nobody has to ask for a MAC while something is measured."""
    macs = {nic: mac.hex(":") for nic, mac in names.macs.items()}
    for name, nic, address, mac in (
        (names.client, "client", OUTSIDE, macs["outside"]),
        (names.server, "server", INSIDE, macs["inside"]),
        (names.switch, "outside", CLIENT, macs["client"]),
        (names.switch, "inside", SERVER, macs["server"]),
    ):
        namespaces.ip(name, [f"neighbor replace {address} lladdr {mac} dev {nic} nud permanent"])


@contextmanager
def connected() -> Iterator[Cables]:
    """Make it all; it is gone with the block."""
    names = {role: f"lbctl-bench-{os.getpid()}-{role}" for role in ("client", "switch", "server")}
    cables = Cables(**names, macs={})
    try:
        for name in names.values():
            namespaces.create(name)
            namespaces.sysctl(name, _SETTINGS)
        for far, near in (("client", "outside"), ("server", "inside")):
            line = f"link add {far} {_VETH} type veth peer name {near} {_VETH}"
            namespaces.ip(names[far], [f"{line} netns {names['switch']}"])
        _addresses(cables)
        for name, nics in (
            (cables.client, ("client",)),
            (cables.server, ("server",)),
            (cables.switch, ("outside", "inside")),
        ):
            namespaces.offloads(name, nics, tx_checksum=False, gro=True)
            cables.macs.update({nic: _mac(name, nic) for nic in nics})
        _neighbors(cables)
        namespaces.sysctl(cables.client, _CLIENT_SETTINGS)
        namespaces.sysctl(cables.server, _SERVER_SETTINGS)
        namespaces.sysctl(cables.switch, {"net.ipv4.ip_forward": 1})
        yield cables
    finally:
        for name in names.values():
            namespaces.delete(name)


def ifindex(namespace: str, nic: str) -> int:
    """A NIC's number in its namespace."""
    return namespaces.call(namespace, lambda: socket.if_nametoindex(nic))


def received(namespace: str, nic: str) -> int:
    """Packets that a NIC has received."""

    def read() -> int:
        lines = Path("/proc/thread-self/net/dev").read_text(encoding="ascii").splitlines()
        line = next(line for line in lines if line.strip().startswith(f"{nic}:"))
        return int(line.split(":")[1].split()[1])

    return namespaces.call(namespace, read)
