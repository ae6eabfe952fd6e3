"""promtool: Prometheus's own judge of metrics, rules and configurations."""

from __future__ import annotations

import shutil
import subprocess
from typing import NoReturn

import pytest

PROMTOOL = shutil.which("promtool")


def promtool(*words, text="") -> str:
    """Run promtool, which must find nothing wrong, on *text* as its input; returns what it said."""
    if PROMTOOL is None:
        _missing()
    done = subprocess.run(
        [PROMTOOL, *map(str, words)], input=text, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    assert 0 == done.returncode, said
    return said


def _missing() -> NoReturn:
    pytest.skip("needs promtool, of the package prometheus; run `sudo make setup`")
