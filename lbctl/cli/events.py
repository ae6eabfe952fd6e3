"""The events command: what has happened, and, while one watches, what happens."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from lbctl.cli import render, report_tables
from lbctl.cli.options import example, limit_option, output_option
from lbctl.errors import DaemonUnreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lbctl.cli.client import Client
    from lbctl.cli.tables import Row

LIMIT = 100
WAIT = 25.0  # seconds that the daemon may wait for an event before it answers that there is none
PAUSE = 1.0  # seconds between two attempts to reach a daemon that is away


@click.command(epilog=example("lbctl events", "lbctl events --follow --kind health"))
@click.option("--follow", is_flag=True, help="Go on with what happens, until Ctrl-C.")
@limit_option(LIMIT, "Begin with the newest N.")
@click.option("--kind", metavar="KIND", help="Only those of this kind, such as health or agent.")
@output_option
@click.pass_obj
def events(client: Client, output: str, limit: int, kind: str | None, *, follow: bool) -> None:
    """
    Show what has happened.

    Changes of the state of back-ends, pools and agents, with the reason; oldest first.  With
    --follow JSON is one object a line.
    """
    found = client.events(limit=limit, kind=kind)
    if follow:
        render.stream(_followed(client, found, kind), output, report_tables.event)
    else:
        render.show(found, output, report_tables.events)


def _followed(client: Client, found: list[Row], kind: str | None) -> Iterator[Row]:
    """The events *found*, and all that follow."""
    last = 0
    while True:
        for row in found:
            last = row["number"]
            yield row
        found = _later(client, last, kind)


def _later(client: Client, last: int, kind: str | None) -> list[Row]:
    """Fetch what happened after the event number *last*; wait for a daemon that is away."""
    told = False
    while True:
        try:
            return client.events(after=last, wait=WAIT, kind=kind)
        except DaemonUnreachable:
            if not told:
                click.echo("lbctld does not answer; waiting for it", err=True)
                told = True
            time.sleep(PAUSE)
