#!/usr/bin/env python3
"""
The bundle: copy the Python packages that lbctl needs and Debian has too old.

Takes them as they are in the environment that runs this, which is the one the tests ran in, and
asks no network.  What Debian has new enough stays out: the package depends on it instead.

    bundle.py TARGET    # a folder with one package; copy what that one needs beside it
"""

from __future__ import annotations

import shutil
import sys
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# What Debian 12 and 13 have new enough; for each the Debian package that control names.
FROM_DEBIAN = {
    "dpkt": "python3-dpkt",
    "h2": "python3-h2",
    "numpy": "python3-numpy",
    "psutil": "python3-psutil",
    "pyyaml": "python3-yaml",
}


def needs(found: Distribution) -> list[str]:
    """The names of what a distribution needs here, without extras and what Debian has."""
    wanted = map(Requirement, found.requires or [])
    names = [
        canonicalize_name(one.name)
        for one in wanted
        if one.marker is None or one.marker.evaluate({"extra": ""})
    ]
    return [name for name in names if name not in FROM_DEBIAN]


def closure(start: Distribution) -> dict[str, Distribution]:
    """All that *start* needs, directly or not, by name."""
    found: dict[str, Distribution] = {}
    waiting = needs(start)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = distribution(name)
            waiting += needs(found[name])
    return dict(sorted(found.items()))


def copy(found: Distribution, target: Path) -> None:
    """Copy the modules of a distribution and its metadata, but no commands and no caches."""
    origin = Path(str(found.locate_file(""))).resolve()
    if not origin.is_relative_to(Path(sys.prefix).resolve()):
        name = found.metadata["Name"]
        raise SystemExit(
            f"bundle: {name} is in {origin}, not in {sys.prefix}; "
            f"run: {sys.prefix}/bin/python -m pip install --ignore-installed {name}"
        )
    for file in found.files or []:
        if ".." in file.parts or "__pycache__" in file.parts or file.name == "direct_url.json":
            continue
        place = target.joinpath(*file.parts)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(str(found.locate_file(file)), place)


def licence(found: Distribution) -> str:
    """What a distribution says of its licence, in a few words."""
    fields = found.metadata.json
    declared = str(fields.get("license_expression") or fields.get("license") or "")
    classifiers = found.metadata.get_all("Classifier") or []
    classified = [line.split(" :: ")[-1] for line in classifiers if line.startswith("License")]
    lines = declared.splitlines() or classified or ["see its files"]
    return lines[0]


def main() -> None:
    """Copy, and print a line for each: name, version, licence."""
    target = Path(sys.argv[1])
    (start,) = Distribution.discover(path=[str(target)])
    for found in closure(start).values():
        copy(found, target)
        print(f"{found.metadata['Name']} {found.version}: {licence(found)}")  # noqa: T201 - its output


if __name__ == "__main__":
    main()
