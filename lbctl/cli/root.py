"""
The root group: import commands when they are asked for, and end every failure in one line.

Exit status as in `lbctl.errors`; 130 after Ctrl-C.  Nothing here knows what a command does.
"""

from __future__ import annotations

import sys
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from click.shell_completion import CompletionItem

from lbctl.errors import LbctlError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

INTERRUPTED = 130  # 128 + SIGINT, as shells have it


class Entry(NamedTuple):
    """Where a command is, and what the list of commands says of it."""

    target: str  # module:attribute
    help: str


class LazyGroup(click.Group):
    """A group that lists its commands without importing them."""

    def __init__(
        self,
        *,
        name: str | None = None,
        sections: Mapping[str, Mapping[str, Entry]],
        **attributes: Any,  # noqa: ANN401 - click's own
    ) -> None:
        super().__init__(name, **attributes)
        self.sections = sections
        self.entries = {name: entry for part in sections.values() for name, entry in part.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the sections."""
        del ctx
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command *cmd_name*."""
        if cmd_name in self.entries and cmd_name not in self.commands:
            module, _, attribute = self.entries[cmd_name].target.partition(":")
            self.add_command(getattr(import_module(module), attribute), cmd_name)
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest command for a misspelt one; click would know the imported ones only."""
        if args[0] not in self.entries and not ctx.resilient_parsing:
            near = get_close_matches(args[0], self.entries, n=1)
            hint = f", did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"No such command {args[0]!r}{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections."""
        del ctx
        for title, part in self.sections.items():
            with formatter.section(title):
                formatter.write_dl([(name, entry.help) for name, entry in part.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands from the list, options as click does."""
        options = click.Command.shell_complete(self, ctx, incomplete)
        return options + [
            CompletionItem(name, help=entry.help)
            for name, entry in self.entries.items()
            if name.startswith(incomplete)
        ]


class Root(LazyGroup):
    """The group of all commands."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002 - click's signature
        **extra: Any,  # noqa: ANN401 - click's signature
    ) -> Any:  # noqa: ANN401 - click's signature
        """Run a command line; in standalone mode end the process with its exit status."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        try:
            status = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        except click.exceptions.NoArgsIsHelpError as err:
            err.show()
            status = err.exit_code
        except click.ClickException as err:
            status = _fail(_message(err), err.exit_code)
        except LbctlError as err:
            status = _fail(str(err), err.exit_code)
        except click.Abort:
            status = INTERRUPTED
        return sys.exit(status)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        """Run the command; what nobody foresaw becomes one line too, unless --debug is there."""
        try:
            return super().invoke(ctx)
        except (LbctlError, click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except BrokenPipeError:  # the reader has seen enough; click ends quietly
            raise
        except Exception as err:
            if ctx.params["debug"]:
                raise
            raise LbctlError(
                f"{type(err).__name__}: {err}: this is a bug in lbctl, please report it; "
                f"`lbctl --debug ...` shows where"
            ) from err


def _fail(message: str, status: int) -> int:
    """Print *message* in one line; give *status* back."""
    click.echo(f"Error: {' '.join(message.split())}", err=True)
    return status


def _message(err: click.ClickException) -> str:
    """What click found wrong, and where to read how it is right."""
    text = err.format_message().rstrip(".")
    if isinstance(err, click.UsageError) and err.ctx:
        return f"{text}; see `{err.ctx.command_path} --help`"
    return text
