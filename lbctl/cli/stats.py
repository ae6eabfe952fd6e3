"""The counter commands: what became of packets; once, or again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lbctl.cli import counters, render
from lbctl.cli.counters import Reading
from lbctl.cli.options import example, output_option, watch_options

if TYPE_CHECKING:
    from lbctl.cli.client import Client
    from lbctl.cli.tables import Block


@click.command(epilog=example("lbctl stats", "lbctl stats --watch"))
@watch_options
@output_option
@click.pass_obj
def stats(client: Client, output: str, interval: float, *, watch: bool) -> None:
    """
    Show what became of the packets.

    Of each NIC by verdict; of each VIP of a pool or a network application by verdict, but for
    what went to back-ends; of each back-end its new connections with what it said to them, and its
    traffic.  Counted since the tables were made.
    """
    if watch:
        render.watch(client.stats, output, counters.stats, interval)
    else:
        render.show(client.stats(), output, lambda data: counters.stats(Reading(data)))


@click.command(
    epilog=example("lbctl drops", "lbctl drops --by pool", "lbctl drops --watch --interval 5")
)
@click.option(
    "--by",
    type=click.Choice(["nic", "pool", "backend"]),
    default="nic",
    show_default=True,
    help="Whose packets: of each NIC, each VIP of a pool or network application, or each back-end.",
)
@watch_options
@output_option
@click.pass_obj
def drops(client: Client, output: str, interval: float, by: str, *, watch: bool) -> None:
    """
    Show which packets were discarded, and why.

    Most first; a reason is the name of a verdict, and below stand its cause and cure.  By pool and
    back-end there are also those that were answered in a server's stead (RESET, RESET_DOWN,
    TOO_BIG_REPLY) or found the connection table full (TO_BACKEND_UNTRACKED); `lbctl stats` has
    these by NIC.  What is of no VIP, such as DROP_NO_SERVICE, is counted by NIC alone.
    """

    def fetch() -> list[dict[str, Any]]:
        return client.drops() if by == "nic" else counters.unusual(client.stats(), by)

    def view(reading: Reading) -> list[Block]:
        return counters.drops(reading, by)

    if watch:
        render.watch(fetch, output, view, interval)
    else:
        render.show(fetch(), output, lambda data: view(Reading(data)))
