"""
Counting: how many of 1 M live connections there are, in all and by back-end.

The library first; then the command, with a daemon of its own, when there is one.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench.support import harness, machine
from bench.support.harness import Traffic
from bench.support.report import Report, Row, WrongVerdict
from bench.support.switch import Plan, Switch, folder
from lbctl.shared.connections import Filter
from lbctl.shared.tables import Capacity

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

_MILLION = 1 << 20
_SHARE = 0.95  # that must have found a place in the table
_PLAN = Plan()


def _timed(function: Callable[[], object], rounds: int) -> list[float]:
    """Milliseconds of each call but the first."""
    times = []
    for _ in range(1 + rounds):
        started = time.perf_counter()
        function()
        times.append((time.perf_counter() - started) * 1000)
    return times[1:]


def _library(switch: Switch, rounds: int) -> list[Row]:
    table = switch.dataplane.connections
    server = _PLAN.servers(0)[0]
    calls: dict[str, Callable[[], object]] = {
        "used()": table.used,
        "count_by_backend()": table.count_by_backend,
        "count of one back-end": lambda: table.count(Filter(backend=server)),
        "list, the first 100": lambda: table.list(limit=100),
    }
    return [Row(name, _timed(call, rounds), "ms", 1000) for name, call in calls.items()]


def run(options: Namespace) -> Report:
    """Make a million connections and count them."""
    report = Report("connection count: 1 M live connections", "library and command")
    with machine.alone(options.cpu), folder() as pins:
        wrapper = harness.Harness(pins / "wrapper", 4)
        switch = Switch(pins / "switch", Capacity(connections=_MILLION), _PLAN)
        try:
            harness.establish(wrapper, switch.program, Traffic(flows=_MILLION))
            used = switch.dataplane.connections.used()
            if used < _SHARE * _MILLION:
                raise WrongVerdict(f"only {used} of {_MILLION} connections are in the table")
            report.notes.append(f"{used:,} of {_MILLION:,} connections are in the table")
            report.rows += _library(switch, options.rounds)
        finally:
            switch.close()
            wrapper.close()
    return report
