"""The files of packaging/, read for the tests beside this one."""

from __future__ import annotations

import importlib
from collections import defaultdict
from pathlib import Path

import click

ROOT = Path(__file__).parents[3]
PACKAGING = ROOT / "packaging"
PACKAGES = ("lbctl", "lbctl-agent")
PROGRAMS = {
    "lbctl": "lbctl.cli:cli",
    "lbctld": "lbctl.control.daemon:main",
    "lbctl-agent": "lbctl.agent.cli:cli",
    "lbctl-resource-manager": "lbctl.control.resources.command:main",
}
SECTION = {"lbctl": 1, "lbctld": 8, "lbctl-agent": 8, "lbctl-resource-manager": 8}


def program(name: str) -> click.Command:
    """The command that a program is."""
    module, _, attribute = PROGRAMS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def commands(name: str) -> list[tuple[str, click.Command]]:
    """A program and all of its commands, each with its words joined by dashes."""
    found, waiting = [], [(name, program(name))]
    while waiting:
        path, command = waiting.pop()
        found.append((path, command))
        if isinstance(command, click.Group):
            context = click.Context(command)
            words = command.list_commands(context)
            waiting += [(f"{path}-{word}", command.get_command(context, word)) for word in words]
    return found


def unit(name: str) -> dict[str, dict[str, list[str]]]:
    """A unit of systemd: section, key, values.  Raises ValueError for what is no line of one."""
    sections: dict[str, dict[str, list[str]]] = {}
    for line in (PACKAGING / name).read_text().splitlines():
        if line.startswith("[") and line.endswith("]"):
            section = sections[line[1:-1]] = defaultdict(list)
        elif line and not line.startswith("#"):
            key, equals, value = line.partition("=")
            if not equals or not key.isalpha():
                raise ValueError(line)
            section[key].append(value)
    return sections


def control(package: str) -> dict[str, str]:
    """The fields of a package."""
    fields: dict[str, str] = {}
    name = ""
    for line in (PACKAGING / "deb" / package / "control").read_text().splitlines():
        if line.startswith(" "):
            fields[name] += "\n" + line[1:]
        else:
            name, _, value = line.partition(": ")
            fields[name] = value
    return fields
