"""The machines of vagrant/: scripts as shells take them, and a tour of commands that there are."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs import pages
from tests.docs.test_pages import PROGRAMS, understand

VAGRANT = Path(__file__).parents[3] / "vagrant"
PAGE = (VAGRANT / "README.md").read_text()
SMOKE = runpy.run_path(str(VAGRANT / "smoke"))
SCRIPTS = sorted(
    path
    for folder in (VAGRANT, VAGRANT / "box", VAGRANT / "provision")
    for path in folder.iterdir()
    if path.is_file() and re.match(r"#!.*\b(ba)?sh\n", path.read_text())
)
STEPS = [step for block in SMOKE["blocks"](PAGE) for step in block]
COMMANDS = [
    pytest.param(words, id=f"README.md:{step.line}")
    for step in STEPS
    for words in pages.split(step.command)
]


def shell(path):
    """The shell that a script names."""
    return path.read_text().splitlines()[0].split("/")[-1].split()[-1]


def test_there_are_scripts_and_steps():
    """
    Nothing found would be nothing wrong.
    """
    assert {"sandbox", "build", "image", "guest", "switch.sh"} <= {path.name for path in SCRIPTS}
    assert {"switch", "client1", "server1", "server3"} <= {step.machine for step in STEPS}
    assert COMMANDS


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_shell(script):
    """
    Executable, understood by the shell they name, and they end at the first failure.
    """
    text = script.read_text()

    assert script.stat().st_mode & 0o111
    assert "\nset -e" in text
    subprocess.run([shell(script), "-n", script], check=True)


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="needs shellcheck")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_sound(script):
    """
    As shellcheck sees it.
    """
    subprocess.run(["shellcheck", script], check=True)


@pytest.mark.skipif(not shutil.which("ruby"), reason="needs ruby")
def test_the_vagrantfile_is_ruby():
    """
    What is in it only Vagrant can try.
    """
    subprocess.run(["ruby", "-c", VAGRANT / "Vagrantfile"], check=True, capture_output=True)


def test_every_role_has_its_script():
    """
    The Vagrantfile names them by role, and gives NICs to each.
    """
    text = (VAGRANT / "Vagrantfile").read_text()
    roles = set(re.findall(r'machine\(config, "[^"]+", "(\w+)"', text))

    assert {"switch", "server", "client"} == roles
    assert all((VAGRANT / "provision" / f"{role}.sh").exists() for role in roles)


@pytest.mark.parametrize("words", COMMANDS)
def test_the_tour_is_understood(words):
    """
    Every word and every option of our commands, as the command line itself reads them.
    """
    program, *rest = words

    understand(PROGRAMS[program], rest)


def test_links_lead_somewhere():
    """
    From the page to files of the checkout.
    """
    for target in re.findall(r"\]\(([^()\s:]+)\)", PAGE):
        assert (VAGRANT / target).exists(), target
