"""
Who may import whom.

    cli ──► control ──► switching ──► shared ──► model, errors
    agent   ──► errors: it runs on servers, which have nothing else of lbctl
    control ──► agent.wire: the form of what agents say
    control ──► pseudo ──► model; control ──► netif ──► errors: applications import netif alone
    simulation ──► control: the master module alone, without a switch
    testbed ──► all of them: it uses lbctl as anybody else would
"""

from __future__ import annotations

import pytest

from tests.architecture import source

BASE = {"lbctl.__version__", "lbctl.errors", "lbctl.model"}
MAY_IMPORT = {
    "errors": set(),
    "model": {"lbctl.errors"},
    "agent": {"lbctl.__version__", "lbctl.errors"},
    "shared": BASE,
    "switching": BASE | {"lbctl.shared"},
    "pseudo": BASE,
    "netif": {"lbctl.errors"},
    "control": BASE
    | {"lbctl.shared", "lbctl.switching", "lbctl.agent.wire", "lbctl.pseudo", "lbctl.netif"},
    "simulation": BASE | {"lbctl.control", "lbctl.agent.wire", "lbctl.cli"},
    "cli": BASE | {"lbctl.shared", "lbctl.switching", "lbctl.control", "lbctl.testbed"},
    "testbed": {"lbctl"},
    "__init__": BASE,
    "__main__": {"lbctl.cli"},
}
# Outside package -> the only places of ours that know it.
ONLY_IN = {
    "bcc": ("lbctl/switching/program.py",),  # a short-lived child; the daemon stays small
    # switching reads the state of NICs with it; routes and neighbours are the control processor's.
    "pyroute2": ("lbctl/control/", "lbctl/testbed/", "lbctl/switching/links.py", "lbctl/pseudo/"),
    "rich": ("lbctl/cli/render.py", "lbctl/cli/top/"),
    "dpkt": ("lbctl/cli/packets.py",),  # the daemon reads no files of others
}
MODULES = source.files("lbctl", "*.py")


def part_of(path):
    """Name the part that a module belongs to: the folder, or the file at the top."""
    return path.split("/")[1].removesuffix(".py")


def within(name, package):
    """Tell whether *name* is *package* or something inside it."""
    return name == package or name.startswith(package + ".")


def test_there_is_something_to_check():
    """
    An empty list of modules would satisfy every rule.
    """
    assert "lbctl/model/__init__.py" in MODULES
    assert "lbctl.model.Scheduler" in source.imports("lbctl/control/schedulers/__init__.py")


@pytest.mark.parametrize("path", MODULES)
def test_imports_go_down_the_drawing(path):
    """
    A part knows what is to the right of it, and its own.
    """
    part = part_of(path)
    allowed = MAY_IMPORT[part] | {f"lbctl.{part}"}
    ours = {name for name in source.imports(path) if within(name, "lbctl")}

    assert set() == {name for name in ours if not any(within(name, good) for good in allowed)}


@pytest.mark.parametrize("path", MODULES)
def test_outside_packages_have_one_door(path):
    """
    Who else needs it goes through that door.
    """
    for package, doors in ONLY_IN.items():
        if any(within(name, package) for name in source.imports(path)):
            assert path.startswith(doors), f"{path} imports {package}; see {', '.join(doors)}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import lbctl.cli.render as r", {"lbctl.cli.render"}),
        ("from . import maps", {"lbctl.shared.maps"}),
        ("from ..model import Vip", {"lbctl.model.Vip"}),
        ("def f():\n    from bcc import BPF", {"bcc.BPF"}),
    ],
)
def test_no_way_of_importing_goes_unseen(monkeypatch, tmp_path, text, expected):
    """
    Relative, renamed or hidden in a function: the rules see it.
    """
    (tmp_path / "lbctl" / "shared").mkdir(parents=True)
    (tmp_path / "lbctl" / "shared" / "example.py").write_text(text)
    monkeypatch.setattr(source, "ROOT", tmp_path)

    assert expected == source.imports("lbctl/shared/example.py")
