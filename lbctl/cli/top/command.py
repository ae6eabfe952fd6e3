"""The top command: the switch at work, on a whole screen."""

from __future__ import annotations

import copy
import os
import sys
from typing import TYPE_CHECKING

import click

from lbctl.cli.options import example
from lbctl.cli.parameters import Number
from lbctl.errors import UsageError

if TYPE_CHECKING:
    from lbctl.cli.client import Client

PATIENCE = 5.0  # seconds for an answer: longer is a daemon that does not answer


@click.command(epilog=example("lbctl top", "lbctl top --interval 5"))
@click.option(
    "--interval",
    type=Number(min=0.1),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Pause between two looks.",
)
@click.pass_obj
def top(client: Client, interval: float) -> None:
    """
    Watch the switch at work, on a whole screen.

    NICs and pools with their rates; Enter goes into a pool, d shows what was discarded and why,
    a has network applications, ? the other keys.  Needs a terminal of 80 columns and 24 lines.
    """
    watch(client, interval)


def watch(client: Client, interval: float) -> None:
    """Take the terminal until the user has enough.  Raises UsageError where there is none."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("lbctl top needs a terminal, and this is none; use `lbctl stats --watch`")
    if os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
        raise UsageError(
            "lbctl top needs a terminal that can move its cursor (TERM says that this one "
            "cannot); use `lbctl stats --watch`"
        )
    from lbctl.cli.top.live import run  # noqa: PLC0415 - rich is slow to import

    hasty = copy.copy(client)
    hasty.patience = min(client.patience, PATIENCE)
    run(hasty, interval)
