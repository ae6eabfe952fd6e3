"""The status command: the switch at a glance, and what keeps it from its work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lbctl.cli import render, tables
from lbctl.cli.options import example, output_option

if TYPE_CHECKING:
    from lbctl.cli.client import Client


@click.command(epilog=example("lbctl status", "lbctl status -o json"))
@output_option
@click.pass_obj
def status(client: Client, output: str) -> None:
    """
    Show the switch at a glance.

    A warning names what keeps packets from getting through, and what to type about it.
    """
    render.show(client.status(), output, tables.status)
