"""The pool commands: services with their VIPs, their back-ends and how packets get there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lbctl.cli import pool_options, pool_tables, render
from lbctl.cli.options import example, force_option, output_option
from lbctl.cli.parameters import NEW, POOL, VIP

if TYPE_CHECKING:
    from lbctl.cli.client import Client


@click.group(epilog=example("lbctl pool list"))
def pool() -> None:
    """Pools: VIPs and the back-ends behind them."""


@pool.command(
    epilog=example(
        "lbctl pool add web --vip 203.0.113.10:80/tcp --backend 10.0.1.11:8080 "
        "--backend 10.0.1.12:8080,weight=2",
        "lbctl pool add dns --vip '[2001:db8::53]:53/udp' --backend '[2001:db8:1::11]:53'",
        "lbctl pool add shop --vip 203.0.113.11:80/tcp --backend 10.0.1.21:80 "
        "--check http,path=/healthz,interval=1,fall=2 --passive on --scheduler least-load",
    )
)
@click.argument("name", type=NEW)
@click.option("--vip", "vips", type=VIP, multiple=True, required=True, help="May be repeated.")
@pool_options.settings
@force_option
@click.pass_obj
def add(client: Client, /, name: str, *, force: bool, **settings: Any) -> None:  # noqa: ANN401
    """Add a pool; what is not said stands at nat, maglev, reset, and nothing is checked."""
    made = client.add_pool({"name": name, **pool_options.body(**settings)}, force=force)
    click.echo(f"pool {name}: added, VIPs: {len(made['vips'])}, back-ends: {len(made['backends'])}")


@pool.command(
    "set",
    epilog=example(
        "lbctl pool set web --scheduler wrr",
        "lbctl pool set web --check tcp,timeout=0.5 --balance slow_start=30 --on-down reset",
        "lbctl pool set web --rule clients=198.51.100.0/24,pool=staff --backup sorry",
        "lbctl pool set web --check none",
    ),
)
@click.argument("name", type=POOL)
@click.option(
    "--vip", "vips", type=VIP, multiple=True, help="Instead of all it has; may be repeated."
)
@pool_options.settings
@force_option
@click.pass_obj
def set_(client: Client, /, name: str, *, force: bool, **settings: Any) -> None:  # noqa: ANN401
    """
    Change a pool; what is not said stays.

    --vip, --backend and --rule replace all that the pool has: to add or remove one VIP or back-end,
    use `lbctl vip` and `lbctl backend`.  --check and --passive replace what was said before;
    --balance changes only what it names.
    """
    fields = pool_options.body(**settings)
    if not fields:
        raise click.UsageError("Say what to change", click.get_current_context())
    if "balance" in fields:
        fields["balance"] = {**client.pool(name)["balance"], **fields["balance"]}
    client.set_pool(name, fields, force=force)
    click.echo(f"pool {name}: changed")


@pool.command(epilog=example("lbctl pool remove web"))
@click.argument("name", type=POOL)
@click.pass_obj
def remove(client: Client, name: str) -> None:
    """Remove a pool; connections that are open may finish."""
    client.remove_pool(name)
    click.echo(f"pool {name}: removed")


@pool.command("list", epilog=example("lbctl pool list", "lbctl pool list -o json"))
@output_option
@click.pass_obj
def list_(client: Client, output: str) -> None:
    """
    Show all pools.

    ACTIVE is how many of their back-ends get new connections, SERVED-BY, where it is not the pool
    itself, who gets them in its place.
    """
    render.show(client.pools(), output, pool_tables.pools)


@pool.command(epilog=example("lbctl pool show web"))
@click.argument("name", type=POOL)
@output_option
@click.pass_obj
def show(client: Client, name: str, output: str) -> None:
    """
    Show a pool with its back-ends.

    Of the new connections the scheduler wants a back-end to have the share WANTED; GIVEN is what it
    has of the slots, MEASURED what it got lately.  LOAD is what its agent said, AGE how many
    seconds ago.  Settings that are as usual, and columns with nothing in them, are left out.
    """
    render.show(client.pool(name), output, pool_tables.pool)
