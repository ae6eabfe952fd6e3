"""The counter commands: what became of packets; once, or again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lbctl.cli import counters, render
from lbctl.cli.counters import Reading
from lbctl.cli.options import example, output_option, watch_options

if TYPE_CHECKING:
    from lbctl.cli.client import Client


@click.command(epilog=example("lbctl stats", "lbctl stats --watch"))
@watch_options
@output_option
@click.pass_obj
def stats(client: Client, output: str, interval: float, *, watch: bool) -> None:
    """
    Show what became of the packets.

    Of each NIC by verdict, and of each back-end by VIP; counted since the tables were made.
    """
    if watch:
        render.watch(client.stats, output, counters.stats, interval)
    else:
        render.show(client.stats(), output, lambda data: counters.stats(Reading(data)))


@click.command(epilog=example("lbctl drops", "lbctl drops --watch --interval 5"))
@watch_options
@output_option
@click.pass_obj
def drops(client: Client, output: str, interval: float, *, watch: bool) -> None:
    """
    Show which packets were discarded, and why.

    Most first; a reason is the name of a verdict.
    """
    if watch:
        render.watch(client.drops, output, counters.drops, interval)
    else:
        render.show(client.drops(), output, lambda data: counters.drops(Reading(data)))
