"""
The SIP server: register telephones and connect their calls at the NIC, IPv4 and IPv6.

    python -m examples.sip --app voip --domain example.net
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from examples import datagrams
from examples.datagrams import Sender
from examples.running import name_option, serve, socket_option
from examples.sip.proxy import Proxy

if TYPE_CHECKING:
    from lbctl import netif


def step(
    interface: netif.Interface, proxy: Proxy, sender: Sender, timeout: float | None = None
) -> int:
    """Handle what has come, or comes within *timeout* seconds; returns the messages sent."""
    sent = 0
    for port in interface.wait(timeout):
        for datagram in datagrams.read(port, port.receive()):
            sent += sender.send(proxy.handle(datagram))
    return sent


@click.command()
@name_option
@socket_option
@click.option("--domain", "domains", multiple=True, help="What follows @; may be repeated.")
def main(name: str, socket: str | None, domains: tuple[str, ...]) -> None:
    """Register SIP telephones and connect their calls at the NIC."""
    proxy = Proxy(domains)
    serve(name, socket, lambda interface: partial(step, interface, proxy, Sender(interface)))


if __name__ == "__main__":
    main()
