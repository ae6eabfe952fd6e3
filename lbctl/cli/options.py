"""The options: what several commands take, declared once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from lbctl.cli.parameters import CLIENT, POOL, SERVER, Number

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = TypeVar("Command", bound=Callable[..., Any])


def example(*lines: str) -> str:
    """Make the end of a command's help: each line is something to type."""
    return "\n".join(["\b", "Example:", *(f"  $ {line}" for line in lines)])


def output_option(command: Command) -> Command:
    """Add -o, the form of what is printed."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json", "yaml"]),
        default="table",
        show_default=True,
        help="Form of what is printed.",
    )(command)


def force_option(command: Command) -> Command:
    """Add --force, for servers that are yet to come."""
    return click.option(
        "--force", is_flag=True, help="Do not ask for proof that new back-ends can be reached."
    )(command)


def watch_options(command: Command) -> Command:
    """Add --watch and how often."""
    every = click.option(
        "--interval",
        type=Number(min=0.1),
        default=1.0,
        show_default=True,
        metavar="SECONDS",
        help="Pause between two looks of --watch.",
    )
    watch = click.option("--watch", is_flag=True, help="Look again and again, until Ctrl-C.")
    return watch(every(command))


def limit_option(most: int, text: str) -> Callable[[Command], Command]:
    """Add --limit, which is *most* unless told otherwise; *text* says of what."""
    return click.option(
        "--limit",
        type=click.IntRange(min=1),
        default=most,
        show_default=True,
        metavar="N",
        help=text,
    )


def filter_options(command: Command) -> Command:
    """Add the filters of connections."""
    for option in (
        click.option("--client", type=CLIENT, help="Only those of this client."),
        click.option("--backend", type=SERVER, help="Only those to this back-end."),
        click.option("--pool", type=POOL, help="Only those of this pool."),
    ):
        command = option(command)
    return command
