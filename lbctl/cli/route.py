"""The route commands: the routing table as the switching processors have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lbctl.cli import render, tables
from lbctl.cli.options import example, output_option

if TYPE_CHECKING:
    from lbctl.cli.client import Client


@click.group(epilog=example("lbctl route list"))
def route() -> None:
    """Routes: as the switching processors have them."""


@route.command("list", epilog=example("lbctl route list", "lbctl route list -o json"))
@output_option
@click.pass_obj
def list_(client: Client, output: str) -> None:
    """Show the kernel's routes as the switching processors follow them."""
    render.show(client.routes(), output, tables.routes)
