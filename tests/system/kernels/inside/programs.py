"""
The programs: shown to this kernel's verifier, and tried with single packets.

Only some of the packet tests run, file by file, for so long as there is time.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING

from lbctl.errors import LbctlError
from lbctl.shared import syscall
from tests.support.progrun import ALL, LOOPBACK, SharedClock, Switch

if TYPE_CHECKING:
    from tests.system.kernels.inside.report import Report

SETS = (("nat",), ("nat", "dsr", "ipv6"), ALL)
TOLD = (("nat", "ipv6"),)  # features of the programs that explain and capture
FILES = ("parse", "rewrite", "reset", "icmp", "nics", "explain_ends", "service", "connection")
PLUGINS = [f"tests.system.kernels.inside.{name}" for name in ("remote", "tally")]


class Refused(Exception):
    """Programs that the verifier did not take."""


def verifier(report: Report) -> None:
    """Load the program with some sets of features: as it switches, explains and captures."""
    report.step("verifier: programs that switch", partial(_each, _switch, SETS))
    report.step("verifier: programs that explain", partial(_each, _explain, TOLD))
    report.step("verifier: programs that capture", partial(_each, _capture, TOLD))


def _each(load, sets) -> str:
    """One kind of program with each set; tells how many instructions the verifier followed."""
    clock, refused, most = SharedClock(), [], 0
    try:
        for features in sets:
            try:
                most = max(most, load(features, clock))
            except LbctlError as error:
                refused.append(f"with {' '.join(features)}: {error}")
    finally:
        super(SharedClock, clock).close()
    told = f"{len(sets) - len(refused)} of {len(sets)} accepted"
    if refused:
        raise Refused(f"{told}; {refused[0]}")
    return f"{told}, {most} instructions followed at most" if most else told


def _switch(features, clock) -> int:
    switch = Switch(features, clock=clock)
    try:
        return syscall.prog_info(switch.program).verified
    finally:
        switch.destroy()


def _explain(features, clock) -> int:
    switch = Switch(features, clock=clock)
    try:
        switch.dataplane.explain(bytes(64), LOOPBACK)
        return 0
    finally:
        switch.destroy()


def _capture(features, clock) -> int:
    switch = Switch(features, clock=clock)
    try:
        switch.dataplane.new_capture().close()
        return 0
    finally:
        switch.destroy()


def packets() -> None:
    """Run packet tests, which report by themselves."""
    files = [f"tests/packets/test_{name}.py" for name in FILES]
    plugins = [word for plugin in PLUGINS for word in ("-p", plugin)]
    options = ["-q", "-p", "no:cacheprovider", "--tb=short", "-o", "timeout=600"]
    subprocess.run(
        [sys.executable, "-m", "pytest", *options, *plugins, *files],
        env={**os.environ, "LBCTL_REQUIRE": "bpf"},
        check=False,
    )
