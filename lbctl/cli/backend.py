"""The back-end commands: the servers of a pool, and how to take one away in peace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lbctl.cli import pool_tables, render
from lbctl.cli.draining import wait_until_idle
from lbctl.cli.options import example, force_option, output_option
from lbctl.cli.parameters import POOL, SERVER, Number

if TYPE_CHECKING:
    from lbctl.cli.client import Client
    from lbctl.model import SocketAddress

PATIENCE = 300.0  # seconds that --wait waits unless --timeout says otherwise
WEIGHT = click.IntRange(0, 65535)


@click.group(epilog=example("lbctl backend list web"))
def backend() -> None:
    """Back-ends: the servers of a pool."""


@backend.command(epilog=example("lbctl backend add web 10.0.1.13:8080 --weight 2"))
@click.argument("pool", type=POOL)
@click.argument("address", type=SERVER)
@click.option("--weight", type=WEIGHT, default=1, show_default=True, help="Wanted share.")
@force_option
@click.pass_obj
def add(client: Client, pool: str, address: SocketAddress, weight: int, *, force: bool) -> None:
    """Give POOL one more back-end."""
    client.add_backend(pool, {"address": str(address), "weight": weight}, force=force)
    click.echo(f"pool {pool}: back-end {address} added")


@backend.command(epilog=example("lbctl backend remove web 10.0.1.13:8080"))
@click.argument("pool", type=POOL)
@click.argument("address", type=SERVER)
@click.option("--now", is_flag=True, help="Cut its connections off.")
@click.pass_obj
def remove(client: Client, pool: str, address: SocketAddress, *, now: bool) -> None:
    """Take a back-end from POOL; its connections may finish, unless --now."""
    client.remove_backend(pool, address, now=now)
    click.echo(f"pool {pool}: back-end {address} removed")


@backend.command(
    epilog=example(
        "lbctl backend drain web 10.0.1.11:8080",
        "lbctl backend drain web 10.0.1.11:8080 --wait --timeout 60",
    )
)
@click.argument("pool", type=POOL)
@click.argument("address", type=SERVER)
@click.option("--wait", is_flag=True, help="Return when no connection is left.")
@click.option(
    "--timeout",
    type=Number(min=0),
    metavar="SECONDS",
    help=f"Wait no longer than this; {PATIENCE:g} unless set.  Implies --wait.",
)
@click.pass_obj
def drain(
    client: Client, pool: str, address: SocketAddress, timeout: float | None, *, wait: bool
) -> None:
    """
    Keep new connections from a back-end, and let those it has finish.

    When --wait runs out of time it exits with 1, and the back-end goes on draining.
    """
    backend = client.set_backend(pool, address, {"state": "draining"})
    if not wait and timeout is None:
        left = backend["connections"]
        click.echo(f"pool {pool}: draining back-end {address}, connections left: {left}")
        return
    with render.progress(f"draining {address}") as report:
        limit = PATIENCE if timeout is None else timeout
        wait_until_idle(client, pool, address, limit, report)
    click.echo(f"pool {pool}: back-end {address} has no connections left")


@backend.command(epilog=example("lbctl backend maintenance web 10.0.1.11:8080"))
@click.argument("pool", type=POOL)
@click.argument("address", type=SERVER)
@click.pass_obj
def maintenance(client: Client, pool: str, address: SocketAddress) -> None:
    """
    Take a back-end out at once, until it is restored.

    It gets no new connections and is not checked; those it has are kept or reset, as the pool's
    --on-down says.  To let them finish first use `lbctl backend drain`.
    """
    client.set_backend(pool, address, {"state": "maintenance"})
    click.echo(f"pool {pool}: back-end {address} is in maintenance")


@backend.command(epilog=example("lbctl backend restore web 10.0.1.11:8080"))
@click.argument("pool", type=POOL)
@click.argument("address", type=SERVER)
@force_option
@click.pass_obj
def restore(client: Client, pool: str, address: SocketAddress, *, force: bool) -> None:
    """
    Give a back-end new connections again, after `drain` or `maintenance`.

    One that checks found down has to pass them first.
    """
    found = client.set_backend(pool, address, {"state": "active"}, force=force)
    reason = f": {found['reason']}" if found["reason"] else ""
    click.echo(f"pool {pool}: back-end {address} is {found['state']}{reason}")


@backend.command("set", epilog=example("lbctl backend set web 10.0.1.11:8080 --weight 3"))
@click.argument("pool", type=POOL)
@click.argument("address", type=SERVER)
@click.option("--weight", type=WEIGHT, required=True, help="Wanted share; 0 for none.")
@force_option
@click.pass_obj
def set_(client: Client, pool: str, address: SocketAddress, weight: int, *, force: bool) -> None:
    """Change the weight of a back-end."""
    client.set_backend(pool, address, {"weight": weight}, force=force)
    click.echo(f"pool {pool}: back-end {address} has weight {weight}")


@backend.command("list", epilog=example("lbctl backend list", "lbctl backend list web -o json"))
@click.argument("pool", type=POOL, required=False)
@output_option
@click.pass_obj
def list_(client: Client, pool: str | None, output: str) -> None:
    """Show the back-ends of POOL, or of all."""
    render.show(client.backends(pool), output, pool_tables.backends)
