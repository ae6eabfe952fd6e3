"""The connection commands: which flow goes to which back-end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lbctl.cli import render, tables
from lbctl.cli.options import example, filter_options, limit_option, output_option

if TYPE_CHECKING:
    from lbctl.cli.client import Client

LIMIT = 1000  # a table of a million rows is no answer


@click.group(epilog=example("lbctl connection list --pool web"))
def connection() -> None:
    """Connections: flows and their back-ends."""


@connection.command(
    "list",
    epilog=example(
        "lbctl connection list --client 198.51.100.7",
        "lbctl connection list --backend 10.0.1.11:8080 -o json",
    ),
)
@filter_options
@limit_option(LIMIT, "Show so many at most.")
@output_option
@click.pass_obj
def list_(daemon: Client, /, output: str, limit: int, **chosen: object) -> None:
    """Show connections, the newest first; IDLE is in seconds."""
    found = daemon.connections(limit=limit, **chosen)
    render.show(found, output, tables.connections)
    if len(found) == limit:
        click.echo(f"the first {limit}; there may be more, see --limit", err=True)


@connection.command(epilog=example("lbctl connection count --pool web"))
@filter_options
@output_option
@click.pass_obj
def count(daemon: Client, /, output: str, **chosen: object) -> None:
    """Count connections."""
    render.show(daemon.count_connections(**chosen), output, tables.count)


@connection.command(epilog=example("lbctl connection flush --client 198.51.100.7"))
@filter_options
@click.pass_obj
def flush(daemon: Client, /, **chosen: object) -> None:
    """
    Forget connections; without a filter, all of them.

    What a forgotten connection sends is reset, dropped or given to a back-end anew, as the pool's
    --on-unknown says.
    """
    click.echo(f"connections flushed: {daemon.flush_connections(**chosen)['flushed']}")
