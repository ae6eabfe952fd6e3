"""The units of systemd: what they run exists, and they give and take what lbctl needs."""

from __future__ import annotations

import re
import shutil
import subprocess

import click
import pytest

from lbctl.control import host
from tests.unit.packaging import files

UNITS = sorted(path.name for path in files.PACKAGING.glob("*.service"))
EXPOSURE = 30  # of 100, as systemd-analyze sees lbctld.service; see docs/howto/install.md


def test_all_units_are_there():
    """
    The daemon, its named instances, the agent, the resource manager.
    """
    assert UNITS == [
        "lbctl-agent.service",
        "lbctl-resource-manager.service",
        "lbctld.service",
        "lbctld@.service",
    ]


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_has_its_sections(name):
    """
    And nothing that is no line of a unit.
    """
    assert ["Unit", "Service", "Install"] == list(files.unit(name))


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_runs_what_there_is(name):
    """
    A program of ours, installed where it looks, with options that the program has.
    """
    (line,) = files.unit(name)["Service"]["ExecStart"]
    path, *words = line.split()
    known = path.removeprefix("/usr/bin/")
    command = files.program(known)
    while isinstance(command, click.Group):
        command = command.get_command(click.Context(command), words.pop(0))
    options = {option for param in command.params for option in param.opts}

    assert {word.split("=")[0] for word in words if word.startswith("--")} <= options


@pytest.mark.parametrize("name", UNITS)
def test_systemd_hears_of_the_start(name):
    """
    A unit that is active answers; one that fails begins anew.
    """
    service = files.unit(name)["Service"]

    assert (["notify"], ["on-failure"]) == (service["Type"], service["Restart"])


def test_instances_are_as_the_default_one():
    """
    But for the name, and the file of options that follows from it.
    """
    plain = (files.PACKAGING / "lbctld.service").read_text()
    template = (files.PACKAGING / "lbctld@.service").read_text()

    assert plain == (
        template.replace(" switch %i", " switch")
        .replace("/etc/default/lbctld-%i", "/etc/default/lbctld")
        .replace("--name=%i", "--name=default")
    )


def test_the_daemon_has_the_capabilities_that_it_asks_for(tmp_path):
    """
    Without them it refuses to start.
    """
    (given,) = files.unit("lbctld.service")["Service"]["CapabilityBoundingSet"]
    numbers = {"CAP_NET_RAW": 13, "CAP_NET_BIND_SERVICE": 10, "CAP_SYS_ADMIN": host.CAP_SYS_ADMIN}
    numbers |= host.NEEDED
    status = tmp_path / "status"
    status.write_text(f"CapEff:\t{sum(1 << numbers[name] for name in given.split()):x}\n")

    host.require_privileges(status)


def test_the_daemon_may_write_where_it_keeps_things():
    """
    Pins, state and sockets; all else is read-only.
    """
    service = files.unit("lbctld.service")["Service"]

    assert ["strict"] == service["ProtectSystem"]
    assert ["-/sys/fs/bpf/lbctl"] == service["ReadWritePaths"]
    assert (["lbctl"], ["lbctl"]) == (service["RuntimeDirectory"], service["StateDirectory"])
    assert any(line.endswith("/sys/fs/bpf/lbctl") for line in service["ExecStartPre"])


def test_a_hanging_daemon_is_noticed():
    """
    Systemd waits for a word of the event loop.
    """
    assert [["30"]] == [files.unit("lbctld.service")["Service"]["WatchdogSec"]]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_the_daemon_is_no_more_exposed_than_the_page_says():
    """
    As systemd judges it; the page on installing quotes the figure.
    """
    path = files.PACKAGING / "lbctld.service"
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager"]
    result = subprocess.run(
        [*command, f"--threshold={EXPOSURE}", path], capture_output=True, text=True, check=False
    )
    page = (files.ROOT / "docs" / "howto" / "install.md").read_text()

    assert 0 == result.returncode, result.stdout
    assert re.search(rf"lbctld\.service: {EXPOSURE / 10}\b", page)
