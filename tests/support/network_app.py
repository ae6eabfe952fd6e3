"""
A network application with good and bad manners, to be run as a program of its own.

    python tests/support/network_app.py NAME SOCKET MANNERS

echo    sends each packet back to where it came from
hold    keeps all that it gets, and never gives a buffer back
slow    looks at one packet, and then at none for a while
twice   echoes, and tries to send each packet a second time
wrong   writes descriptors of nothing into the rings

It says `ready` when it has its ports, and at the end, when it is refused, why.
"""

from __future__ import annotations

import signal
import sys
import time

import numpy as np

from lbctl import netif
from lbctl.errors import LbctlError
from lbctl.netif.headers import UDP4

TX_INVALID = 2  # of XDP_STATISTICS; wrong descriptors in the fill ring are skipped, not counted
WRONG = 2  # descriptors
NOWHERE = 1 << 40  # far behind the end of any packet memory


def say(*words):
    """Tell the test."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def echo(port, batch):
    """Send packets back; what there is no room for is dropped."""
    lines = batch.lines(UDP4)
    netif.turn_around(lines)
    batch.write(lines)
    port.transmit(batch)
    if len(batch):
        batch.drop()


def hold(port, batch, held=[]):  # noqa: B006 - what is to be held
    """Keep them."""
    del port
    held.append(batch)
    say("holds", sum(len(one) for one in held))


def slow(port, batch):
    """Take one's time."""
    echo(port, batch)
    time.sleep(0.02)


def twice(port, batch):
    """Send what was sent already."""
    echo(port, batch)
    try:
        port.transmit(batch)
    except netif.FrameError as error:
        say("FrameError", error)


def wrong(port, batch):
    """Write what no library would write, and let the kernel say what it thinks of it."""
    del batch
    port._rings.tx.put(np.array([[NOWHERE, 60], [12, 1 << 20]]))
    port._rings.fill.put(np.array([NOWHERE]))
    say("wrote")
    while port._plug.counters()[TX_INVALID] < WRONG or port._rings.fill.waiting:
        port._plug.kick()
        port._rx.release(port._rx.available())
    say("all are refused")
    signal.pause()


MANNERS = {"echo": echo, "hold": hold, "slow": slow, "twice": twice, "wrong": wrong}


def main(name, path, manners):
    """Serve until killed."""
    serve = MANNERS[manners]
    with netif.open(name, path) as interface:
        say("ready")
        while True:
            for port in interface.wait():
                batch = port.receive(1 if manners == "slow" else 64)
                if len(batch):
                    serve(port, batch)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except LbctlError as refusal:
        say("Error:", refusal)
        sys.exit(refusal.exit_code)
