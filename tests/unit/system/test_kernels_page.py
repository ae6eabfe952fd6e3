"""The page of the kernels says what was found, no more and no less."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.docs import pages

SCRIPT = (
    "import json, sys; from generator import kernels; print(kernels.render(json.load(sys.stdin)))"
)


def kernel(release, suite, *steps):
    """A kernel with steps written "check step outcome note"."""
    keys = ("check", "step", "outcome", "note")
    return {
        "suite": suite,
        "release": release,
        "package": f"{release}-1",
        "date": "2026-01-02",
        "lbctl": "1.2.3",
        "commit": "abcdef",
        "emulator": "QEMU emulator version 7.2.0 (distribution)",
        "bcc": "0.26",
        "seconds": 12,
        "ended": True,
        "steps": [dict(zip(keys, step.split(" ", 3), strict=True)) for step in steps],
    }


@pytest.fixture
def page():
    """
    Makes the page of some kernels; its generator is no package that a test may import.
    """

    def make(*kernels):
        return subprocess.run(
            [sys.executable, "-c", SCRIPT],
            cwd=pages.ROOT / "docs",
            input=json.dumps(kernels),
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    return make


def test_each_kernel_has_a_column_and_each_step_a_row(page):
    """
    Failures stand out, and what was not tried has a dash.
    """
    old = kernel("5.10.0-1-amd64", "bullseye", "kernel lbctld refused too old")
    new = kernel(
        "6.1.0-2-amd64",
        "bookworm",
        "kernel lbctld passed ",
        "virtio IPv4 passed ",
        "veth IPv4 failed x",
    )
    said = page(old, new)
    dash = "\N{EN DASH}"

    assert 3 == said.count("| Step | 5.10 (bullseye) | 6.1 (bookworm) |\n")
    assert "| lbctld | refused | passed |\n" in said
    assert f"| IPv4 | {dash} | passed |\n" in said
    assert f"| IPv4 | {dash} | **failed** |\n" in said
    assert said.index("passed |\n\n## Native XDP on veth") < said.index("**failed**")


def test_versions_and_dates_are_told(page):
    """
    Of the kernel, of lbctl and of what compiled and emulated.
    """
    text = page(kernel("6.1.0-2-amd64", "bookworm", "kernel lbctld passed "))

    for word in (
        "`6.1.0-2-amd64`",
        "2026-01-02",
        "1.2.3 abcdef",
        "bcc 0.26",
        "version 7.2.0",
        "12 s",
    ):
        assert word in text


def test_notes_are_told_word_for_word(page):
    """
    But for backticks, which would end the quotation.
    """
    text = page(kernel("6.1", "x", "kernel lbctld refused upgrade it, with `apt`"))

    assert "lbctld, refused: `upgrade it, with 'apt'`" in text
