"""
The packet path: net nanoseconds per packet of the real program, case by case.

Net is what BPF_PROG_TEST_RUN says of the program under bench/wrapper.c, less an empty program
under the same wrapper with the same packets, the two in turns.  A case whose packets do not get
the verdict that it names is an error.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.support import bytecode, cases, harness, machine
from bench.support.report import Report, Row, WrongVerdict
from bench.support.switch import Switch, folder
from lbctl.shared.tables import Capacity

if TYPE_CHECKING:
    from argparse import Namespace
    from pathlib import Path

    from bench.support.cases import Case, Group
    from lbctl.shared.abi import Verdict

_REPEAT = 500_000
_SHARE = 0.97  # of the packets of a case must have its verdict; full sets take the rest


class Bench:
    """Measures the cases of one switch."""

    def __init__(self, switch: Switch, wrapper: harness.Harness, options: Namespace) -> None:
        self.switch, self.wrapper, self.rounds = switch, wrapper, options.rounds
        self.plan = switch.plan
        self.programs = [switch.program]
        if options.against:
            self.programs.append(switch.other_program(options.against))

    def measure(self, case: Case) -> list[Row]:
        """Prepare, run the rounds, check the verdicts; a row for each program."""
        plan = case.plan or self.switch.plan
        if plan != self.plan:
            self.switch.publish(plan)
            self.plan = plan
        self.switch.leave_by(case.nic)
        self.switch.forget()
        if case.establish:
            vip = plan.vip(0)
            forward = case.traffic.forward(vip.address, vip.port)
            for program in self.programs:  # another one may hash otherwise
                harness.establish(self.wrapper, program, forward)
        self.wrapper.prepare(case.traffic)
        before = self.switch.verdicts()
        columns = self._rounds(case)
        note = self._check(case, before)
        rows = [Row(case.name, columns[0], "ns", case.target, note=note)]
        for values in columns[1:]:
            other = Row("    against", values, "ns")
            ratio, best = other.median / rows[0].median, other.best / rows[0].best
            rows.append(replace(other, note=f"{ratio:.2f} of it, best {best:.2f}"))
        return rows

    def _rounds(self, case: Case) -> list[list[float]]:
        """Net ns of each program, round by round; the first round is for the caches only."""
        floor = bytecode.floor(case.cut)
        try:
            rounds = [self._round(case, floor) for _ in range(1 + self.rounds)]
        finally:
            os.close(floor)
        return [list(values) for values in zip(*rounds[1:], strict=True)]

    def _round(self, case: Case, floor: int) -> list[float]:
        """One turn of each."""
        repeat = case.fresh or _REPEAT
        times = []
        for program in (floor, *self.programs):
            if case.fresh:
                self.switch.forget()
                self.wrapper.begin(0)
            times.append(self.wrapper.run(program, repeat))
        return [time - times[0] for time in times[1:]]

    def _check(self, case: Case, before: dict[Verdict, int]) -> str:
        """Raise unless the packets had the verdict that is measured; says how many had."""
        counts = {v: n - before.get(v, 0) for v, n in self.switch.verdicts().items()}
        share = counts.get(case.verdict, 0) / sum(counts.values())
        if share < _SHARE:
            named = {verdict.name: count for verdict, count in counts.items() if count}
            raise WrongVerdict(
                f"{case.name}: {share:.2%} of the packets were {case.verdict.name}, "
                f"not {_SHARE:.0%}: {named}"
            )
        return "" if share == 1 else f"{share:.2%} {case.verdict.name}"


def _measure_group(pins: Path, group: Group, options: Namespace) -> list[Row]:
    place = pins / group.name.replace(" ", "").replace(",", "")
    capacity = Capacity(connections=group.connections)
    with (
        harness.Harness(place.with_name(place.name + "_wrapper"), group.plan.version) as wrapper,
        Switch(place, capacity, group.plan, group.also) as switch,
    ):
        bench = Bench(switch, wrapper, options)
        return [
            row for case in group.cases if options.only in case.name for row in bench.measure(case)
        ]


def _ratios(rows: list[Row]) -> list[Row]:
    """One case in terms of another."""
    medians = {row.name: row.median for row in rows}
    return [
        Row(f"{one} / {two}", [medians[one] / medians[two]], "", limit)
        for one, two, limit in cases.RATIOS
        if one in medians and two in medians
    ]


def run(options: Namespace) -> Report:
    """All groups, one after the other."""
    report = Report("packet path: net ns per packet", "BPF_PROG_TEST_RUN, JIT")
    with machine.alone(options.cpu), folder() as pins:
        for group in cases.groups():
            if any(options.only in case.name for case in group.cases):
                report.rows += _measure_group(pins, group, options)
    report.rows += _ratios(report.rows)
    return report
