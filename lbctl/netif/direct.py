"""
The direct way: make an interface without lbctld, in the network namespace of the calling thread.

For tests, measurements and programs of one's own; it needs CAP_NET_RAW.  No packet comes before a
program on the NIC redirects it: put the descriptors of the ports into its XSKMAP.
"""

from __future__ import annotations

import os
import socket
import struct
from fcntl import ioctl
from typing import TYPE_CHECKING, NamedTuple

from lbctl.netif import kernel, sockets
from lbctl.netif.interface import Interface
from lbctl.netif.pulse import Pulse
from lbctl.netif.sockets import Place, Rings
from lbctl.netif.status import Page
from lbctl.netif.wire import Grant, PortGrant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SIOCGIFMTU, _SIOCGIFHWADDR = 0x8921, 0x8927


class Facts(NamedTuple):
    """What a NIC is: its MAC as text, and the most bytes of an IP packet."""

    mac: str
    mtu: int


def facts(nic: str) -> Facts:
    """Ask the kernel for them; OSError if there is no such NIC."""
    request = struct.pack("=16s24x", nic.encode())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as anything:
        mac = ioctl(anything, _SIOCGIFHWADDR, request)[18:24]
        (mtu,) = struct.unpack_from("=i", ioctl(anything, _SIOCGIFMTU, request), 16)
    return Facts(mac.hex(":"), mtu)


def describe(made: sockets.Endpoints, frames: int, frame_size: int, rings: Rings) -> Grant:
    """Write down what was made, as lbctld grants it; no name and no VIPs of its own."""
    ports = []
    for number, place in enumerate(made.places):
        fact = facts(place.nic)
        zero_copy = bool(made.zero_copy) and made.zero_copy[number]
        ports.append(
            PortGrant(
                *place,
                mac=fact.mac,
                mtu=fact.mtu,
                **rings._asdict(),
                zero_copy=zero_copy,
                multi_buffer=made.multi_buffer,
            )
        )
    return Grant("direct", (), frame_size, frames, tuple(ports), made.bound)


def direct(
    nics: Mapping[str, Sequence[int]],
    frames: int = 8192,
    frame_size: int = 2048,
    rings: Rings | None = None,
    busy_poll: int = 0,
) -> Interface:
    """
    Make an interface on queues of NICs: `direct({"eth0": [0, 1]})`.

    *frames* of *frame_size* bytes (2048 or 4096); *busy_poll*: microseconds to look at the NIC
    before sleeping.  Raises NotPermitted, NotFound, UsageError, Conflict or LbctlError.
    """
    places = [Place.of(nic, queue) for nic, queues in nics.items() for queue in queues]
    rings = rings or Rings.fitting(frames, max(len(places), 1))
    made = sockets.create(places, frames, frame_size, rings, busy_poll=busy_poll)
    try:
        grant = describe(made, frames, frame_size, rings)
        descriptor, page = Page.create(len(places), "direct")
        os.close(descriptor)
        umem, mapped = kernel.map_all(grant, made.umem, made.sockets)
        pulse = Pulse(page)
        ports = kernel.make_ports(grant, umem, mapped, made.sockets, pulse)
    except BaseException:
        made.close()
        raise
    os.close(made.umem)
    return Interface(ports, umem, pulse)
