"""The ten lines: answer UDP over IPv4, until somebody ends it."""

import sys

from lbctl import netif
from lbctl.netif.headers import UDP4

with netif.open(sys.argv[1]) as interface:
    while True:
        for port in interface.wait():
            batch = port.receive()
            lines = batch.lines(UDP4)
            netif.turn_around(lines)
            batch.write(lines)
            port.transmit(batch)
