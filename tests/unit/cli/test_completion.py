"""
Completion: the scripts for three shells, and the words that they are offered.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete

from lbctl.cli import cli, parameters


def offered(words, incomplete, **options):
    """List what a shell would offer after *words*."""
    completion = ShellComplete(cli, options, "lbctl", "_LBCTL_COMPLETE")
    return [item.value for item in completion.get_completions(words, incomplete)]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts(run, shell):
    """
    Each calls lbctl back.
    """
    script = run("completion", shell).stdout

    assert "_LBCTL_COMPLETE" in script
    assert f"{shell}_complete" in script


@pytest.mark.parametrize(
    ("words", "incomplete", "expected"),
    [
        ([], "ro", ["route", "rollback"]),
        ([], "--so", ["--socket"]),
        (["pool"], "", ["add", "list", "remove", "set", "show"]),
        (["pool", "add", "web", "--forward"], "", ["nat", "dsr"]),
        (["status", "-o"], "j", ["json"]),
        (["pool", "set", "web", "--scheduler"], "least", ["least-load", "least-response-time"]),
        (["pool", "set", "web", "--check"], "h", ["http", "https"]),
        (["pool", "set", "web", "--on-down"], "", ["keep", "reset"]),
        (["agent", "add", "--kind"], "h", ["haproxy"]),
        (["attach", "--mode"], "g", ["generic"]),
        (["capture", "--verdict"], "TO_C", ["TO_CLIENT"]),
        (["capture", "--verdict"], "drop_no_s", ["drop_no_service"]),
        (["nonsense"], "", list(cli.entries)),
    ],
)
def test_words(words, incomplete, expected):
    """
    Commands, options and choices.
    """
    assert expected == offered(words, incomplete)


def test_pools(daemon):
    """
    The daemon knows them.
    """
    daemon.answers["GET", "/v1/pools"] = (200, [{"name": "web"}, {"name": "dns"}])
    words = ["--socket", daemon.socket, "backend", "drain"]

    assert ["web"] == offered(words, "w")
    assert ["web"] == offered([*words[:2], "pool", "set", "dns", "--backup"], "w")
    assert ["dns"] == offered([*words[:2], "health", "list"], "d")
    assert ["web", "dns"] == offered([*words[:2], "connection", "list", "--pool"], "")


def test_pools_without_a_daemon(tmp_path):
    """
    Silence: the line that is being typed is no place for errors.
    """
    assert [] == offered(["--socket", str(tmp_path / "none"), "pool", "show"], "")


def test_nics(tmp_path, monkeypatch):
    """
    Those of this network namespace, one after another.
    """
    for name in ("eth0", "eth1", "lo"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(parameters, "NICS", str(tmp_path))

    assert ["eth0", "eth1"] == offered(["attach", "eth0"], "e")
    monkeypatch.setattr(parameters, "NICS", "/nonexistent")
    assert [] == offered(["attach"], "e")


def test_as_a_shell_asks():
    """
    The whole way, as the script for bash does it.
    """
    asked = {"_LBCTL_COMPLETE": "bash_complete", "COMP_WORDS": "lbctl back", "COMP_CWORD": "1"}
    code = "from lbctl.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], env=asked, capture_output=True, text=True, check=True
    )

    assert "plain,backend\n" == done.stdout
