"""The pool commands: services with their VIPs, their back-ends and how packets get there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lbctl.cli import render, tables
from lbctl.cli.options import example, force_option, output_option
from lbctl.cli.parameters import NEW_POOL, POOL, VIP, WEIGHTED_SERVER, Member

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbctl.cli.client import Client
    from lbctl.model import Backend, Vip


@click.group(epilog=example("lbctl pool list"))
def pool() -> None:
    """Pools: VIPs and the back-ends behind them."""


def _settings(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that `pool add` and `pool set` share."""
    for option in (
        click.option(
            "--table-size",
            type=click.IntRange(min=1),
            metavar="N",
            help="Slots of the Maglev table, a prime; 65537 unless set.",
        ),
        click.option(
            "--on-unknown",
            type=Member("OnUnknown"),
            help="A packet of no connection is answered by a reset, dropped, or given to a "
            "back-end by hash.",
        ),
        click.option("--scheduler", type=Member("Scheduler"), help="Who gets a new connection."),
        click.option(
            "--forward",
            type=Member("Forward"),
            help="How packets get to a back-end: nat rewrites addresses, dsr the MAC only.",
        ),
        click.option(
            "--backend", "backends", type=WEIGHTED_SERVER, multiple=True, help="May be repeated."
        ),
    ):
        command = option(command)
    return command


@pool.command(
    epilog=example(
        "lbctl pool add web --vip 203.0.113.10:80/tcp --backend 10.0.1.11:8080 "
        "--backend 10.0.1.12:8080,weight=2",
        "lbctl pool add dns --vip '[2001:db8::53]:53/udp' --backend '[2001:db8:1::11]:53'",
    )
)
@click.argument("name", type=NEW_POOL)
@click.option("--vip", "vips", type=VIP, multiple=True, required=True, help="May be repeated.")
@_settings
@force_option
@click.pass_obj
def add(client: Client, /, name: str, *, force: bool, **settings: Any) -> None:  # noqa: ANN401
    """Add a pool; what is not said stands at nat, maglev, reset."""
    made = client.add_pool({"name": name, **_body(**settings)}, force=force)
    click.echo(f"pool {name}: added, VIPs: {len(made['vips'])}, back-ends: {len(made['backends'])}")


@pool.command("set", epilog=example("lbctl pool set web --scheduler wrr"))
@click.argument("name", type=POOL)
@click.option(
    "--vip", "vips", type=VIP, multiple=True, help="Instead of all it has; may be repeated."
)
@_settings
@force_option
@click.pass_obj
def set_(client: Client, /, name: str, *, force: bool, **settings: Any) -> None:  # noqa: ANN401
    """
    Change a pool; what is not said stays.

    --vip and --backend replace all that the pool has: to add or remove one, use `lbctl vip` and
    `lbctl backend`.
    """
    fields = _body(**settings)
    if not fields:
        raise click.UsageError("Say what to change", click.get_current_context())
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
    """Show all pools; ACTIVE is how many of their back-ends get new connections."""
    render.show(client.pools(), output, tables.pools)


@pool.command(epilog=example("lbctl pool show web"))
@click.argument("name", type=POOL)
@output_option
@click.pass_obj
def show(client: Client, name: str, output: str) -> None:
    """Show a pool with its back-ends; SHARE is what each gets of the new connections."""
    render.show(client.pool(name), output, tables.pool)


def _body(vips: tuple[Vip, ...], backends: tuple[Backend, ...], **rest: object) -> dict[str, Any]:
    """What was said, in the form of the API."""
    body = {key: value for key, value in rest.items() if value is not None}
    if vips:
        body["vips"] = [str(vip) for vip in vips]
    if backends:
        body["backends"] = [b.model_dump(mode="json", exclude_unset=True) for b in backends]
    return body
