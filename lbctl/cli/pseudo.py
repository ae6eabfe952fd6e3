"""The pseudo commands: what programs on the switch use like a NIC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lbctl.cli import program_tables, render
from lbctl.cli.options import example, output_option
from lbctl.cli.parameters import INTERFACE, MTU_OR_AUTO, NEW, PSEUDO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lbctl.cli.client import Client

    Row = dict[str, Any]

AUTO = "auto"
mtu_option = click.option(
    "--mtu",
    type=MTU_OR_AUTO,
    help="Bytes of the largest IP packet; auto, the smallest of the attached NICs, unless set.",
)


@click.group(epilog=example("lbctl pseudo list"))
def pseudo() -> None:
    """Pseudo interfaces: what programs here use like a NIC."""


@pseudo.command(
    epilog=example(
        "lbctl pseudo add lb0 --address 203.0.113.1/32",
        "lbctl pseudo add lb0 --address 203.0.113.1 --address 2001:db8::1 --mtu 1400",
    )
)
@click.argument("name", type=NEW)
@click.option(
    "--address", "addresses", type=INTERFACE, multiple=True, required=True, help="May be repeated."
)
@mtu_option
@click.pass_obj
def add(client: Client, name: str, addresses: tuple[str, ...], mtu: int | str | None) -> None:
    """
    Make a pseudo interface.

    Programs on the switch have its addresses: others reach them there by any attached NIC, and by
    it they reach others, VIPs too.  A port that a pool or an application has at such an address
    stays theirs.
    """
    body: Row = {"name": name, "addresses": list(addresses)}
    made = client.add_pseudo(body if mtu in (None, AUTO) else {**body, "mtu": mtu})
    click.echo(f"pseudo {name}: added, addresses: {len(made['addresses'])}; try {made['next']}")


@pseudo.command(
    "set",
    epilog=example(
        "lbctl pseudo set lb0 --add-address 203.0.113.2/32",
        "lbctl pseudo set lb0 --mtu auto --remove-address 203.0.113.2",
    ),
)
@click.argument("name", type=PSEUDO)
@click.option(
    "--address",
    "addresses",
    type=INTERFACE,
    multiple=True,
    help="Instead of all it has; may be repeated.",
)
@click.option(
    "--add-address",
    "add_addresses",
    type=INTERFACE,
    multiple=True,
    help="Beside those it has; may be repeated.",
)
@click.option(
    "--remove-address",
    "remove_addresses",
    type=INTERFACE,
    multiple=True,
    help="Of those it has; may be repeated.",
)
@mtu_option
@click.pass_obj
def set_(
    client: Client,
    /,
    name: str,
    mtu: int | str | None,
    **addresses: Sequence[str],
) -> None:
    """Change a pseudo interface; what is not said stays."""
    fields: Row = {key: list(given) for key, given in addresses.items() if given}
    if mtu is not None:
        fields["mtu"] = None if mtu == AUTO else mtu
    if not fields:
        raise click.UsageError("Say what to change", click.get_current_context())
    client.set_pseudo(name, fields)
    click.echo(f"pseudo {name}: changed")


@pseudo.command(epilog=example("lbctl pseudo remove lb0"))
@click.argument("name", type=PSEUDO)
@click.pass_obj
def remove(client: Client, name: str) -> None:
    """Remove a pseudo interface; programs lose its addresses at once."""
    client.remove_pseudo(name)
    click.echo(f"pseudo {name}: removed")


@pseudo.command("list", epilog=example("lbctl pseudo list", "lbctl pseudo list -o json"))
@output_option
@click.pass_obj
def list_(client: Client, output: str) -> None:
    """
    Show all pseudo interfaces.

    PACKETS-IN came for their addresses; where there are several, `lbctl stats` has the sum.
    PACKETS-OUT are from programs and left by the routing table; to VIPs they send more.
    """
    render.show(client.pseudo_interfaces(), output, program_tables.pseudo_interfaces)


@pseudo.command(epilog=example("lbctl pseudo show", "lbctl pseudo show lb0"))
@click.argument("name", type=PSEUDO, required=False)
@output_option
@click.pass_obj
def show(client: Client, name: str | None, output: str) -> None:
    """
    Show a pseudo interface, or all of them.

    With its addresses, the end that the switch keeps, what became of the packets that programs
    sent, and what to type to use it.
    """
    if name is None:
        render.show(client.pseudo_interfaces(), output, program_tables.all_pseudo)
    else:
        render.show(client.pseudo_interface(name), output, program_tables.pseudo_interface)
