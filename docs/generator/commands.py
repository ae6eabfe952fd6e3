"""The page of the commands: all of `lbctl`, in the order of its help, and what it exits with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generator import clicked, text
from lbctl.cli import cli
from lbctl.cli.root import INTERRUPTED, LazyGroup
from lbctl.errors import BY_EXIT_CODE

if TYPE_CHECKING:
    import click

INTRO = """\
`lbctl` asks the daemon `lbctld` over its socket, so most commands need one that runs; `validate`,
`simulate`, `testbed`, `demo` and `completion` do not. Words are the same in all of them: `POOL` is
a name, `ADDR:PORT` a back-end, `ADDR:PORT/PROTO` a VIP, and IPv6 addresses stand in brackets.

`-o json` and `-o yaml` print what the [API](api.md) answers; scripts should read that, not tables.
`--help` behind any of them says the same as this page."""

STATUS = """\
A message is one line on standard error that begins with `Error:`. When a command fails nothing has
been changed."""

CHECKS = """\
`lbctl health check` exits with 1 when the back-end is not well, `lbctl preflight` when it found an
error, and `lbctl backend drain --wait` when connections remain."""


def _exit_status() -> str:
    """What the exit status means, from the errors themselves."""
    rows = [("0", "It is done.")]
    for status, error in BY_EXIT_CODE.items():
        words = (error.__doc__ or "").splitlines()[0] if status > 1 else "It failed."
        rows.append((str(status), text.safe(words)))
    rows.append((str(INTERRUPTED), "Ctrl-C."))
    return text.table(("Status", "Meaning"), rows)


def _part(found: click.Context, title: str, names: set[str]) -> str:
    """One section of the help, with its commands."""
    chosen = [each for each in clicked.commands(found) if each.info_name in names]
    return text.join(f"## {title}", *(clicked.section(each, 3) for each in chosen))


def page() -> str:
    """The whole page."""
    found = clicked.context(cli, "lbctl", None)
    if not isinstance(cli, LazyGroup):
        raise SystemExit("lbctl: the root group has no sections")
    parts = [_part(found, title, set(names)) for title, names in cli.sections.items()]
    return text.join(
        "# lbctl",
        INTRO,
        "## Options of all commands",
        "They stand before the command:",
        text.fenced("console", "$ lbctl --name edge status"),
        clicked.option_table(found, clicked.options(found)),
        "## Exit status",
        _exit_status(),
        STATUS,
        CHECKS,
        *parts,
    )
