"""
The archive: fetches the kernels of Debian's releases, by apt and from this machine's own mirror.

Each release has a folder of its own, with apt's state in it, so that the machine's list of
packages stays as it is.  What is there already is not fetched again.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

SOURCES = Path("/etc/apt")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
META = "linux-image-amd64"  # depends on the release's newest kernel
PARTS = re.compile(r"linux-(image|modules|binary|base)-.*\d")  # since 7.x a kernel is several
COMMENT = re.compile(r"#.*")
DEBIAN = re.compile(r"\b(?P<uri>\w+:\S*/debian)/?\s", re.ASCII)


class ArchiveError(Exception):
    """A kernel cannot be had; one line."""


class Kernel(NamedTuple):
    """A kernel that lies unpacked in a folder."""

    suite: str
    package: str  # its version as the distribution numbers it: "6.1.176-1"
    image: Path
    modules: Path  # .../lib/modules/RELEASE

    @property
    def release(self) -> str:
        """What uname says."""
        return self.modules.name


def mirror(sources: Path = SOURCES) -> str:
    """The mirror of Debian that this machine's apt is set up for."""
    files = [sources / "sources.list", *sorted((sources / "sources.list.d").glob("*"))]
    for path in files:
        if path.is_file() and path.suffix in (".list", ".sources"):
            text = COMMENT.sub("", path.read_text(encoding="utf-8"))
            if found := DEBIAN.search(text + "\n"):
                return found["uri"]
    raise ArchiveError(f"{sources}: no mirror of Debian is set up there; kernels come from one")


def fetch(suite: str, cache: Path) -> Kernel:
    """The kernel of a release; from *cache* if it is there."""
    folder = cache.resolve() / suite
    unpacked = folder / "unpacked"
    if not (folder / "package").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        apt = _Apt(folder / "apt", suite)
        apt.run("apt-get", "-qq", "update")
        packages = apt.kernel_packages()
        apt.run("apt-get", "-qq", "download", *packages)
        for package in sorted(apt.folder.glob("*.deb")):
            _run("dpkg-deb", "-x", str(package), str(unpacked))
        version = apt.version(packages[0])
        shutil.rmtree(apt.folder)
        (folder / "package").write_text(version, encoding="utf-8")
    return _unpacked(suite, unpacked, (folder / "package").read_text(encoding="utf-8"))


def _unpacked(suite: str, folder: Path, package: str) -> Kernel:
    """What is in there: under /usr alone, or not, as releases have it."""
    images = [*folder.glob("boot/vmlinuz-*"), *folder.glob("usr/lib/modules/*/vmlinuz")]
    modules = [*folder.glob("lib/modules/*"), *folder.glob("usr/lib/modules/*")]
    if not images or not modules:
        raise ArchiveError(f"{folder}: no kernel in there; remove the folder and run this again")
    base = modules[0].parent.parent.parent
    _run("depmod", "-b", str(base), modules[0].name)
    return Kernel(suite, package, images[0], modules[0])


class _Apt:
    """apt for one release, with its state in a folder."""

    def __init__(self, folder: Path, suite: str) -> None:
        self.folder = folder
        (folder / "lists" / "partial").mkdir(parents=True)
        (folder / "cache" / "archives" / "partial").mkdir(parents=True)
        source = folder / "sources.list"
        source.write_text(f"deb [signed-by={KEYRING}] {mirror()} {suite} main\n", encoding="utf-8")
        self.options = [
            f"-oDir::State::Lists={folder / 'lists'}",
            f"-oDir::Cache={folder / 'cache'}",
            f"-oDir::Etc::SourceList={source}",
            "-oDir::Etc::SourceParts=/dev/null",
            "-oAPT::Sandbox::User=root",
        ]

    def run(self, program: str, *words: str) -> str:
        """Run apt-get or apt-cache with that state; returns what it printed."""
        return _run(program, *self.options, *words, cwd=self.folder)

    def kernel_packages(self) -> list[str]:
        """The packages that the release's kernel consists of."""
        found, ask = [], [META]
        while ask:
            package = ask.pop()
            for line in self.run("apt-cache", "depends", package).splitlines():
                kind, _, name = line.strip().partition(": ")
                if kind == "Depends" and name.startswith("linux-") and name not in found + ask:
                    ask.append(name)
            if PARTS.fullmatch(package) and package not in found:
                found.append(package)
        return sorted(found, key=lambda name: not name.startswith("linux-image"))

    def version(self, package: str) -> str:
        """The version that was fetched."""
        told = self.run("apt-cache", "show", "--no-all-versions", package)
        return re.findall(r"^Version: (\S+)", told, re.MULTILINE)[0]


def _run(*command: str, cwd: Path | None = None) -> str:
    """Run a program that must not fail."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise ArchiveError(f"{command[0]} failed: {said[-1] if said else 'without a word'}")
    return done.stdout
