"""
The echo beside other tasks: let asyncio wait for the ports.

    python -m examples.echo.in_asyncio echo
"""

from __future__ import annotations

import asyncio
import sys

from examples.echo.__main__ import ETHERNET, turn_around
from lbctl import netif


def answer(port: netif.Port) -> None:
    """Answer what has come; what there is no room for is dropped with the batch."""
    port.transmit(turn_around(port.receive(), port.mtu + ETHERNET))


async def echo(interface: netif.Interface) -> None:
    """Answer for ever."""
    for port in interface.ports:
        asyncio.get_running_loop().add_reader(port, answer, port)
    while True:
        interface.wait(0)  # sends what still waits, and sees to the connection with lbctld
        await asyncio.sleep(1)


async def main(name: str) -> None:
    """Do so, and leave room for tasks of yours."""
    with netif.open(name) as interface:
        await echo(interface)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
