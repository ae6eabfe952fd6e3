#!/usr/bin/env python3
"""
The manual: write a page for each command, from what the command says of itself.

    man.py TARGET PROGRAM...    # TARGET/man1/lbctl.1, TARGET/man1/lbctl-pool-add.1, ...

`lbctl` is in section 1, what runs as a service in section 8: `lbctl agent` and the program
`lbctl-agent` have a page each.
"""

from __future__ import annotations

import inspect
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from lbctl import __version__
from lbctl.cli.root import INTERRUPTED
from lbctl.errors import BY_EXIT_CODE, LbctlError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Program(NamedTuple):
    """Where a program begins, the section of its pages, and its files."""

    target: str  # module:attribute
    section: int
    files: tuple[tuple[str, str], ...] = ()


FAILED = "It failed; a line on standard error says what, which one, and what to do."
SOCKET = ("/run/lbctl/NAME.sock", "The API of the instance NAME, for root and the group lbctl.")
PROGRAMS = {
    "lbctl": Program("lbctl.cli:cli", 1, (SOCKET,)),
    "lbctld": Program(
        "lbctl.control.daemon:main",
        8,
        (
            ("/etc/default/lbctld", "Options for lbctld.service."),
            ("/etc/default/lbctld-NAME", "Options for lbctld@NAME.service."),
            SOCKET,
            ("/var/lib/lbctl/NAME", "Generations, events and health."),
            ("/sys/fs/bpf/lbctl/NAME", "Tables, programs, and the links that hold the NICs."),
        ),
    ),
    "lbctl-agent": Program(
        "lbctl.agent.cli:cli",
        8,
        (
            ("/etc/lbctl/agent.toml", "Options for lbctl-agent.service."),
            ("/etc/lbctl/agent.key", "The key that signs reports, for lbctl-agent.service."),
        ),
    ),
    "lbctl-resource-manager": Program(
        "lbctl.control.resources.command:main",
        8,
        (
            ("/etc/lbctl/resource-manager.env", "Options for lbctl-resource-manager.service."),
            ("/etc/lbctl/token", "The API's token, for lbctl-resource-manager.service."),
        ),
    ),
}


def contexts(program: str) -> Iterator[click.Context]:
    """Yield a context for a program and for each of its commands, groups before their own."""
    module, _, attribute = PROGRAMS[program].target.partition(":")
    waiting = [click.Context(getattr(import_module(module), attribute), info_name=program)]
    while waiting:
        found = waiting.pop(0)
        yield found
        waiting += [context for _, context in subcommands(found)]


def subcommands(found: click.Context) -> list[tuple[str, click.Context]]:
    """The commands of a group by name; of a command that is no group none."""
    group = found.command
    if not isinstance(group, click.Group):
        return []
    named = [(name, group.get_command(found, name)) for name in group.list_commands(found)]
    return [
        (name, click.Context(command, info_name=name, parent=found))
        for name, command in named
        if command and not command.hidden
    ]


def page_name(found: click.Context) -> str:
    """The name of a page: lbctl-pool-add."""
    return found.command_path.replace(" ", "-")


def escape(text: str) -> str:
    """Write *text* so that roff takes none of it for a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE)


def first_sentence(command: click.Command) -> str:
    """What a command is for, in one line without a full stop."""
    paragraph = inspect.cleandoc(command.help or "").split("\n\n")[0]
    return " ".join(paragraph.split()).removesuffix(".")


def paragraphs(text: str) -> Iterator[str]:
    """Running text; what click is told not to wrap is not filled either."""
    for block in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        kept = block.startswith("\b")
        lines = escape(block.removeprefix("\b").strip("\n"))
        yield f".PP\n.nf\n{lines}\n.fi" if kept else f".PP\n{lines}"


def definitions(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Terms in bold, and what each is."""
    for term, meaning in rows:
        yield f".TP\n\\fB{escape(term)}\\fR\n{escape(meaning)}"


def options(found: click.Context) -> list[tuple[str, str]]:
    """Names and meaning of each option, as its help has them."""
    records = [param.get_help_record(found) for param in found.command.get_params(found)]
    return [record for record in records if record]


def environment(found: click.Context) -> list[tuple[str, str]]:
    """The variables that stand for options."""
    return [
        (str(param.envvar), f"Stands for {max(param.opts, key=len)}.")
        for param in found.command.get_params(found)
        if param.envvar
    ]


def examples(command: click.Command) -> Iterator[str]:
    """The lines of a command's epilog."""
    lines = re.findall(r"^\s*(\$ .+)$", command.epilog or "", re.MULTILINE)
    yield from (f".PP\n.nf\n{escape(line)}\n.fi" for line in lines)


def statuses() -> list[tuple[str, str]]:
    """What the exit status says."""
    named = {code: inspect.getdoc(error) or "" for code, error in BY_EXIT_CODE.items()}
    named |= {0: "It is done.", LbctlError.exit_code: FAILED, INTERRUPTED: "Ended by Ctrl-C."}
    return [(str(code), meaning) for code, meaning in sorted(named.items())]


def see_also(found: click.Context, section: int) -> str:
    """The pages around this one."""
    around = [context for _, context in subcommands(found)]
    parents = [found.parent] if found.parent else []
    near = [f"{page_name(context)}({section})" for context in [*parents, *around]]
    programs = [f"{name}({program.section})" for name, program in PROGRAMS.items()]
    own = f"{page_name(found)}({section})"
    return ", ".join(f"\\fB{escape(name)}\\fR" for name in [*near, *programs] if name != own)


def page(found: click.Context, program: Program) -> str:
    """Write the page of one command."""
    command = found.command
    name, section = page_name(found), program.section
    usage = " ".join(command.collect_usage_pieces(found))
    rows = [(word, first_sentence(sub.command) + ".") for word, sub in subcommands(found)]
    top = found.parent is None
    parts = {
        "NAME": [f"{escape(name)} \\- {escape(first_sentence(command))}"],
        "SYNOPSIS": [f"\\fB{escape(found.command_path)}\\fR {escape(usage)}"],
        "DESCRIPTION": [*paragraphs(command.help or "")],
        "COMMANDS": [*definitions(rows)],
        "OPTIONS": [*definitions(options(found))],
        "ENVIRONMENT": [*definitions(environment(found))],
        "FILES": [*definitions(program.files if top else ())],
        "EXIT STATUS": [*definitions(statuses() if top else ())],
        "EXAMPLES": [*examples(command)],
        "SEE ALSO": [see_also(found, section)],
    }
    title = f'.TH "{escape(name.upper())}" {section} "" "lbctl {__version__}"'
    sections = ["\n".join([f".SH {head}", *text]) for head, text in parts.items() if text]
    return "\n".join([title, ".nh", ".ad l", *sections, ""])


def main() -> None:
    """Write the pages of the programs that the command line names."""
    target = Path(sys.argv[1])
    for name in sys.argv[2:]:
        program = PROGRAMS[name]
        folder = target / f"man{program.section}"
        folder.mkdir(parents=True, exist_ok=True)
        for found in contexts(name):
            path = folder / f"{page_name(found)}.{program.section}"
            path.write_text(page(found, program), encoding="utf-8")


if __name__ == "__main__":
    main()
