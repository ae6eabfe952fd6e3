"""
Counting: how many of 1 M live connections there are, in all and by back-end.

The library first, then the command, whose daemon's program has made the connections.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench.support import harness, lbctld, machine
from bench.support.harness import Traffic
from bench.support.report import Report, Row, WrongVerdict
from bench.support.switch import Plan, Switch, folder, only_program
from lbctl.shared.connections import Filter
from lbctl.shared.tables import Capacity

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Mapping
    from pathlib import Path

_MILLION = 1 << 20
_SHARE = 0.95  # that must have found a place in the table
_TARGET = 1000
_PLAN = Plan()


def _timed(calls: Mapping[str, Callable[[], object]], rounds: int) -> list[Row]:
    """Milliseconds of each call but the first."""
    rows = []
    for name, call in calls.items():
        times = []
        for _ in range(1 + rounds):
            started = time.perf_counter()
            call()
            times.append((time.perf_counter() - started) * 1000)
        rows.append(Row(name, times[1:], "ms", _TARGET))
    return rows


def _check(used: int) -> str:
    if used < _SHARE * _MILLION:
        raise WrongVerdict(f"only {used} of {_MILLION} connections are in the table")
    return f"{used:,} of {_MILLION:,} connections are in the table"


def _library(pins: Path, wrapper: harness.Harness, report: Report, rounds: int) -> None:
    with Switch(pins / "switch", Capacity(connections=_MILLION), _PLAN) as switch:
        harness.establish(wrapper, switch.program, Traffic(flows=_MILLION))
        table, server = switch.dataplane.connections, _PLAN.servers(0)[0]
        report.notes.append(f"library: {_check(table.used())}")
        calls: dict[str, Callable[[], object]] = {
            "used()": table.used,
            "count_by_backend()": table.count_by_backend,
            "count of one back-end": lambda: table.count(Filter(backend=server)),
            "list, the first 100": lambda: table.list(limit=100),
        }
        report.rows += _timed(calls, rounds)


def _command(pins: Path, wrapper: harness.Harness, report: Report, rounds: int) -> None:
    with lbctld.running(pins / "daemon", _PLAN, _MILLION) as daemon:
        daemon.set_up(_PLAN)
        with only_program(pins / "daemon") as program:
            harness.establish(wrapper, program, Traffic(flows=_MILLION))
        backend = str(_PLAN.servers(0)[0])
        count = int(daemon.lbctl("connection", "count").split()[-1])
        report.notes.append(f"command: {_check(count)}")
        words = {
            "lbctl connection count": ("connection", "count"),
            "lbctl connection count --backend": ("connection", "count", "--backend", backend),
            "lbctl connection list --limit 100": ("connection", "list", "--limit", "100"),
        }
        calls = {name: lambda words=words: daemon.lbctl(*words) for name, words in words.items()}
        report.rows += _timed(calls, rounds)


def run(options: Namespace) -> Report:
    """Make a million connections and count them, twice."""
    report = Report("connection count: 1 M live connections", "BPF_PROG_TEST_RUN, JIT")
    with (
        machine.alone(options.cpu),
        folder() as pins,
        harness.Harness(pins / "wrapper", 4) as wrapper,
    ):
        _library(pins, wrapper, report, options.rounds)
        _command(pins, wrapper, report, options.rounds)
    return report
