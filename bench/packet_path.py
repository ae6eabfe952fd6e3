"""
The packet path: net nanoseconds per packet of the real program, case by case.

Net is what BPF_PROG_TEST_RUN says of the program under bench/wrapper.c, less an empty program
under the same wrapper with the same packets, the two in turns.  A case whose packets do not get
the verdict that it names is an error.
"""

from __future__ import annotations

import os
import statistics
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.support import bytecode, cases, harness, machine
from bench.support.report import Report, Row, WrongVerdict
from bench.support.switch import Switch, folder
from lbctl.shared.tables import Capacity

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bench.support.cases import Case, Group, Pair
    from lbctl.shared.abi import Verdict

REPEAT = 500_000
_SHARE = 0.97  # of the packets of a case must have its verdict; full sets take the rest


class Bench:
    """Measures the cases of one switch."""

    def __init__(self, switch: Switch, wrapper: harness.Harness, against: Path | None) -> None:
        self.switch, self.wrapper = switch, wrapper
        self.plan = switch.plan
        self.programs = [switch.program]
        if against:
            self.programs.append(switch.other_program(against))

    def measure(self, case: Case, rounds: int) -> list[Row]:
        """Prepare, run the rounds, check the verdicts; a row for each program."""
        self.prepare(case)
        before = self.switch.verdicts()
        with self.turns(case) as turn:
            turn()  # for the caches only
            columns = zip(*[turn() for _ in range(rounds)], strict=True)
        note = self.check(case, before)
        first, *others = [Row(case.name, values, "ns", case.target) for values in columns]
        rows = [replace(first, note=note)]
        for row in others:
            ratio, best = row.median / first.median, row.best / first.best
            note = f"{ratio:.2f} of it, best {best:.2f}"
            rows.append(replace(row, name="    against", target=None, note=note))
        return rows

    def prepare(self, case: Case) -> None:
        """Have the services and the connections that the case needs."""
        plan = case.plan or self.switch.plan
        if plan != self.plan:
            self.switch.publish(plan)
            self.plan = plan
        self.switch.leave_by(case.nic)
        self.switch.come_by(case.came)
        self.switch.forget()
        if case.establish:
            vip = plan.vip(0)
            forward = case.traffic.forward(vip.address, vip.port)
            for program in self.programs:  # another one may hash otherwise
                harness.establish(self.wrapper, program, forward)
        self.wrapper.prepare(case.traffic)

    @contextmanager
    def turns(self, case: Case, repeat: int = REPEAT) -> Iterator[Callable[[], list[float]]]:
        """Yield what runs one round of *repeat* packets; it returns the net ns of each program."""
        floor, repeat = bytecode.floor(case.cut), case.fresh or repeat

        def turn() -> list[float]:
            times = []
            for program in (floor, *self.programs):
                if case.fresh:
                    self.switch.forget()
                    self.wrapper.begin(0)
                times.append(self.wrapper.run(program, repeat))
            return [time - times[0] for time in times[1:]]

        try:
            yield turn
        finally:
            os.close(floor)

    def check(self, case: Case, before: dict[Verdict, int]) -> str:
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


@contextmanager
def _opened(pins: Path, group: Group, against: Path | None = None) -> Iterator[Bench]:
    place = pins / group.name.replace(" ", "").replace(",", "")
    capacity = Capacity(connections=group.connections)
    with (
        harness.Harness(place.with_name(place.name + "_wrapper"), group.plan.version) as wrapper,
        Switch(place, capacity, group.plan, group.also) as switch,
    ):
        yield Bench(switch, wrapper, against)


def _measure_group(pins: Path, group: Group, options: Namespace) -> list[Row]:
    chosen = [case for case in group.cases if options.only in case.name]
    if not chosen:
        return []
    with _opened(pins, group, options.against) as bench:
        return [row for case in chosen for row in bench.measure(case, options.rounds)]


def _measure_pair(pins: Path, pair: Pair, rounds: int) -> Row:
    """Both in turns; the ratio of each round."""
    with ExitStack() as stack:
        benches = [stack.enter_context(_opened(pins, group)) for group in (pair.one, pair.other)]
        two = (pair.one.cases[0], pair.other.cases[0])
        for bench, case in zip(benches, two, strict=True):
            bench.prepare(case)
        before = [bench.switch.verdicts() for bench in benches]
        turns = [
            stack.enter_context(bench.turns(case)) for bench, case in zip(benches, two, strict=True)
        ]
        for turn in turns:
            turn()
        times = [[turn()[0] for turn in turns] for _ in range(rounds)]
        for bench, case, counts in zip(benches, two, before, strict=True):
            bench.check(case, counts)
    one, other = (statistics.median(values) for values in zip(*times, strict=True))
    note = f"{one:.0f} and {other:.0f} ns"
    return Row(pair.name, [a / b for a, b in times], "", pair.limit, note=note)


def run(options: Namespace) -> Report:
    """All groups, one after the other, then the pairs."""
    report = Report("packet path: net ns per packet", "BPF_PROG_TEST_RUN, JIT")
    with machine.alone(options.cpu, first=True), folder() as pins:
        for group in cases.groups():
            report.rows += _measure_group(pins, group, options)
        for pair in cases.pairs():
            if options.only in pair.name:
                report.rows.append(_measure_pair(pins, pair, options.rounds))
    return report
