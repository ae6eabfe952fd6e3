"""
The counters: what they cost a packet, against a build of the same sources without them.

The other build is made by cutting the calls out of stages/finish.h.  Both run in turns on the same
tables; a figure is the difference of one round.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench import packet_path
from bench.support import cases, harness, machine
from bench.support.report import Report, Row
from bench.support.switch import Switch, folder
from lbctl.shared.tables import Capacity
from lbctl.switching import program

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from bench.support.cases import Case, Group

LIMIT = 5  # ns a packet
SHORT = 20  # so many short rounds for a long one: what others do to the machine is then in both
REPEAT = packet_path.REPEAT // SHORT
CALLS = re.compile(r"^\tlb_count_\w+\(pkt, cpu, verdict\);\n", re.MULTILINE)
EXPECTED = 3  # by verdict, by back-end, by reason


def _without(sources: Path) -> None:
    """Cut the counting out of a copy of bpf_src."""
    finish = sources / "stages" / "finish.h"
    text, count = CALLS.subn("", finish.read_text())
    if count != EXPECTED:
        raise RuntimeError(f"{finish.name}: {count} calls of counters, {EXPECTED} expected")
    finish.write_text(text)


@contextmanager
def _opened(pins: Path, group: Group, sources: Path) -> Iterator[packet_path.Bench]:
    place = pins / group.name.replace(" ", "").replace(",", "")
    capacity = Capacity(connections=group.connections)
    with (
        harness.Harness(place.with_name(place.name + "_wrapper"), group.plan.version) as wrapper,
        Switch(place, capacity, group.plan, group.also) as switch,
    ):
        yield packet_path.Bench(switch, wrapper, sources)


def _measure(bench: packet_path.Bench, case: Case, rounds: int) -> Row:
    bench.prepare(case)
    before = bench.switch.verdicts()
    with bench.turns(case, REPEAT) as turn:
        turn()  # for the caches only
        times = [turn() for _ in range(rounds if case.fresh else rounds * SHORT)]
    bench.check(case, before)
    return Row(case.name, [counted - bare for counted, bare in times], "ns", LIMIT)


def _groups() -> tuple[Group, ...]:
    """Few flows, so that nothing but the counters is waited for; and new connections, and drops."""
    four = next(group for group in cases.groups() if group.name == "IPv4")
    others = (group for group in cases.groups() if group.name in ("DSR", "UDP"))
    kept = tuple(case for case in four.cases if "NIC" not in case.name)
    return (replace(four, cases=kept), *others)


def run(options: Namespace) -> Report:
    """Every case of a few groups."""
    report = Report("counters: ns per packet, with less without", "BPF_PROG_TEST_RUN, JIT")
    with (
        machine.alone(options.cpu, first=True),
        folder() as pins,
        tempfile.TemporaryDirectory(prefix="lbctl-bench-") as place,
    ):
        sources = Path(shutil.copytree(program.sources(), Path(place) / "bpf_src"))
        _without(sources)
        for group in _groups():
            with _opened(pins, group, sources) as bench:
                chosen = [case for case in group.cases if options.only in case.name]
                report.rows += [_measure(bench, case, options.rounds) for case in chosen]
    return report
