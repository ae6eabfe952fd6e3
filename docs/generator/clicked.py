"""The commands as click knows them: usage, arguments, options and examples, as Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from generator import text

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERYWHERE = {"--help", "--version"}


def context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    """Make the context in which click would show the help of *command*."""
    return click.Context(command, info_name=name, parent=parent)


def commands(found: click.Context) -> Iterator[click.Context]:
    """The commands of a group, in the order of its help."""
    group = found.command
    if isinstance(group, click.Group):
        for name in group.list_commands(found):
            command = group.get_command(found, name)
            if command and not command.hidden:
                yield context(command, name, found)


def usage(found: click.Context) -> str:
    """What to type."""
    words = found.command.collect_usage_pieces(found)
    return text.fenced("text", " ".join([found.command_path, *words]))


def help_text(command: click.Command) -> str:
    """What a command is for."""
    return text.paragraphs(command.help or "")


def examples(command: click.Command) -> str:
    """The lines to type at the end of a command's help."""
    lines = re.findall(r"^\s*(\$ .+)$", command.epilog or "", re.MULTILINE)
    if not lines:
        raise SystemExit(f"{command.name}: has no example")
    return text.fenced("console", "\n".join(lines))


def options(found: click.Context) -> list[click.Option]:
    """The options that are a command's own."""
    params = found.command.get_params(found)
    return [
        param
        for param in params
        if isinstance(param, click.Option)
        and not param.hidden
        and EVERYWHERE.isdisjoint(param.opts)
    ]


def option_table(found: click.Context, chosen: list[click.Option]) -> str:
    """One row for each option: how it is spelt, what it takes, what it is for."""
    return text.table(
        ("Option", "Value", "Meaning"),
        ((_names(option), _value(option, found), _meaning(option, found)) for option in chosen),
    )


def _names(option: click.Option) -> str:
    return text.choices([*option.opts, *option.secondary_opts])


def _value(option: click.Option, found: click.Context) -> str:
    """What follows an option: a name for the value, or all words that may stand there."""
    if option.is_flag or option.count:
        return ""
    metavar = option.make_metavar(found)
    if re.fullmatch(r"\[[^\[\]]+(\|[^\[\]]+)+\]", metavar):
        return text.choices(metavar[1:-1].split("|"))
    if "|" in metavar:
        return " or ".join(text.code(word) for word in metavar.split("|"))
    return text.code(re.sub(r" RANGE$", "", metavar))


def _meaning(option: click.Option, found: click.Context) -> str:
    """The help, and what click adds to it: default, range, whether it must be there."""
    record = option.get_help_record(found)
    words = record[1] if record else ""
    words = re.sub(r"([\d.]+)<=x<=([\d.]+)(?=\]$)", r"\1 to \2", words)
    return text.safe(re.sub(r"x>=([\d.]+)(?=\]$)", r"at least \1", words))


def section(found: click.Context, level: int) -> str:
    """All about one command and those below it."""
    own = options(found)
    parts = [
        f"{'#' * level} {found.command_path}",
        help_text(found.command),
    ]
    if isinstance(found.command, click.Group):
        parts += [section(each, level + 1) for each in commands(found)]
    else:
        parts += [usage(found), option_table(found, own), examples(found.command)]
    return text.join(*parts)
