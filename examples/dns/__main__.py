"""
The DNS server: answer for a zone at the NIC, over UDP, IPv4 and IPv6.

    python -m examples.dns --app dns example.net.zone
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click
import numpy as np

from examples import datagrams
from examples.dns.responder import Responder
from examples.dns.zone import Zone
from examples.running import name_option, serve, socket_option
from lbctl.errors import LbctlError
from lbctl.netif.headers import IS_UDP4, IS_UDP6, KINDS

if TYPE_CHECKING:
    from lbctl import netif


def step(interface: netif.Interface, responder: Responder, timeout: float | None = None) -> int:
    """Answer what has come, or comes within *timeout* seconds; returns the number of answers."""
    answered = 0
    for port in interface.wait(timeout):
        batch = port.receive()
        for number in (IS_UDP4, IS_UDP6):
            queries = datagrams.take(batch, number)
            asked = datagrams.payloads(queries, KINDS[number])
            answers = [responder.answer(query) for query in asked]
            queries.keep(np.array([bool(answer) for answer in answers], np.bool_))
            datagrams.turn_around(queries, KINDS[number], [a for a in answers if a])
            answered += datagrams.send(port, queries)
        batch.drop()
    return answered


@click.command()
@name_option
@socket_option
@click.option("--origin", help="The zone's name, unless the file has $ORIGIN.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
def main(name: str, socket: str | None, origin: str | None, file: str) -> None:
    """Answer for the zone of FILE at the NIC."""
    try:
        responder = Responder(Zone(file, origin))
    except LbctlError as error:
        raise click.ClickException(str(error)) from error
    serve(name, socket, lambda interface: partial(step, interface, responder))


if __name__ == "__main__":
    main()
