"""The reference is what the sources say now, and it says all of it."""

from __future__ import annotations

import re
import subprocess
import sys

import click
import pytest
import yaml

from lbctl.cli import cli
from lbctl.control.api import create_app
from lbctl.model import Configuration
from lbctl.shared.tables import Capacity, specifications
from tests.docs import pages

GENERATOR = pages.ROOT / "docs" / "generate_reference.py"
REFERENCE = "docs/reference"


def headings(page):
    """The headings of a page of the reference, as they stand there."""
    return re.findall(r"^#+ (.+)$", pages.text(f"{REFERENCE}/{page}"), re.MULTILINE)


def leaves(command, words):
    """All commands that do something, by what is typed."""
    if not isinstance(command, click.Group):
        return [" ".join(words)]
    context = click.Context(command)
    found = ((name, command.get_command(context, name)) for name in command.list_commands(context))
    return [line for name, sub in found if not sub.hidden for line in leaves(sub, [*words, name])]


def test_the_reference_is_current():
    """
    Writing it again would change nothing; `make reference` writes it.
    """
    done = subprocess.run(
        [sys.executable, GENERATOR, "--check"], capture_output=True, text=True, check=False
    )

    assert (0, "") == (done.returncode, done.stderr)


def test_every_command_has_its_heading():
    """
    Down to the last verb.
    """
    commands = leaves(cli, ["lbctl"])

    assert len(commands) > 30
    assert set(commands) <= set(headings("commands.md"))


def test_every_call_has_its_heading():
    """
    By method and path, as the OpenAPI document has them.
    """
    paths = create_app(None).openapi()["paths"]
    calls = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}

    assert calls <= set(headings("api.md"))


def test_every_table_has_its_heading():
    """
    By the name of its pin.
    """
    assert set(specifications(Capacity())) <= set(headings("tables.md"))


def test_the_example_is_a_configuration():
    """
    As it stands on the page.
    """
    text = pages.text(f"{REFERENCE}/configuration.md")
    (example,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)

    assert Configuration.model_validate(yaml.safe_load(example)).pools


@pytest.mark.parametrize("page", [p for p in pages.pages() if p.startswith(f"{REFERENCE}/")])
def test_a_generated_page_says_so(page):
    """
    Whoever opens it to change something learns where to do that.
    """
    assert re.match(r"<!-- Generated .*`make (reference|abi)`", pages.text(page))
