"""The configuration commands: a file and the switch, compared, checked and made equal."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

import click

from lbctl.cli import render, tables
from lbctl.cli.options import example, force_option, output_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbctl.cli.client import Client


def _file_option(*, required: bool) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(
        "-f",
        "--file",
        type=click.File("rb"),
        required=required,
        help="YAML file; - is standard input.",
    )


@click.command(epilog=example("lbctl apply -f lb.yaml", "lbctl export | lbctl apply -f -"))
@_file_option(required=True)
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@force_option
@output_option
@click.pass_obj
def apply(client: Client, file: IO[bytes], output: str, *, dry_run: bool, force: bool) -> None:
    """
    Make the switch do what a file says.

    The file is the whole configuration: what it does not name goes.  Everything in it is done, or,
    when something is wrong, nothing.
    """
    from lbctl.cli.document import load  # noqa: PLC0415 - slow to import

    document = load(file)
    with document.lines_in_errors():
        done = client.apply(document.configuration, dry_run=dry_run, force=force)
    render.show(done, output, tables.changes if dry_run else tables.applied)


@click.command(epilog=example("lbctl diff -f lb.yaml"))
@_file_option(required=True)
@output_option
@click.pass_obj
def diff(client: Client, file: IO[bytes], output: str) -> None:
    """
    Show what `apply` would change.

    + comes, - goes, ~ changes.
    """
    from lbctl.cli.document import load  # noqa: PLC0415 - slow to import

    document = load(file)
    with document.lines_in_errors():
        found = client.diff(document.configuration)
    render.show(found, output, tables.changes)


@click.command(epilog=example("lbctl validate -f lb.yaml", "lbctl validate --schema"))
@_file_option(required=False)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of such a file.")
def validate(file: IO[bytes] | None, *, schema: bool) -> None:
    """
    Check a file, without a daemon.

    Whether the NICs and routes that it needs are there, `apply` finds out.
    """
    from lbctl.cli import document  # noqa: PLC0415 - slow to import

    if schema == bool(file):
        raise click.UsageError("Give a file with -f, or say --schema", click.get_current_context())
    if not file:
        render.show(document.schema(), "json", tables.changes)
        return
    checked = document.load(file)
    pools, nics = (len(checked.configuration[key]) for key in ("pools", "nics"))
    click.echo(f"{checked.name}: valid, pools: {pools}, NICs: {nics}")


@click.command(epilog=example("lbctl export > lb.yaml"))
@click.option(
    "-o",
    "--output",
    type=click.Choice(["yaml", "json"]),
    default="yaml",
    show_default=True,
    help="Form of what is printed; `apply` reads both.",
)
@click.pass_obj
def export(client: Client, output: str) -> None:
    """
    Print the configuration for `apply`.

    `lbctl export | lbctl apply -f -` changes nothing.  Checks, rules, agents and the like are there
    only where they are not as usual.
    """
    from lbctl.cli.defaults import compact  # noqa: PLC0415 - slow to import

    render.show(compact(client.configuration()), output, tables.changes)
