"""The results: what was found on each kernel, kept as JSON beside the page that is made of it."""

from __future__ import annotations

import datetime as dt
import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lbctl import __version__

if TYPE_CHECKING:
    from tests.system.kernels.archive import Kernel

FILE = Path("docs/reference/kernels.json")


def read(path: Path = FILE) -> dict[str, Any]:
    """What is known from the last runs."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"kernels": []}


def write(rows: list[dict[str, Any]], path: Path = FILE) -> None:
    """Keep these kernels; others stay as they were."""
    kernels = {row["suite"]: row for row in [*read(path)["kernels"], *rows]}
    known = {"kernels": sorted(kernels.values(), key=lambda row: numbers(row["release"]))}
    path.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


def row(kernel: Kernel, steps: str, status: int | None, seconds: float) -> dict[str, Any]:
    """One kernel; *steps* are the lines of the guest's report."""
    today = dt.datetime.now(dt.UTC).date().isoformat()
    return {
        "suite": kernel.suite,
        "release": kernel.release,
        "package": kernel.package,
        "date": today,
        "lbctl": __version__,
        "commit": _said("git", "rev-parse", "--short=12", "HEAD"),
        "emulator": _said("qemu-system-x86_64", "--version").partition("\n")[0],
        "bcc": _said("dpkg-query", "-W", "-f", "${Version}", "python3-bpfcc"),
        "seconds": round(seconds),
        "ended": status == 0,
        "steps": [json.loads(line) for line in steps.splitlines()],
    }


def numbers(release: str) -> list[int]:
    """A release as numbers, for sorting."""
    return [int(number) for number in re.findall(r"\d+", release)]


def _said(*command: str) -> str:
    """What a program says; nothing if it does not know."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
