"""The health commands: what checks found of back-ends, and one look on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lbctl.cli import render, report_tables
from lbctl.cli.options import example, output_option
from lbctl.cli.parameters import POOL, SERVER

if TYPE_CHECKING:
    from lbctl.cli.client import Client
    from lbctl.model import SocketAddress


@click.group(epilog=example("lbctl health list"))
def health() -> None:
    """Health: what the checks of back-ends found."""


@health.command("list", epilog=example("lbctl health list", "lbctl health list web -o json"))
@click.argument("pool", type=POOL, required=False)
@output_option
@click.pass_obj
def list_(client: Client, pool: str | None, output: str) -> None:
    """
    Show what checks found of the back-ends of POOL, or of all.

    OK and FAIL count looks in a row; INHIBITED is until when a back-end gets no new connections
    because too many came to nothing.
    """
    render.show(client.health(pool), output, report_tables.health)


@health.command(epilog=example("lbctl health check web 10.0.1.11:8080"))
@click.argument("pool", type=POOL)
@click.argument("address", type=SERVER)
@output_option
@click.pass_context
def check(ctx: click.Context, pool: str, address: SocketAddress, output: str) -> None:
    """
    Check one back-end now, as its pool says.

    Changes nothing.  Exits with 0 when the back-end is well, with 1 when it is not.
    """
    client: Client = ctx.obj
    wanted: dict[str, Any] = client.pool(pool)["health"] or {}
    found = client.check_health(pool, address, patience=wanted.get("timeout", 0))
    render.show(found, output, report_tables.looked)
    ctx.exit(0 if found["ok"] else 1)
