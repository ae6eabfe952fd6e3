"""
Republishing: 10,000 publishes in a row, as pools that follow their load make them in three hours.

The shares of one pool after the other move, so that the master module deals new slots from the old
ones, and the library publishes all of them.  Meanwhile another process runs packets: first those of
established connections, none of which may be dropped or change its back-end, then the first packets
of new ones.  The memory of this process must not grow, nor its descriptors.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench.publish import Packets
from bench.support import harness, machine
from bench.support.harness import SYN, Traffic
from bench.support.report import Report, Row, WrongVerdict
from bench.support.switch import Plan, Switch, folder
from lbctl.control.master import Master
from lbctl.control.standing import Shares, Standings
from lbctl.model import Configuration, Scheduler, Timeouts
from lbctl.shared.abi import Verdict
from lbctl.shared.tables import Capacity

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from lbctl.model import Pool

_PLAN = Plan(services=10, backends=4, slots=4099)
_CAPACITY = Capacity(services=64, backends=256, slots=1 << 16, connections=1 << 16)
_TIMES, _WARM = 10_000, 1000  # publishes; those after which memory has settled
_FLOWS = 1 << 14
_PERIOD = 200  # publishes until the shares are as they were
_AMPLITUDE = 0.5  # of a share, the most that moves
_GROWTH = 1.0  # MiB
_FDS = Path("/proc/self/fd")
_ESTABLISHED = Traffic(flows=_FLOWS, ports=_PLAN.services)
_NEW = replace(_ESTABLISHED, flags=SYN, random=False, flows=1 << 22)


class Use(NamedTuple):
    """What this process has: private memory in MiB, and descriptors."""

    memory: float
    descriptors: int

    @classmethod
    def now(cls) -> Use:
        """As it is."""
        status = Path("/proc/self/status").read_text(encoding="ascii")
        fields = dict(line.split(":", 1) for line in status.splitlines())
        return cls(int(fields["RssAnon"].split()[0]) / 1024, sum(1 for _ in _FDS.iterdir()))


class Republisher:
    """Publishes the same pools with other shares, again and again."""

    def __init__(self, switch: Switch) -> None:
        fields = {"scheduler": Scheduler.LEAST_LOAD, "table_size": _PLAN.slots}
        fields["on_unknown"] = _PLAN.on_unknown
        pools = [pool.model_copy(update=fields) for pool in _PLAN.pools()]
        self._configuration = Configuration(pools=tuple(pools))
        self._table = switch.dataplane.configuration
        self._hop = switch.dataplane.routing.destination
        self._master = Master()
        self._shares = {pool.name: _shares(pool, 0) for pool in pools}
        self._number = 0
        self.milliseconds = np.full(_TIMES, np.nan)  # as large now as at the end
        self.of_master = self.milliseconds.copy()

    def __call__(self, times: int) -> None:
        """So many times more."""
        for _ in range(times):
            self._once()

    def _once(self) -> None:
        pool = self._configuration.pools[self._number % len(self._configuration.pools)]
        begin = time.perf_counter()
        self._shares[pool.name] = _shares(pool, self._number)
        found = Standings({}, dict(self._shares))
        services = self._master.services(self._configuration, self._hop, found)
        dealt = time.perf_counter()
        self._table.publish(services, Timeouts(), self._table.generation + 1)
        self.of_master[self._number] = (dealt - begin) * 1000
        self.milliseconds[self._number] = (time.perf_counter() - begin) * 1000
        self._number += 1


def _shares(pool: Pool, number: int) -> Shares:
    """Half of the back-ends lose to the others, and get it back."""
    step = number % _PERIOD
    moved = _AMPLITUDE * min(step, _PERIOD - step) / (_PERIOD / 2)
    even = 1 / len(pool.backends)
    given = {
        backend.address: even * (1 + moved * (-1) ** place)
        for place, backend in enumerate(pool.backends)
    }
    return Shares(given, given)


def _connections(switch: Switch) -> list[int]:
    """How many each back-end has, by index."""
    return [int(count) for count in switch.dataplane.connections.count_by_backend()]


def _established(
    switch: Switch, wrapper: harness.Harness, packets: Packets, publish: Callable[[], None]
) -> int:
    """Publish, and every connection keeps its back-end; returns how many packets there were."""
    switch.forget()
    harness.establish(wrapper, switch.program, _ESTABLISHED)
    before = _connections(switch)
    with packets.flowing(_ESTABLISHED, Verdict.TO_BACKEND):
        publish()
    if _connections(switch) != before:
        raise WrongVerdict("established connections changed their back-ends")
    return packets.count


def _new(switch: Switch, packets: Packets, publish: Callable[[], None]) -> int:
    """Publish, and every new connection finds a back-end; returns how many there were."""
    switch.forget()
    with packets.flowing(_NEW, Verdict.TO_BACKEND_NEW):
        publish()
    return packets.count


def run(options: Namespace) -> Report:
    """Half of it with each kind of packets."""
    report = Report(
        f"republish: {_PLAN.services} services x {_PLAN.slots} slots, {_TIMES:,} times",
        "BPF_PROG_TEST_RUN, JIT",
    )
    used, kept, made = [], 0, 0
    with (
        machine.alone(options.cpu) as cpu,
        folder() as pins,
        harness.Harness(pins / "wrapper", 4) as wrapper,
        Switch(pins / "switch", _CAPACITY, _PLAN) as switch,
    ):
        packets, republish = Packets(switch, wrapper, cpu), Republisher(switch)
        for times in (_WARM, _TIMES - _WARM):
            half = partial(republish, times // 2)
            kept += _established(switch, wrapper, packets, half)
            made += _new(switch, packets, half)
            used.append(Use.now())
    warm, last = used
    report.rows += [
        Row("master module and publish", republish.milliseconds.tolist(), "ms"),
        Row("  of it the master module", republish.of_master.tolist(), "ms"),
        Row("packets lost", [0], "", 0, note="the measurement fails otherwise"),
        Row(f"private memory, after {_WARM:,}", [warm.memory], "MiB"),
        Row("  growth from then on", [last.memory - warm.memory], "MiB", _GROWTH),
        Row("descriptors, growth", [last.descriptors - warm.descriptors], "", 0),
    ]
    report.notes += [
        f"{kept:,} packets of {_FLOWS:,} connections, all to their back-ends",
        f"{made:,} new connections, all to a back-end",
    ]
    return report
