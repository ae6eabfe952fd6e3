"""
The three ways of switching that are compared end to end.

Each is a context manager that yields a function to forget all connections.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
from contextlib import closing, contextmanager
from functools import partial
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import numpy as np

from bench.support import bytecode, cables
from lbctl.errors import LbctlError
from lbctl.model import (
    Backend,
    Configuration,
    Forward,
    Mode,
    Nic,
    OnUnknown,
    Pool,
    Protocol,
    SocketAddress,
    State,
    Timeouts,
    Vip,
)
from lbctl.shared import syscall
from lbctl.shared.configuration import Service, ServiceBackend
from lbctl.shared.routing import NextHop, NextHopState
from lbctl.shared.tables import Capacity
from lbctl.switching.dataplane import Dataplane
from lbctl.testbed import namespaces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bench.support.cables import Cables

PORTS = {Protocol.TCP: 80, Protocol.UDP: 7000}
_MTU = 1500
_SLOTS = 65537
_NETFILTER, _CONNTRACK_DELETE = 12, 1 << 8 | 2  # <linux/netfilter/nfnetlink.h>
_REQUEST_ACK = 5
_NFT_RULES = f"""
table ip bench {{
    chain prerouting {{
        type nat hook prerouting priority dstnat;
        {
    "; ".join(
        f"ip daddr {cables.VIP} {protocol} dport {port} dnat to {cables.SERVER}"
        for protocol, port in PORTS.items()
    )
}
    }}
}}
"""


def _configuration() -> Configuration:
    address, server = ip_address(cables.VIP), ip_address(cables.SERVER)
    return Configuration(
        pools=tuple(
            Pool(
                name=protocol.value,
                vips=(Vip(address, port, protocol),),
                backends=(Backend(address=SocketAddress(server, port)),),
            )
            for protocol, port in PORTS.items()
        )
    )


def _attach(dataplane: Dataplane) -> dict[str, int]:
    nics = [Nic(name=name, mode=Mode.NATIVE) for name in ("outside", "inside")]
    return {nic.name: dataplane.attach(nic).slot for nic in nics}


def _set_up(dataplane: Dataplane, names: Cables) -> None:
    """Routes and services, as the control processor would have them."""
    configuration, routing, macs = _configuration(), dataplane.routing, names.macs
    dataplane.ensure(configuration)
    slots = namespaces.call(names.switch, lambda: _attach(dataplane))
    server, clients = routing.destination(ip_address(cables.SERVER)), routing.gateway("clients")
    for index, near, far in ((server, "inside", "server"), (clients, "outside", "client")):
        hop = NextHop(slots[near], macs[far], macs[near], _MTU, NextHopState.RESOLVED)
        routing.set_next_hop(index, hop)
    routing.put_route(ip_network("0.0.0.0/0"), clients)
    routing.bump()
    services = [
        Service(
            pool.vips[0],
            Forward.NAT,
            OnUnknown.RESET,
            (ServiceBackend(pool.backends[0].address, State.ACTIVE, server),),
            np.zeros(_SLOTS, np.uint16),
        )
        for pool in configuration.pools
    ]
    dataplane.configuration.publish(services, Timeouts(), dataplane.configuration.generation + 1)


@contextmanager
def lbctl(names: Cables, pins: Path) -> Iterator[Callable[[], object]]:
    """Our program, in native mode on both NICs."""
    with closing(Dataplane.open(pins / "end_to_end", Capacity())) as dataplane:
        try:
            _set_up(dataplane, names)
            yield dataplane.connections.flush
        finally:
            for name in ("outside", "inside"):
                dataplane.detach(name)


@contextmanager
def nftables(names: Cables, _pins: Path) -> Iterator[Callable[[], object]]:
    """The kernel's own: a rule for prerouting, connection tracking, forwarding."""
    _nft(names, _NFT_RULES)
    try:
        yield lambda: namespaces.call(names.switch, _flush_conntrack)
    finally:
        _nft(names, "delete table ip bench")
        namespaces.call(names.switch, _flush_conntrack)


@contextmanager
def redirect(names: Cables, _pins: Path) -> Iterator[Callable[[], object]]:
    """The ceiling: new MACs, and out by the other NIC, whatever the packet is."""
    exits = syscall.map_create(syscall.MapInfo(syscall.DEVMAP, 4, 4, 2, 0), "bench_exits")
    pairs = (("outside", "inside", "server"), ("inside", "outside", "client"))
    links = []
    try:
        for key, (near, other, far) in enumerate(pairs):
            leave = cables.ifindex(names.switch, other).to_bytes(4, "little")
            place = key.to_bytes(4, "little")
            namespaces.call(names.switch, partial(syscall.map_update, exits, place, leave))
            program = bytecode.redirect(exits, key, names.macs[far] + names.macs[other])
            nic = cables.ifindex(names.switch, near)
            attach = partial(syscall.link_create, program, nic, syscall.MODE_NATIVE)
            links.append(namespaces.call(names.switch, attach))
            os.close(program)
        yield lambda: None
    finally:
        for link in links:
            syscall.link_detach(link)
            os.close(link)
        os.close(exits)


def _nft(names: Cables, rules: str) -> None:
    command = namespaces.inside(names.switch, ["nft", "-f", "-"])
    done = subprocess.run(  # noqa: S603 - our own words
        command, input=rules, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise LbctlError(f"nft: {done.stderr.strip()}; `apt install nftables`")


def _flush_conntrack() -> None:
    """Forget all tracked connections of the calling thread's namespace: `conntrack -F`."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER) as netlink:
        body = struct.pack("=BBH", 0, 0, 0)
        header = struct.pack("=IHHII", 16 + len(body), _CONNTRACK_DELETE, _REQUEST_ACK, 1, 0)
        netlink.send(header + body)
        (error,) = struct.unpack_from("=i", netlink.recv(4096), 16)
    if error:
        raise OSError(-error, os.strerror(-error), "ctnetlink")
