"""The VIP commands: what clients connect to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lbctl.cli import render, tables
from lbctl.cli.options import example, output_option
from lbctl.cli.parameters import POOL, VIP

if TYPE_CHECKING:
    from lbctl.cli.client import Client
    from lbctl.model import Vip


@click.group(epilog=example("lbctl vip list"))
def vip() -> None:
    """VIPs: what clients connect to."""


@vip.command(epilog=example("lbctl vip add web 203.0.113.10:443/tcp"))
@click.argument("pool", type=POOL)
@click.argument("address", type=VIP)
@click.pass_obj
def add(client: Client, pool: str, address: Vip) -> None:
    """Give POOL one more VIP; the port may be '*'."""
    client.add_vip(pool, address)
    click.echo(f"pool {pool}: VIP {address} added")


@vip.command(epilog=example("lbctl vip remove web 203.0.113.10:443/tcp"))
@click.argument("pool", type=POOL)
@click.argument("address", type=VIP)
@click.pass_obj
def remove(client: Client, pool: str, address: Vip) -> None:
    """Take a VIP from POOL."""
    client.remove_vip(pool, address)
    click.echo(f"pool {pool}: VIP {address} removed")


@vip.command("list", epilog=example("lbctl vip list"))
@output_option
@click.pass_obj
def list_(client: Client, output: str) -> None:
    """Show the VIPs of all pools and network applications."""
    render.show(client.vips(), output, tables.vips)
