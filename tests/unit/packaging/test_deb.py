"""The Debian packages: fields, scripts, and what is in them."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import tomllib

import pytest
from packaging.requirements import Requirement

from lbctl import __version__
from tests.unit.packaging import files

DEB = files.PACKAGING / "deb"
SCRIPTS = [
    f"{package}/{name}" for package in files.PACKAGES for name in ("postinst", "prerm", "postrm")
]
BUNDLE = runpy.run_path(str(DEB / "bundle.py"))
INSTALLED = {
    "lbctl": {
        "usr/bin/lbctl",
        "usr/bin/lbctld",
        "usr/bin/lbctl-resource-manager",
        "etc/default/lbctld",
        "usr/lib/lbctl/bin/python3",
        "usr/lib/lbctl/pyvenv.cfg",
        "usr/lib/systemd/system/lbctld.service",
        "usr/lib/systemd/system/lbctld@.service",
        "usr/lib/systemd/system/lbctl-resource-manager.service",
        "usr/share/bash-completion/completions/lbctl",
        "usr/share/doc/lbctl/README.md",
        "usr/share/doc/lbctl/docs/howto/install.md",
        "usr/share/doc/lbctl/changelog.gz",
        "usr/share/doc/lbctl/copyright",
        "usr/share/man/man1/lbctl-pool-add.1.gz",
        "usr/share/man/man8/lbctld.8.gz",
    },
    "lbctl-agent": {
        "usr/bin/lbctl-agent",
        "usr/lib/lbctl-agent/click/core.py",
        "usr/lib/lbctl-agent/lbctl/agent/cli.py",
        "usr/lib/systemd/system/lbctl-agent.service",
        "usr/share/doc/lbctl-agent/copyright",
        "usr/share/man/man8/lbctl-agent.8.gz",
    },
}


def dependencies(package: str) -> dict[str, str]:
    """The least version of each package that one depends on; the last word on it counts not."""
    found: dict[str, str] = {}
    for term in files.control(package)["Depends"].split(", "):
        name, _, version = term.partition(" (>= ")
        found.setdefault(name, version.removesuffix(")"))
    return found


@pytest.mark.parametrize("package", files.PACKAGES)
def test_a_package_says_what_it_is(package):
    """
    All fields that dpkg wants, and a short description without a full stop.
    """
    fields = files.control(package)

    assert {"Package", "Version", "Architecture", "Maintainer", "Depends", "Description"} <= set(
        fields
    )
    assert package == fields["Package"]
    assert re.fullmatch(r"[^\n]{20,70}[^\n.]\n(.+\n?)+", fields["Description"])


@pytest.mark.parametrize(
    ("package", "project"), [("lbctl", "."), ("lbctl-agent", "packaging/lbctl-agent")]
)
def test_what_debian_has_is_new_enough(package, project):
    """
    What is not brought along is depended on, in the version that the project asks for.
    """
    table = tomllib.loads((files.ROOT / project / "pyproject.toml").read_text())["project"]
    wanted = {need.name: need for need in map(Requirement, table["dependencies"])}
    known = dependencies(package)
    left = {name: wanted[name] for name in wanted if name in BUNDLE["FROM_DEBIAN"]}

    assert left
    for name, need in left.items():
        least = known[BUNDLE["FROM_DEBIAN"][name]].rpartition(":")[2]
        assert least == str(need.specifier).removeprefix(">=")


def test_bcc_comes_from_debian():
    """
    And the programs that README.md asks for.
    """
    assert {"python3", "python3-bpfcc", "iproute2", "ethtool"} <= set(dependencies("lbctl"))


@pytest.mark.parametrize("script", SCRIPTS)
def test_maintainer_scripts_are_shell(script):
    """
    Executable, they end at the first failure, and the shell of Debian understands them.
    """
    path = DEB / script

    assert path.read_text().startswith("#!/bin/sh\n#")
    assert "\nset -e\n" in path.read_text()
    assert path.stat().st_mode & 0o111
    subprocess.run(["sh", "-n", path], check=True)


def test_only_a_removal_touches_packets():
    """
    Pins hold programs on NICs: no script takes them away in an upgrade.
    """
    prerm, postrm = ((DEB / "lbctl" / name).read_text() for name in ("prerm", "postrm"))
    removing = re.search(r'if \[ "\$1" = remove \]; then\n(.*?)\nfi\n', prerm, re.DOTALL)

    assert removing
    assert "rm -rf /sys/fs/bpf/lbctl" in removing[1]
    assert "/sys/fs/bpf" not in prerm.replace(removing[1], "")
    assert "/sys/fs/bpf" not in postrm.split("purge)")[0]
    assert " rm " not in (DEB / "lbctl/postinst").read_text()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Both packages, as dpkg-deb has built them, by name."""
    folder = tmp_path_factory.mktemp("dist")
    quickly = os.environ | {"DPKG_DEB_COMPRESSOR_TYPE": "none"}
    subprocess.run([DEB / "build", folder], check=True, capture_output=True, env=quickly)
    return {path.name.split("_")[0]: path for path in folder.glob("*.deb")}


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="needs dpkg-deb")
@pytest.mark.parametrize("package", files.PACKAGES)
def test_a_package_has_what_it_shall(built, package):
    """
    All of it owned by root, nothing that was made on the way, and nothing that Debian has.
    """
    listing = subprocess.run(
        ["dpkg-deb", "--contents", built[package]], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    paths = {line.split()[5].removeprefix("./") for line in listing}

    assert INSTALLED[package] <= paths
    assert {"root/root"} == {line.split()[1] for line in listing}
    assert [] == [
        path for path in paths if re.search(r"__pycache__|direct_url|/numpy/|/bcc/", path)
    ]
    assert [] == [line for line in listing if re.match(r".{8}[w]|.{5}[w]", line) and line[0] != "l"]


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="needs dpkg-deb")
@pytest.mark.parametrize("package", files.PACKAGES)
def test_a_package_has_its_version(built, package):
    """
    No field is left open; the part before the dash is lbctl's own version.
    """
    fields = subprocess.run(
        ["dpkg-deb", "--field", built[package]], capture_output=True, text=True, check=True
    ).stdout

    assert f"Version: {__version__}-1" in fields
    assert "@" not in fields.replace("lbctl@example.org", "")
