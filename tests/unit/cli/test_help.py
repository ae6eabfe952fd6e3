"""
The help of every command: what the list says, and an example that works.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml

from lbctl.cli import cli, render
from lbctl.cli.top import command as top_command
from tests.unit.cli.answers import CONFIGURATION, PCAP

ROOT = Path(__file__).parents[3]
OWN = [name for name, entry in cli.entries.items() if entry.target.startswith("lbctl.cli.")]
OTHERS = [name for name in cli.entries if name not in OWN]
SLOW = ("httpx", "rich", "yaml", "pydantic", "numpy", "fastapi", "lbctl.model")


def commands(path=(), command=cli, names=OWN):
    """Yield the words of every command, of groups too."""
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in names or command.list_commands(context):
            yield from commands((*path, name), command.get_command(context, name), ())


EVERY = list(commands())


def examples(words, run):
    """List what the help of a command says one can type."""
    lines = run(*words, "--help").stdout.splitlines()
    return [line.strip()[2:] for line in lines[lines.index("  Example:") + 1 :]]


def test_there_is_something_to_check():
    """
    An empty list would satisfy every rule.
    """
    assert {(), ("status",), ("pool",), ("pool", "add"), ("backend", "drain")} <= set(EVERY)
    assert len(EVERY) >= 38


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_help_ends_with_an_example(run, words):
    """
    The last line is something to type, of this very command.
    """
    last = run(*words, "--help").stdout.splitlines()[-1]

    assert last.startswith("    $ ")
    assert " ".join(["lbctl", *words]) in last


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_examples_work(run, fake, words, monkeypatch, tmp_path):
    """
    Each of them, typed as it stands, against a daemon that says yes.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(render.time, "sleep", lambda _: None)
    monkeypatch.setattr(top_command, "watch", lambda *_: None)  # there is no terminal here
    (tmp_path / "lb.yaml").write_text(yaml.safe_dump(CONFIGURATION))
    (tmp_path / "trouble.pcap").write_bytes(PCAP)
    (tmp_path / "ipvs.rules").write_text("-A -t 203.0.113.10:80 -s wlc\n")
    (tmp_path / "haproxy.cfg").write_text("listen web\n bind *:80\n server a 10.0.1.11:8080\n")
    fake.backends.return_value[0].update(state="draining", connections=0)
    for line in examples(words, run):
        for part in line.removeprefix('eval "$(').removesuffix(')"').split("|"):
            typed = shlex.split(part.partition(">")[0])
            watching = bool({"--watch", "--follow"} & set(typed))
            for method in (fake.stats, fake.drops, fake.events):
                method.side_effect = [method.return_value, *[KeyboardInterrupt] * watching]
            result = run(*typed[1:], stdin=json.dumps(CONFIGURATION))
            assert "lbctl" == typed[0]
            assert (130 if watching else 0) == result.exit_code, result.stderr


@pytest.mark.parametrize("name", OWN)
def test_the_list_says_what_the_command_says(name):
    """
    The list has its own copy, so that it need not import them all.
    """
    command = cli.get_command(click.Context(cli), name)

    assert cli.entries[name].help == command.get_short_help_str(limit=100)


@pytest.mark.parametrize("name", OTHERS)
def test_commands_of_others_have_examples_too(run, name):
    """
    Those of the test bed, once it is there.
    """
    module = cli.entries[name].target.partition(":")[0]
    if not Path(ROOT, *module.split(".")).with_suffix(".py").exists():
        pytest.skip(f"{module} is not there")
    command = cli.get_command(click.Context(cli), name)

    for words in commands((name,), command, ()):
        assert run(*words, "--help").stdout.splitlines()[-1].strip().startswith("$ lbctl ")


def test_no_words_show_the_help(run):
    """
    As click has it: help, and the exit status of wrong usage.
    """
    result = run()

    assert 2 == result.exit_code
    assert "Services:" in result.stderr


def test_version(run):
    """
    For reports of bugs.
    """
    assert "lbctl 0.1.0\n" == run("--version").stdout


@pytest.mark.parametrize(
    ("words", "unwanted"),
    [
        (["--help"], SLOW),
        (["pool", "--help"], SLOW),
        (["pool", "list"], ("rich", "pydantic", "numpy", "fastapi", "lbctl.model")),
    ],
    ids=["help", "group", "command"],
)
def test_quick_start(daemon, words, unwanted):
    """
    What takes longer to import than all the rest waits until it is needed.

    That httpx imports rich, where there is one, is beyond us.
    """
    daemon.answers["GET", "/v1/pools"] = (200, [])
    code = (
        "import sys; from lbctl.cli import cli\n"
        "try: cli(sys.argv[1:])\n"
        "except SystemExit: print(*sys.modules, file=sys.stderr)"
    )
    run = [sys.executable, "-c", code, "--socket", daemon.socket, *words]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())

    assert "lbctl.cli.root" in loaded
    assert set() == loaded & set(unwanted) - ({"rich"} if "httpx" in loaded else set())
