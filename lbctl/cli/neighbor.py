"""The neighbor commands: hosts and gateways on the links, and who needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lbctl.cli import render, tables
from lbctl.cli.options import example, output_option

if TYPE_CHECKING:
    from lbctl.cli.client import Client


@click.group(epilog=example("lbctl neighbor list"))
def neighbor() -> None:
    """Neighbors: hosts on the links."""


@neighbor.command("list", epilog=example("lbctl neighbor list", "lbctl neighbor list -o yaml"))
@output_option
@click.pass_obj
def list_(client: Client, output: str) -> None:
    """Show the hosts and gateways that routes and back-ends need."""
    render.show(client.neighbors(), output, tables.neighbors)
