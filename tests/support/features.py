"""
Features: what a test needs of the machine, and when it may be skipped.

Two questions, kept apart:

* Does the *kernel* have it?  `require(feature)` skips on a kernel older than the feature and
  fails on one that ought to have it.
* May *we* use it?  `missing_privilege(tier)` names what a tier cannot do without.  Where
  LBCTL_REQUIRE names the tier, tests/conftest.py turns every skip but the first kind into a
  failure, so that a machine which promises to run the tier cannot pass by skipping it.
"""

from __future__ import annotations

import os
import platform
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

CAPABILITY = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21, "CAP_BPF": 39}
NEEDS = {
    "unit": (),
    "bpf": ("CAP_BPF", "CAP_NET_ADMIN"),
    "netns": ("CAP_SYS_ADMIN", "CAP_BPF", "CAP_NET_ADMIN"),
}


class Feature(NamedTuple):
    """Something that kernels have since a release, and how to see whether this one has it."""

    name: str
    since: tuple[int, int]
    present: Callable[[], bool]


class KernelTooOldError(pytest.skip.Exception):
    """The one honest skip: the feature came with a later kernel."""


def require(feature: Feature) -> None:
    """Skip on a kernel too old for *feature*; fail on one that ought to have it."""
    if feature.present():
        return
    since = "{}.{}".format(*feature.since)
    if running_kernel() >= feature.since:
        pytest.fail(f"{feature.name} is missing, yet kernels since {since} have it")
    _skip_for_age(f"needs {feature.name} (Linux {since})")


def _skip_for_age(reason: str) -> NoReturn:
    raise KernelTooOldError(reason)


def running_kernel() -> tuple[int, int]:
    """Read the running kernel's version: (6, 1)."""
    match = re.match(r"(\d+)\.(\d+)", platform.release())
    assert match, platform.release()
    return int(match[1]), int(match[2])


@cache
def kernel_symbols() -> frozenset[str]:
    """Read the names of the kernel's functions, its modules' included."""
    lines = Path("/proc/kallsyms").read_text(encoding="ascii").splitlines()
    return frozenset(line.split()[2] for line in lines)


def symbol(name: str) -> Callable[[], bool]:
    """Make the test whether the kernel has the function *name*."""
    return lambda: name in kernel_symbols()


MMAPABLE_ARRAY = Feature("an array that user space can map", (5, 5), symbol("array_map_mmap"))
XDP_LINK = Feature("a bpf_link that holds an XDP program", (5, 9), symbol("bpf_xdp_link_attach"))
LIVE_FRAMES = Feature("test runs that send", (5, 18), symbol("bpf_test_run_xdp_live"))


def missing_privilege(tier: str) -> str | None:
    """Say what the *tier* needs and this process may not do; None when it may do all."""
    held = effective_capabilities()
    # CAP_SYS_ADMIN includes CAP_BPF, as it did before there was one.
    if held & 1 << CAPABILITY["CAP_SYS_ADMIN"]:
        held |= 1 << CAPABILITY["CAP_BPF"]
    missing = [name for name in NEEDS[tier] if not held & 1 << CAPABILITY[name]]
    if missing:
        return f"{tier} tests need {' and '.join(missing)}; run them as root: sudo make test"
    if "CAP_BPF" in NEEDS[tier] and not os.path.ismount("/sys/fs/bpf"):
        return f"{tier} tests need the BPF file system; run `sudo make setup`"
    return None


def effective_capabilities() -> int:
    """Read the capabilities of this process as a bit mask."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("CapEff:")[1].split()[0], 16)
