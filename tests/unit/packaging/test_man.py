"""The manual and the completion: one page for each command, and every shell is served."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest

from tests.unit.packaging import files

COMMANDS = [
    pytest.param(path, command, files.SECTION[name], id=path)
    for name in files.PROGRAMS
    for path, command in files.commands(name)
]


def made(script, folder):
    """Run a generator for all programs."""
    command = [sys.executable, files.PACKAGING / script, folder, *files.PROGRAMS]
    subprocess.run(command, check=True)
    return folder


@pytest.fixture(scope="module")
def manual(tmp_path_factory):
    """All pages."""
    return made("man.py", tmp_path_factory.mktemp("man"))


@pytest.fixture(scope="module")
def share(tmp_path_factory):
    """All completions."""
    return made("completion.py", tmp_path_factory.mktemp("share"))


@pytest.mark.parametrize(("path", "command", "section"), COMMANDS)
def test_every_command_has_a_page(manual, path, command, section):
    """
    With its name as man and apropos look for it, all of its options, and an example.
    """
    text = (manual / f"man{section}" / f"{path}.{section}").read_text()
    plain = text.replace("\\-", "-")

    assert f".SH NAME\n{path} - " in plain
    names = [param.opts[0] for param in command.params if param.param_type_name == "option"]
    assert [] == [name for name in names if f"\\fB{name}" not in plain and f", {name}" not in plain]
    assert not command.epilog or ".SH EXAMPLES\n" in text


def test_there_are_no_other_pages(manual):
    """
    A command that is gone takes its page along.
    """
    expected = {
        f"{path}.{files.SECTION[n]}" for n in files.PROGRAMS for path, _ in files.commands(n)
    }

    assert expected == {path.name for path in manual.glob("man*/*")}


def test_a_page_refers_to_pages_that_exist(manual):
    """
    SEE ALSO.
    """
    names = {path.name for path in manual.glob("man*/*")}
    for path in manual.glob("man*/*"):
        also = path.read_text().partition(".SH SEE ALSO\n")[2].replace("\\-", "-")
        found = {f"{name}.{number}" for name, number in re.findall(r"\\fB([\w-]+)\((\d)\)", also)}
        assert found
        assert found <= names, path.name


@pytest.mark.skipif(not shutil.which("groff"), reason="needs groff")
def test_roff_has_nothing_to_say(manual):
    """
    No text is taken for a request.
    """
    pages = sorted(manual.glob("man*/*"))
    command = ["groff", "-man", "-ww", "-z", "-Tutf8", *pages]
    result = subprocess.run(command, capture_output=True, text=True, check=True)

    assert "" == result.stderr


@pytest.mark.parametrize("name", files.PROGRAMS)
def test_every_shell_completes_every_program(share, name):
    """
    Each file is where its shell looks, and asks the program itself.
    """
    places = (
        f"bash-completion/completions/{name}",
        f"zsh/vendor-completions/_{name}",
        f"fish/vendor_completions.d/{name}.fish",
    )
    variable = f"_{name}_COMPLETE".upper().replace("-", "_")

    assert [True] * 3 == [f"{variable}=" in (share / place).read_text() for place in places]


def test_completion_of_a_program_answers(share):
    """
    What the file for bash asks, bash gets.
    """
    assert (share / "bash-completion/completions/lbctl").exists()
    result = subprocess.run(
        [sys.executable, "-c", "from lbctl.cli import main; main()"],
        env={"_LBCTL_COMPLETE": "bash_complete", "COMP_WORDS": "lbctl po", "COMP_CWORD": "1"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert "plain,pool\n" == result.stdout
