"""Every link leads somewhere, and every command is one that lbctl understands."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import click
import pytest

from lbctl.agent.cli import cli as lbctl_agent
from lbctl.cli import cli
from lbctl.control.daemon import main as lbctld
from lbctl.control.resources.command import main as resource_manager
from tests.docs import pages

PROGRAMS = {
    "lbctl": cli,
    "lbctld": lbctld,
    "lbctl-agent": lbctl_agent,
    "lbctl-resource-manager": resource_manager,
}
FILE = re.compile(r"(/etc/lbctl/)?[\w-]+\.(yaml|csv|pcap|toml|cfg|rules)")
PAGES = pages.pages()
COMMANDS = [command for page in PAGES for command in pages.commands(page)]
INLINE = sorted({command for page in PAGES for command in pages.inline(page)})
TARGETS = {
    line.split(":")[0]
    for line in (pages.ROOT / "Makefile").read_text().splitlines()
    if ":" in line and not line.startswith(("\t", "#", "."))
}


def understand(command, words, parent=None):
    """Let click read *words* as it would, down to the last subcommand, without running it."""
    name = command.name or "lbctl"
    with command.make_context(name, list(words), parent=parent, obj=object()) as context:
        if isinstance(command, click.Group):
            rest = [*context._protected_args, *context.args]
            _, sub, rest = command.resolve_command(context, rest)
            understand(sub, rest, context)


def find(found, words):
    """Find the command that the first of *words* name, as far as they are names of commands."""
    context = click.Context(found)
    for word in words:
        if not isinstance(found, click.Group):
            break
        assert word in found.list_commands(context), f"no such command: lbctl {' '.join(words)}"
        found = found.get_command(context, word)
    return found


def test_there_are_pages_and_commands():
    """
    Nothing found would be nothing wrong.
    """
    assert "README.md" in PAGES
    found = {command.words[0] for command in COMMANDS}
    assert {"make", "lbctl", "lbctld", "lbctl-agent"} <= found <= {"make", *PROGRAMS}
    assert INLINE


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    """
    To a file, and to a heading where one is named.
    """
    for link in pages.links(page):
        path, _, anchor = link.partition("#")
        target = (pages.ROOT / page).parent / path if path else pages.ROOT / page
        assert target.exists(), link
        if anchor:
            assert anchor in pages.anchors(str(target.resolve().relative_to(pages.ROOT))), link


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_commands_are_understood(command, tmp_path, monkeypatch):
    """
    Every word and every option, as the command line itself reads them, with the files they name.
    """
    program, *words = command.words
    monkeypatch.chdir(tmp_path)
    for number, word in enumerate(words):
        if FILE.fullmatch(word):
            words[number] = Path(word).name
            Path(words[number]).touch()
    if program == "make":
        assert set(words) <= TARGETS
    else:
        with suppress(click.exceptions.Exit):  # --help, --version
            understand(PROGRAMS[program], words)


@pytest.mark.parametrize("text", INLINE)
def test_commands_in_sentences_exist(text):
    """
    Their names at least; a sentence leaves out arguments.
    """
    program, *words = text.split()
    if program == "make":
        assert set(words) <= TARGETS
    else:
        find(PROGRAMS[program], [word for word in words if not word.startswith("-")])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sudo lbctl pool list -o json | jq .", [("lbctl", "pool", "list", "-o", "json")]),
        ("LBCTL_NAME=a .venv/bin/lbctl status", [("lbctl", "status")]),
        ("sudo lbctld --name a & # in the background", [("lbctld", "--name", "a")]),
        ("curl http://203.0.113.10/", []),
        ("it's output", []),
    ],
)
def test_commands_are_found_in_shell(line, expected):
    """
    Whatever stands around them.
    """
    assert expected == list(pages.split(line))
