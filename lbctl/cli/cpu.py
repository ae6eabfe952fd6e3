"""The cpu commands: which CPUs do what; make it so, and undo it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lbctl.cli import render
from lbctl.cli.options import example, output_option
from lbctl.cli.tables import Column, Lines, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from lbctl.cli.client import Client
    from lbctl.cli.tables import Block, Row

CPUS = (
    Column("CPU", "cpu", right=True),
    Column("ROLE", "role"),
    Column("PROCESSOR", "processors"),
    Column("QUEUES", "queues", prose=True),
    Column("APPS", "apps"),
)
SETTINGS = (
    Column("SETTING", "which"),
    Column("NOW", lambda row: _short(row["now"])),
    Column("WANTED", lambda row: _short(row["wanted"])),
    Column("WHY", "why", prose=True),
)
SHOWN = 24  # characters of a setting; an RSS table has hundreds
ORIGINS = {
    "configuration": "as configured",
    "applied": "as applied by `--proposed`; not configured",
    "proposal": "a proposal; `lbctl cpu plan -o yaml` prints it for the configuration",
}


@click.group(epilog=example("lbctl cpu plan"))
def cpu() -> None:
    """CPUs: which of them do what, and nothing else."""


def _choice_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add which processors, and how far."""
    proposed = click.option(
        "--proposed", is_flag=True, help="Those that would suit the machine, not those configured."
    )
    only_own = click.option(
        "--only-own",
        is_flag=True,
        help="Leave alone what is not the switch's: other interrupts, programs, work queues.",
    )
    return proposed(only_own(command))


@cpu.command(epilog=example("lbctl cpu plan", "lbctl cpu plan --proposed -o yaml"))
@_choice_options
@output_option
@click.pass_obj
def plan(client: Client, *, proposed: bool, only_own: bool, output: str) -> None:
    """
    Show who has which CPU, and what `apply` would change.

    Without `processors:` in the configuration this is a proposal for this machine; as YAML it is
    what to put there.  Changes nothing.
    """
    found = client.plan_cpus(proposed=proposed, only_own=only_own)
    if output == "yaml" and found["source"] == "proposal":
        found = {"processors": [_brief(processor) for processor in found["processors"]]}
    render.show(found, output, _plan_blocks)


@cpu.command(epilog=example("lbctl cpu apply", "lbctl cpu apply --proposed --only-own"))
@_choice_options
@output_option
@click.pass_obj
def apply(client: Client, *, proposed: bool, only_own: bool, output: str) -> None:
    """
    Give CPUs their tasks, as the configuration or a proposal says.

    What was set before is remembered, for `restore`.  What the kernel or a driver cannot is told in
    a line and is no failure.
    """
    render.show(client.apply_cpus(proposed=proposed, only_own=only_own), output, _done_blocks)


@cpu.command(epilog=example("lbctl cpu restore"))
@output_option
@click.pass_obj
def restore(client: Client, output: str) -> None:
    """
    Undo `apply`: set everything to what it was before the first.

    What has vanished meanwhile needs nothing.
    """
    render.show(client.restore_cpus(), output, _done_blocks)


def _plan_blocks(data: Row) -> list[Block]:
    """CPUs, what would change, what cannot be."""
    settings: Sequence[Row] = data["settings"]
    by_state = {
        state: [row for row in settings if row["state"] == state]
        for state in ("set", "change", "cannot")
    }
    irqs = ",".join(map(str, data["irqs"])) or "none"
    head = [
        ORIGINS[data["source"]] if data["processors"] else "no processors",
        f"applied before: {'yes' if data['applied'] else 'no'}",
        f"settings that are as wanted: {len(by_state['set'])}",
        f"interrupts that `apply` may touch: {irqs}",
    ]
    notes = [f"cannot: {row['which']}: {row['why']}" for row in by_state["cannot"]]
    notes += [f"note: {line}" for line in data["remarks"]]
    return [
        Table(CPUS, data["cpus"], "no CPUs"),
        Lines(head),
        Table(SETTINGS, by_state["change"], "nothing would change"),
        *([Lines(notes)] if notes else []),
    ]


def _done_blocks(data: Row) -> list[Block]:
    lines = list(data["changed"]) or ["no changes"]
    for word in ("cannot", "gone"):
        lines += [f"{word}: {line}" for line in data[word]]
    return [Lines([*lines, *(f"note: {line}" for line in data["remarks"])])]


def _short(value: str | None) -> str | None:
    return f"{value[:SHOWN]}..." if value and len(value) > SHOWN else value


def _brief(processor: Row) -> Row:
    """What of a processor says something."""
    return {key: value for key, value in processor.items() if value != []}
