"""The NIC commands: attach and detach switching processors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lbctl.cli.options import example
from lbctl.cli.parameters import NIC, Member

if TYPE_CHECKING:
    from lbctl.cli.client import Client


@click.command(epilog=example("lbctl attach eth1 eth2"))
@click.argument("ifaces", type=NIC, nargs=-1, required=True)
@click.option(
    "--mode",
    type=Member("Mode"),
    default="auto",
    show_default=True,
    help="native is quick; generic works on any NIC; auto takes native where it can.",
)
@click.pass_obj
def attach(client: Client, ifaces: tuple[str, ...], mode: str) -> None:
    """
    Give NICs a switching processor.

    All of them or, when one fails, none.  What is not for a VIP stays the kernel's.
    """
    for nic in client.attach(ifaces, mode):
        click.echo(f"{nic['name']}: attached, {nic['mode']} mode, program {nic['program_tag']}")


@click.command(epilog=example("lbctl detach eth2", "lbctl detach --all"))
@click.argument("ifaces", type=NIC, nargs=-1)
@click.option("--all", "every", is_flag=True, help="Detach every NIC.")
@click.pass_obj
def detach(client: Client, ifaces: tuple[str, ...], *, every: bool) -> None:
    """
    Take the switching processor from NICs.

    All of them or, when one fails, none.  The kernel gets every packet again.
    """
    if every == bool(ifaces):
        raise click.UsageError("Name the NICs, or say --all", click.get_current_context())
    done = client.detach(None if every else ifaces)
    for name in done:
        click.echo(f"{name}: detached")
    if not done:
        click.echo("no NIC is attached", err=True)
