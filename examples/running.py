"""The runner: open an application's interface, and serve it step by step until it is ended."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from lbctl import netif
from lbctl.errors import LbctlError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbctl.netif import Interface


name_option = click.option(
    "--app", "name", required=True, help="Its name, as `lbctl app add` was told."
)
socket_option = click.option(
    "--socket", type=click.Path(), help="Where lbctld listens for applications."
)


def serve(
    name: str, socket: str | None, start: Callable[[Interface], Callable[[], object]]
) -> None:
    """
    Open the interface of the application *name*, and call what *start* makes of it for ever.

    It ends by the user, or by an error that is told in one line.
    """
    try:
        with netif.open(name, socket) as interface:
            step = start(interface)
            click.echo(f"{name} is ready: {', '.join(interface.vips)}")
            while True:
                step()
    except LbctlError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
