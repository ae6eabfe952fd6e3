"""The generation commands: what the switch was told, by whom, and the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lbctl.cli import render, tables
from lbctl.cli.options import example, force_option, output_option

if TYPE_CHECKING:
    from lbctl.cli.client import Client


@click.command(epilog=example("lbctl generations"))
@output_option
@click.pass_obj
def generations(client: Client, output: str) -> None:
    """
    Show the history.

    Every change makes a generation.
    """
    render.show(client.generations(), output, tables.generations)


@click.command(epilog=example("lbctl rollback 3"))
@click.argument("generation", type=click.IntRange(min=0))
@force_option
@output_option
@click.pass_obj
def rollback(client: Client, generation: int, output: str, *, force: bool) -> None:
    """
    Return to an older generation.

    Makes a new generation with the content of the old one, so that this too can be undone.
    """
    render.show(client.rollback(generation, force=force), output, tables.applied)
