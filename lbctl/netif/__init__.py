"""
The user-level network interface: give a program the packets of NICs, in batches, from Python.

It needs numpy and no compiler; an application that lbctld knows needs no privilege.  An echo server
for UDP over IPv4:

    from lbctl import netif
    from lbctl.netif.headers import UDP4

    with netif.open("echo") as interface:
        while True:
            for port in interface.wait():
                batch = port.receive()
                lines = batch.lines(UDP4)
                netif.turn_around(lines)
                batch.write(lines)
                port.transmit(batch)

`headers` has the kinds of lines, `rewriting` what changes them, `testing` an interface without a
kernel for the unit tests of an application.
"""

from lbctl.netif.batch import Batch
from lbctl.netif.client import open  # noqa: A004 - netif.open, as with files
from lbctl.netif.direct import direct
from lbctl.netif.frames import FrameError, Frames
from lbctl.netif.interface import Interface
from lbctl.netif.port import Port
from lbctl.netif.rewriting import (
    assign,
    checksums_hold,
    fill_checksums,
    swap_addresses,
    swap_macs,
    swap_ports,
    turn_around,
)
from lbctl.netif.status import Statistics
from lbctl.netif.wire import Route

__all__ = [
    "Batch",
    "FrameError",
    "Frames",
    "Interface",
    "Port",
    "Route",
    "Statistics",
    "assign",
    "checksums_hold",
    "direct",
    "fill_checksums",
    "open",
    "swap_addresses",
    "swap_macs",
    "swap_ports",
    "turn_around",
]
