"""
Tiers: every test belongs to one by its folder, cheap ones first.

unit   everything that is in none of the others; no privilege
bpf    tests/packets: single packets through the real program
netns  tests/netns: live traffic in network namespaces

LBCTL_REQUIRE=bpf,netns says that this machine can run those tiers: a skip there is a failure,
unless the kernel is older than what the test needs.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.support import features

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

TIER_OF_FOLDER = {"packets": "bpf", "netns": "netns"}
TIERS = ("unit", "bpf", "netns")

# A slow machine is no wrong answer, and a checkout is no place for a database of examples.
settings.register_profile(
    "lbctl", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("lbctl")


def required_tiers() -> set[str]:
    """Read LBCTL_REQUIRE; a tier that does not exist is a mistake, not a wish."""
    named = {name.strip() for name in os.environ.get("LBCTL_REQUIRE", "").split(",")} - {""}
    if unknown := named - set(TIERS):
        raise pytest.UsageError(
            f"LBCTL_REQUIRE: no such tier {min(unknown)!r}; use {', '.join(TIERS)}"
        )
    return named


def tier_of(path: Path, root: Path) -> str:
    """Tell the tier from the folder under tests/."""
    if not path.is_relative_to(root / "tests"):
        return "unit"
    return TIER_OF_FOLDER.get(path.relative_to(root / "tests").parts[0], "unit")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a misspelt LBCTL_REQUIRE before the first test."""
    del config
    required_tiers()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark each test with its tier and run the cheap tiers first."""
    tiers = {item: tier_of(item.path, config.rootpath) for item in items}
    for item, tier in tiers.items():
        item.add_marker(tier)
    items.sort(key=lambda item: TIERS.index(tiers[item]))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this process may not do, before a fixture fails over it half-way."""
    tier = tier_of(item.path, item.config.rootpath)
    if reason := features.missing_privilege(tier):
        pytest.skip(reason)
    if tier != "unit":
        features.require(features.MMAPABLE_ARRAY)
        features.require(features.XDP_LINK)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where LBCTL_REQUIRE names the tier."""
    report = yield
    honest = call.excinfo and call.excinfo.errisinstance(features.KernelTooOldError)
    tier = tier_of(item.path, item.config.rootpath)
    if report.skipped and not honest and not hasattr(report, "wasxfail"):
        fail_if_required(report, tier)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Do the same for a file that skips itself as a whole."""
    report = yield
    if report.skipped:
        fail_if_required(report, tier_of(collector.path, collector.config.rootpath))
    return report


def fail_if_required(report: pytest.TestReport | pytest.CollectReport, tier: str) -> None:
    """Make a failure of the skip *report* if LBCTL_REQUIRE names *tier*."""
    if tier in required_tiers():
        report.outcome = "failed"
        report.longrepr = f"LBCTL_REQUIRE names {tier}, so this may not be skipped: {why(report)}"


def why(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Read the reason of a skip out of its report."""
    where: Sequence[object] | object = report.longrepr
    return str(where[2] if isinstance(where, tuple) else where).removeprefix("Skipped: ")
