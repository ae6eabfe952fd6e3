"""
The echo: send every UDP packet back to where it came from, IPv4 and IPv6, hundreds at a time.

    python -m examples.echo --app echo
"""

from __future__ import annotations

from functools import partial

import click
import numpy as np

from examples.running import name_option, serve, socket_option
from lbctl import netif
from lbctl.netif.headers import IS_UDP4, IS_UDP6, KINDS, OTHER, kind_of

ETHERNET = 14  # bytes of its header
FIRST_OF_CLIENTS = 1024  # what asks from a port below may be an echo too: they would never end


def turn_around(batch: netif.Batch, longest: int) -> netif.Batch:
    """Make answers of a batch's UDP packets, up to so many bytes; the rest is dropped."""
    lines, starts = batch.lines(), batch.starts
    kinds = np.where(starts, kind_of(lines, batch.lengths), OTHER)
    answered = np.zeros(len(batch), np.bool_)
    for number in (IS_UDP4, IS_UDP6):
        rows = lines.view(KINDS[number])
        chosen = (kinds == number) & (rows["source_port"] >= FIRST_OF_CLIENTS)
        if not chosen.any():
            continue
        answers = rows[chosen]
        netif.turn_around(answers)
        netif.assign(answers, ttl=64)  # patches the checksum of the IPv4 header
        rows[chosen] = answers
        answered |= chosen
    batch.write(lines)
    # a packet larger than a frame has several lines, and the first decides
    answered = answered[starts] & (batch.packet_lengths <= longest)
    return batch.keep(answered[np.cumsum(starts) - 1])


def step(interface: netif.Interface, timeout: float | None = None) -> int:
    """Answer what has come, or comes within *timeout* seconds; returns the number of packets."""
    answered = 0
    for port in interface.wait(timeout):
        batch = turn_around(port.receive(), port.mtu + ETHERNET)
        answered += port.transmit(batch)
        if len(batch):  # what there was no room for: UDP may be lost
            batch.drop()
    return answered


@click.command()
@name_option
@socket_option
def main(name: str, socket: str | None) -> None:
    """Echo UDP at the NIC."""
    serve(name, socket, lambda interface: partial(step, interface))


if __name__ == "__main__":
    main()
