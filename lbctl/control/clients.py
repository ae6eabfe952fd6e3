"""
The clients of a server that died: make them speak, so that the switch can tell them.

The switching processor answers whatever a client says next on such a connection by a reset, with
the sequence number that the client itself just acknowledged.  A client that waits for an answer
says nothing for minutes.  So each gets one segment that cannot be right, from its VIP: it must
answer it with an ACK (RFC 9293, 3.10.7.4, and RFC 5961), and that is answered by the reset.  It
then tries again at once.
"""

from __future__ import annotations

import logging
import socket
import struct
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lbctl.control.master import served_at
from lbctl.model import OnDown, Protocol, SocketAddress, State, Vip
from lbctl.shared.connections import Filter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lbctl.control.standing import Standings
    from lbctl.model import Configuration
    from lbctl.shared.connections import Connection
    from lbctl.switching.dataplane import Dataplane

DEAD = {State.DOWN, State.MAINTENANCE}
ACK = 0x10
IPV6_HDRINCL = 36  # of <linux/in6.h>; Python has no name for it
MOST = 20_000  # clients that are told at once; the others learn it when they next say something

log = logging.getLogger(__name__)


class Lost(NamedTuple):
    """A server that died, as a service knows it."""

    vip: Vip
    address: SocketAddress


def lost(before: Standings, old: Configuration, now: Standings, new: Configuration) -> list[Lost]:
    """Servers that died between two moments, in pools that reset the connections of such."""
    was = {
        (pool.name, backend.address): before.of(pool.name, backend).state
        for pool in old.pools
        for backend in pool.backends
    }
    found = []
    for pool in new.pools:
        if pool.on_down is not OnDown.RESET:
            continue
        for member in new.stand_ins(pool):
            for backend in member.backends:
                state = now.of(member.name, backend).state
                if state in DEAD and was.get((member.name, backend.address)) not in (None, *DEAD):
                    found += [Lost(vip, served_at(vip, backend.address)) for vip in pool.vips]
    return [one for one in found if one.vip.protocol is Protocol.TCP]


def prompt(dataplane: Dataplane, servers: Iterable[Lost]) -> int:
    """Make the clients of *servers* speak, as far as it goes; returns how many were written to."""
    count = 0
    for server in servers:
        only = Filter(vips={server.vip}, backend=server.address)
        try:
            count += _send(dataplane.connections.list(only, MOST))
        except OSError as error:  # they learn it when they next say something
            log.warning("the clients of %s could not be told: %s", server.address, error)
    if count:
        log.info("%d clients of servers that died were told", count)
    return count


def _send(connections: Iterable[Connection]) -> int:
    count = 0
    with ExitStack() as cleanup:
        plugs: dict[int, socket.socket] = {}
        for connection in connections:
            version = connection.client.address.version
            if version not in plugs:
                plugs[version] = cleanup.enter_context(_raw_socket(version))
            target = (str(connection.client.address), 0)
            with suppress(OSError):  # no route to that client: it will find out by itself
                plugs[version].sendto(segment(connection.vip, connection.client), target)
                count += 1
    return count


def _raw_socket(version: int) -> socket.socket:
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    plug = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
    if version == 6:
        plug.setsockopt(socket.IPPROTO_IPV6, IPV6_HDRINCL, 1)
    return plug


def segment(vip: Vip, client: SocketAddress) -> bytes:
    """
    Build the packet that *client* must answer: a bare ACK whose numbers are 0.

    IPv4 or IPv6 header included; the kernel fills in the checksum of the former.
    """
    source, target = vip.address.packed, client.address.packed
    tcp = struct.pack(">HHIIBBHHH", vip.port, client.port, 0, 0, 5 << 4, ACK, 0, 0, 0)
    pseudo = source + target + struct.pack(">II", len(tcp), socket.IPPROTO_TCP)
    tcp = tcp[:16] + struct.pack(">H", _checksum(pseudo + tcp)) + tcp[18:]
    if client.address.version == 4:
        length = 20 + len(tcp)
        start = struct.pack(">BBHHHBBH", 0x45, 0, length, 0, 0, 64, socket.IPPROTO_TCP, 0)
    else:
        start = struct.pack(">IHBB", 6 << 28, len(tcp), socket.IPPROTO_TCP, 64)
    return start + source + target + tcp


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total = int(np.frombuffer(data, ">u2").sum(dtype=np.uint64))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
