"""The page of the kernels: what the last run of `make test-vm` found, from the results it kept."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from generator import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    Kernel = dict[str, Any]

RESULTS = Path(__file__).parents[1] / "reference" / "kernels.json"

INTRO = """\
`make test-vm` boots the kernels of Debian's releases, one after the other, in a virtual machine
that is emulated in software, and has lbctl work there: its programs before that kernel's verifier,
tests of single packets, a switch with clients and servers on veth and on virtio NICs, and IPVS with
the same servers beside it. This page is made of what the last run found."""

LEGEND = """\
*passed*: as on any other kernel. *failed*: it should work there and does not. *refused*: lbctl says
in one line that the kernel is too old for it. A dash: not tried, because what it builds on was
refused or did not come about, or because time was over."""

CHECKS = {
    "kernel": "Age",
    "programs": "Programs",
    "virtio": "Native XDP on virtio NICs, with offloads and several queues",
    "veth": "Native XDP on veth, IPVS beside it",
}


def page() -> str:
    """The whole page."""
    return render(json.loads(RESULTS.read_text(encoding="utf-8"))["kernels"])


def render(kernels: Sequence[Kernel]) -> str:
    """The page for these kernels, oldest first."""
    return text.join(
        "# Kernels", INTRO, LEGEND, _tables(kernels), _machines(kernels), _said(kernels)
    )


def _tables(kernels: Sequence[Kernel]) -> str:
    """A table for each check, of steps by kernel."""
    parts = []
    for check, title in CHECKS.items():
        outcomes = [
            {step["step"]: step["outcome"] for step in kernel["steps"] if step["check"] == check}
            for kernel in kernels
        ]
        # The kernel that was asked most comes first: its order is the order of the steps.
        asked = sorted(outcomes, key=len, reverse=True)
        steps = dict.fromkeys(step for found in asked for step in found)
        rows = [
            (text.safe(step), *(_cell(found.get(step)) for found in outcomes)) for step in steps
        ]
        parts += [f"## {title}", text.table(["Step", *map(_name, kernels)], rows)] if rows else []
    return text.join(*parts)


def _cell(outcome: str | None) -> str:
    """What stands in the table; a failure is to be seen."""
    return f"**{outcome}**" if outcome == "failed" else outcome or text.NOTHING


def _name(kernel: Kernel) -> str:
    """A kernel, as people call it: "6.1 (bookworm)"."""
    number = re.match(r"\d+\.\d+", kernel["release"])
    return f"{number[0] if number else kernel['release']} ({kernel['suite']})"


def _machines(kernels: Sequence[Kernel]) -> str:
    """What was run, when and by what."""
    head = ["Kernel", "Package", "Date", "lbctl", "Compiler", "Emulator", "Took", "Came to its end"]
    rows = [
        (
            text.code(kernel["release"]),
            text.code(kernel["package"]),
            kernel["date"],
            text.safe(f"{kernel['lbctl']} {kernel['commit']}".strip()),
            text.safe(f"bcc {kernel['bcc']}"),
            text.safe(kernel["emulator"].partition(" (")[0]),
            f"{kernel['seconds']} s",
            "yes" if kernel["ended"] else "no",
        )
        for kernel in kernels
    ]
    return text.join("## What was run", text.table(head, rows))


def _quoted(note: str) -> str:
    """A note as code; one of several sentences may have code in it."""
    return text.code(note.replace("`", "'"))


def _said(kernels: Sequence[Kernel]) -> str:
    """What each step had to say, where it said something."""
    parts = []
    for kernel in kernels:
        lines = [
            f"- {CHECKS[step['check']]}: {step['step']}, {step['outcome']}: {_quoted(step['note'])}"
            for step in kernel["steps"]
            if step["note"]
        ]
        parts += [f"### {_name(kernel)}", "\n".join(lines)]
    return text.join("## In their words", *parts)
