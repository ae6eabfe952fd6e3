"""
The tally: a pytest plugin that counts outcomes, ends the run when time is over, and reports.

`-p tests.system.kernels.inside.tally` uses it.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from tests.system.kernels.inside import remote
from tests.system.kernels.inside.report import FAILED, PASSED, Report

SECONDS = 60.0  # for all files together
begin = time.monotonic()
counts: Counter[str] = Counter()
failed: list[str] = []
files: dict[str, None] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count a test once: by its call, or by what kept it from that."""
    if report.when == "call" or report.outcome != "passed":
        counts[report.outcome] += 1
        files[Path(report.fspath).stem.removeprefix("test_")] = None
        if report.failed:
            failed.append(report.nodeid.rpartition("/")[2])


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Stop after this one when time is over."""
    if time.monotonic() - begin > SECONDS:
        item.session.shouldstop = "time is over"


def pytest_sessionfinish() -> None:
    """Tell what came of it."""
    counted = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    note = "; ".join([f"{counted} of {', '.join(files)}", *failed[:9]])
    outcome = PASSED if counts["passed"] and not failed else FAILED
    report = Report(remote.SHARED / "report")
    with report.check("programs"):
        report.tell("packet tests", outcome, note, begin)
