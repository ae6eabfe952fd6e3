"""
Publishing: 100 services of 65537 slots each, while packets flow.

Two configurations in turns, whose slots lead to different halves of the same back-ends.  Meanwhile
another process, on another CPU if there is one, runs the packets of established connections, then
the first packets of new ones.  Not one may be dropped, change its back-end, or find a back-end
that is not its service's.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bench.support import harness, machine
from bench.support.harness import SYN, Traffic
from bench.support.report import Report, Row, WrongVerdict
from bench.support.switch import Plan, Switch, folder
from lbctl.model import Timeouts
from lbctl.shared import tables
from lbctl.shared.abi import ConnectionKey, Verdict
from lbctl.shared.tables import Capacity

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from lbctl.shared.configuration import Service

_PLAN = Plan(services=100, backends=10)
_CAPACITY = Capacity()
_FLOWS = 1 << 16
# Packets a system call: several would wait for a grace period of their own, and hold off ours.
_BATCH = 1
_TARGET = 100
_ESTABLISHED = Traffic(flows=_FLOWS, ports=_PLAN.services)
_NEW = replace(_ESTABLISHED, flags=SYN, random=False)


class Packets:
    """Packets through the program, from a process of their own."""

    def __init__(self, switch: Switch, wrapper: harness.Harness, cpu: int) -> None:
        self._switch, self._wrapper = switch, wrapper
        self._cpu = min(os.sched_getaffinity(os.getppid()) - {cpu}, default=cpu)
        fork = multiprocessing.get_context("fork")
        self._ending, self._runs = fork.Event(), fork.Value("Q", 0)
        self._process = fork.Process

    def _loop(self) -> None:
        os.sched_setaffinity(0, {self._cpu})
        while not self._ending.is_set():
            self._wrapper.run_again(_BATCH)
            self._runs.value += 1

    @contextmanager
    def flowing(self, traffic: Traffic, verdict: Verdict) -> Iterator[None]:
        """Run them until the block ends.  Raises WrongVerdict unless all had that verdict."""
        self._wrapper.prepare(traffic, first=_FLOWS)
        before = self._switch.verdicts()
        self._wrapper.run(self._switch.program, _BATCH)
        self._runs.value = 1
        self._ending.clear()
        child = self._process(target=self._loop)
        child.start()
        try:
            yield
        finally:
            self._ending.set()
            child.join()
        counts = {v: n - before.get(v, 0) for v, n in self._switch.verdicts().items()}
        found = {v.name: n for v, n in counts.items() if n}
        if found != {verdict.name: self._runs.value * _BATCH}:
            raise WrongVerdict(f"{self._runs.value * _BATCH} {verdict.name} wanted, got {found}")

    @property
    def count(self) -> int:
        """Packets in the last block."""
        return int(self._runs.value) * _BATCH


def _halves(switch: Switch) -> list[list[Service]]:
    """The two configurations: slots of the first half of the back-ends, and of the second."""
    whole = switch.services(_PLAN)
    half = np.uint16(_PLAN.backends // 2)
    return [
        [replace(service, slots=service.slots % half + half * np.uint16(side)) for service in whole]
        for side in (0, 1)
    ]


def _publish(switch: Switch, rounds: int) -> list[float]:
    """Milliseconds of each publishing; the first is for the caches only."""
    table, times, halves = switch.dataplane.configuration, [], _halves(switch)
    for number in range(1 + rounds):
        started = time.perf_counter()
        table.publish(halves[number % 2], Timeouts(), table.generation + 1)
        times.append((time.perf_counter() - started) * 1000)
    return times[1:]


def _entries(switch: Switch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keys, back-ends and service ports of all places of the connection table."""
    with closing(tables.take_over(switch.path / "tables", _CAPACITY)) as opened:
        ways = opened["connections"]["way"].reshape(-1)
        ports = opened["details"]["service_port"]
        return ways["key"].copy(), ways["backend"].copy(), ports.astype(np.uint16)


def _check_services(switch: Switch) -> int:
    """Raise WrongVerdict if a connection has another service's back-end; returns how many."""
    keys, backends, ports = _entries(switch)
    belongs = np.zeros(_CAPACITY.backends, np.uint16)
    for index, record in switch.dataplane.configuration.backends().items():
        belongs[index] = record.vip.port
    used = keys >= ConnectionKey.FIRST
    wrong = np.count_nonzero(belongs[backends[used]] != ports[used])
    if wrong:
        raise WrongVerdict(f"{wrong} connections went to a back-end of another service")
    return int(np.count_nonzero(used))


def _with_established(switch: Switch, packets: Packets, options: Namespace) -> Row:
    """Every connection keeps its back-end whatever is published."""
    before = _entries(switch)
    with packets.flowing(_ESTABLISHED, Verdict.TO_BACKEND):
        times = _publish(switch, options.rounds)
    after = _entries(switch)
    if any((old != new).any() for old, new in zip(before, after, strict=True)):
        raise WrongVerdict("established connections changed")
    note = f"{packets.count:,} packets of {_FLOWS} connections, all to their back-ends"
    return Row("publish, established traffic", times, "ms", _TARGET, note=note)


def _with_new(switch: Switch, packets: Packets, options: Namespace) -> Row:
    switch.forget()
    with packets.flowing(_NEW, Verdict.TO_BACKEND_NEW):
        times = _publish(switch, options.rounds)
    used = _check_services(switch)
    note = f"{packets.count:,} new connections, the {used:,} kept ones all at their services"
    return Row("publish, new connections", times, "ms", _TARGET, note=note)


def run(options: Namespace) -> Report:
    """Publish with no traffic, with established traffic, with new connections."""
    report = Report("publish: 100 services x 65537 slots", "BPF_PROG_TEST_RUN, JIT")
    with (
        machine.alone(options.cpu) as cpu,
        folder() as pins,
        harness.Harness(pins / "wrapper", 4) as wrapper,
        Switch(pins / "switch", _CAPACITY, _PLAN) as switch,
    ):
        quiet = _publish(switch, options.rounds)
        report.rows.append(Row("publish, no traffic", quiet, "ms", _TARGET))
        harness.establish(wrapper, switch.program, _ESTABLISHED)
        packets = Packets(switch, wrapper, cpu)
        report.rows.append(_with_established(switch, packets, options))
        report.rows.append(_with_new(switch, packets, options))
    return report
