"""
Dedicated CPUs: what disturbs a program that polls, while packets flow and others have work to do.

The program is a plain loop on the last CPU; packets come by a veth NIC with two queues, sent from
the first CPU.  A veth has no interrupts of its own: what is counted are the kernel's on that CPU
(timer, calls, reschedules), and how often the loop had to give way to somebody.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from bench.support import machine
from bench.support.report import Report, Row, WrongVerdict
from lbctl.control.processors.keeper import Processors
from lbctl.model import Configuration
from lbctl.testbed import namespaces
from lbctl.testbed.far_end import pass_everything

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

_SECONDS = 10
_NEAR, _FAR = "near", "far"  # the switch's NIC, and who sends to it
_OTHERS = 4  # programs that have some work every few milliseconds
_LOOP = f"""
import json, time
end, last, longest = time.perf_counter() + {_SECONDS}, time.perf_counter(), 0.0
while last < end:
    now = time.perf_counter()
    longest, last = max(longest, now - last), now
words = dict(line.split(":") for line in open("/proc/self/status") if "ctxt" in line)
print(json.dumps([int(words["nonvoluntary_ctxt_switches"]), 1000 * longest, time.process_time()]))
"""
_SEND = """
import socket, time
plug = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
plug.bind(("far", 0))
frame = bytes.fromhex("ffffffffffff020000000001") + b"\\x88\\xb5" + bytes(46)
while True:
    try:
        plug.send(frame)
    except OSError:  # the queue is full: the thread has to run
        time.sleep(0.0001)
"""
_WORK = """
import time
while True:
    sum(range(20000))
    time.sleep(0.002)
"""
_WAYS = ("as it is", "lbctl cpu apply", "the same, and others keep away")


class _Seen(NamedTuple):
    """What the loop's CPU and the loop itself saw in one round."""

    interrupts: float
    switches: float
    longest: float  # milliseconds
    percent: float  # of a CPU, that the loop had


def run(options: Namespace) -> Report:
    """Each way in turn, round by round."""
    online = sorted(os.sched_getaffinity(0))
    cpu = online[-1] if options.cpu is None else options.cpu
    if len(online) < 2:
        raise WrongVerdict("one CPU: there is none to dedicate")
    report = Report(
        f"interrupts: what disturbs a loop on CPU {cpu} in {_SECONDS} seconds",
        "veth, threads poll; `--only-own`: interrupts of the machine's devices stay as they are",
    )
    seen: dict[str, list[_Seen]] = {way: [] for way in _WAYS}
    with machine.locked(), tempfile.TemporaryDirectory() as folder, _cable() as name:
        for _ in range(machine.long_rounds(options.rounds)):
            for way in _WAYS:
                look = partial(_round, name, Path(folder), way, cpu, online[0])
                seen[way].append(namespaces.call(name, look))
    figures = {
        "interrupts": "",
        "times the loop had to give way": "",
        "longest pause of the loop": "ms",
        "what the loop had of the CPU": "%",
    }
    for way, rounds in seen.items():
        for number, (what, unit) in enumerate(figures.items()):
            values = [one[number] for one in rounds]
            report.rows.append(Row(f"{way}: {what}", values, unit, at_least=unit == "%"))
    report.notes.append(
        "others keep away by an affinity, as a cpuset partition of cgroup v2 would have it"
    )
    return report


@contextlib.contextmanager
def _cable() -> Iterator[str]:
    """A namespace with both ends of a cable, whose near end has threads."""
    name, queues = f"lbb{uuid4().hex[:8]}", "numrxqueues 2 numtxqueues 2"
    namespaces.create(name)
    try:
        namespaces.ip(
            name,
            [
                f"link add {_NEAR} {queues} type veth peer name {_FAR} {queues}",
                f"link set {_NEAR} up",
                f"link set {_FAR} up",
            ],
        )
        namespaces.call(name, lambda: pass_everything([_NEAR]))
        yield name
    finally:
        namespaces.delete(name)


def _round(name: str, folder: Path, way: str, cpu: int, first: int) -> _Seen:
    """Ten seconds of one way, in the namespace *name*."""
    wanted = Configuration.model_validate({"processors": _processors(cpu, first)})
    keeper = Processors(folder, name, lambda *_: None)
    threads = Configuration.model_validate(
        {"processors": [{"name": "any", "cpus": [first], "nics": [_NEAR], "polling": "threaded"}]}
    )
    everywhere = os.sched_getaffinity(0)
    kept = {first} if way == _WAYS[2] else everywhere
    keeper.apply(threads if way == _WAYS[0] else wanted, [_NEAR], "bench", only_own=True)
    try:
        if way == _WAYS[0]:
            _let_go(everywhere)
        with contextlib.ExitStack() as ends:
            _started(ends, _SEND, {first})
            for _ in range(_OTHERS):
                _started(ends, _WORK, kept)
            return _watched(cpu)
    finally:
        keeper.restore("bench")


def _processors(cpu: int, first: int) -> list[dict[str, object]]:
    """The last CPU for the loop, the first for packets and everything else."""
    return [
        {"name": "loop", "role": "application", "cpus": [cpu]},
        {"name": "packets", "cpus": [first], "nics": [_NEAR], "polling": "threaded"},
        {"name": "rest", "role": "control", "cpus": [first]},
    ]


def _let_go(cpus: set[int]) -> None:
    """Have threads that run anywhere, as the kernel makes them."""
    for path in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if path.read_text().startswith(f"napi/{_NEAR}-"):
                os.sched_setaffinity(int(path.parent.name), cpus)


def _started(ends: contextlib.ExitStack, code: str, cpus: set[int]) -> None:
    """A process that runs on *cpus* until the end."""
    process = subprocess.Popen([sys.executable, "-c", code])  # noqa: S603 - ours
    ends.callback(process.wait)
    ends.callback(process.kill)
    os.sched_setaffinity(process.pid, cpus)


def _watched(cpu: int) -> _Seen:
    """Run the loop on *cpu*."""
    before = _interrupts(cpu)
    command = [sys.executable, "-c", _LOOP]
    loop = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours
    os.sched_setaffinity(loop.pid, {cpu})
    said, _ = loop.communicate()
    switches, longest, seconds = json.loads(said)
    percent = 100 * seconds / _SECONDS
    return _Seen(_interrupts(cpu) - before, switches, longest, percent)


def _interrupts(cpu: int) -> int:
    """How many that CPU has had."""
    head, *lines = Path("/proc/interrupts").read_text().splitlines()
    column = head.split().index(f"CPU{cpu}") + 1
    rows = [line.split() for line in lines]
    return sum(int(row[column]) for row in rows if len(row) > column and row[column].isdecimal())
