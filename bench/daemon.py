"""
The daemon at rest: memory, CPU, and how long its command takes.

It has two NICs with a program and one pool, and nobody talks to it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.support import lbctld, machine
from bench.support.report import Report, Row
from bench.support.switch import Plan, folder
from lbctl.shared.tables import Capacity
from lbctl.testbed.processes import environment

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from bench.support.lbctld import Daemon

_PLAN = Plan()
_REST_SECONDS = 10
_SETTLE_SECONDS = 2
_MOST_MEBIBYTES = 100
_MOST_CPU_MS = 10  # of the rest: one part in a thousand of a CPU


def _memory(pid: int) -> dict[str, float]:
    """MiB by kind; tables that are mapped count as shared."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return {key: int(fields[key].split()[0]) / 1024 for key in ("VmRSS", "RssAnon", "VmHWM")}


def _cpu_ms(pid: int) -> float:
    """CPU time so far of all threads."""
    paths = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(path.read_text(encoding="ascii").split()[0]) for path in paths) / 1e6


def _at_rest(daemon: Daemon) -> list[Row]:
    # what its own start and our commands left to do is over
    time.sleep(_SETTLE_SECONDS)
    before = _cpu_ms(daemon.pid)
    time.sleep(_REST_SECONDS)
    cpu, memory = _cpu_ms(daemon.pid) - before, _memory(daemon.pid)
    return [
        Row("resident", [memory["VmRSS"]], "MiB", _MOST_MEBIBYTES),
        Row("  of it private", [memory["RssAnon"]], "MiB"),
        Row("  at most so far", [memory["VmHWM"]], "MiB"),
        Row(f"CPU in {_REST_SECONDS} s", [cpu], "ms", _MOST_CPU_MS),
        Row("until ready", [daemon.seconds * 1000], "ms"),
    ]


def _timed(words: Sequence[str], rounds: int) -> list[float]:
    """Milliseconds of each run of a command but the first."""
    times = []
    for _ in range(1 + rounds):
        started = time.perf_counter()
        subprocess.run(  # noqa: S603 - our own words
            [sys.executable, "-m", "lbctl", *words],
            check=True,
            stdout=subprocess.DEVNULL,
            env=environment(),
        )
        times.append((time.perf_counter() - started) * 1000)
    return times[1:]


def run(options: Namespace) -> Report:
    """Start a daemon, leave it alone, then ask it things."""
    report = Report("daemon: at rest, and its command", "native (veth)")
    with (
        machine.alone(options.cpu),
        folder() as pins,
        lbctld.running(pins / "daemon", _PLAN, Capacity().connections) as daemon,
    ):
        daemon.set_up(_PLAN)
        report.rows += _at_rest(daemon)
        for words in (["--help"], ["status"], ["pool", "list"], ["connection", "count"]):
            asked = words if words == ["--help"] else ["--socket", str(daemon.socket), *words]
            times = _timed(asked, options.rounds)
            report.rows.append(Row(f"lbctl {' '.join(words)}", times, "ms"))
    return report
