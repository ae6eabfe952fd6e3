"""
Load shift: one of three servers gets other work to do; how soon it is spared, and how well.

Each server has a part of a CPU, a cgroup with a quota, which its load agent shares and watches.
Clients make requests that cost CPU, in an open loop at about half of what the servers can do.
Then busy loops run in the cgroup of server 0, so many that it could not keep up with its share, and
end again.  The same for scheduler rr, which does not care, and for least-load; who begins changes
from round to round.  Everything else is as it is by default.
"""

from __future__ import annotations

import secrets
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.support import live, machine
from bench.support.arrivals import Arrivals, Request
from bench.support.cgroups import cgroup
from bench.support.report import Report, Row, WrongVerdict
from lbctl.testbed.stage import wait

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Sequence

    from bench.support.cgroups import Cgroup
    from bench.support.live import Live, Look

SCHEDULERS = ("rr", "least-load")
_CPU = 0.3  # of one, for each server
_HOGS = 2
_MILLISECONDS = 5  # of CPU for a request; the server's own work is another
_RATE = 75  # requests a second
_QUIET, _HOG, _AFTER = 15.0, 20.0, 45.0  # seconds
_TIMEOUT = 90.0  # longer than anybody waits: nothing but a real failure is to count as one
_REACTION = 10.0  # seconds after which the load is to have moved
_REST = 30.0  # seconds after the hog after which the shares are to rest
_WINDOW = 2.0  # seconds of a measured share
_AGENT_PORT = 8407
_PATIENCE = 20.0


class Phase(NamedTuple):
    """What was seen with one scheduler; the hog began at *start* and ended at *end*."""

    scheduler: str
    start: float
    end: float
    requests: list[Request]
    looks: list[Look]

    def during(self, begin: float, end: float) -> list[Request]:
        """The requests that were due from *begin* to *end*."""
        return [request for request in self.requests if begin <= request.due < end]


# -- the figures -------------------------------------------------------------------------------


def _share(requests: Sequence[Request]) -> float | None:
    """The part that server 0 answered."""
    answered = [request.server for request in requests if request.server]
    return answered.count("server0") / len(answered) if answered else None


def _seconds_to_half(phase: Phase) -> float:
    """Until server 0 has got less than half of its share; until the end, if it never did."""
    half = 1 / 3 / 2
    for request in phase.during(phase.start, phase.requests[-1].due):
        share = _share(phase.during(request.due - _WINDOW, request.due))
        if request.due - _WINDOW >= phase.start and share is not None and share < half:
            return request.due - phase.start
    return phase.requests[-1].due - phase.start


def _p99(requests: Sequence[Request]) -> float:
    """In milliseconds, of those that were answered."""
    took = sorted(request.seconds for request in requests if request.server)
    return 1000 * took[len(took) * 99 // 100]


def _movement(phase: Phase) -> float:
    """The most that a given share differs from itself, once all should be at rest."""
    rest = [look.shares for look in phase.looks if look.time >= phase.end + _REST]
    columns = [[shares[number] for shares in rest] for number in range(3)]
    return max(max(column) - min(column) for column in columns)


def _rows(phases: dict[str, list[Phase]]) -> list[Row]:
    calm, hit = {}, {}
    for name, seen in phases.items():
        calm[name] = [_p99(phase.during(phase.start - _HOG, phase.start)) for phase in seen]
        hit[name] = [_p99(phase.during(phase.start + _REACTION, phase.end)) for phase in seen]
    if min(hit["rr"]) < 2 * max(calm["rr"]):
        raise WrongVerdict(f"the hog did not hurt: p99 {calm['rr']} ms before, then {hit['rr']} ms")
    moved = phases["least-load"]
    half = [_seconds_to_half(phase) for phase in moved]
    failed = [float(sum(bool(r.failure) for r in p.requests)) for ps in phases.values() for p in ps]
    last = [phase.looks[-1].shares for phase in moved]
    return [
        Row("server 0 has half of its share", half, "s", _REACTION, note="after the hog's start"),
        *(Row(f"p99 before: {name}", calm[name], "ms") for name in phases),
        *(Row(f"p99 from {_REACTION:g} s on: {name}", hit[name], "ms") for name in phases),
        Row(
            "  least-load / rr",
            [a / b for a, b in zip(hit["least-load"], hit["rr"], strict=True)],
            "",
            0.5,
        ),
        Row("failed requests", failed, "", 0, note=f"of {len(moved[0].requests):,} each"),
        Row(
            "shares move",
            [_movement(phase) for phase in moved],
            "",
            0.05,
            note=f"from {_REST:g} s after the hog's end on",
        ),
        *(Row(f"  of server {i} at the end", [s[i] for s in last], "") for i in range(3)),
    ]


def _series(phase: Phase, turn: int) -> dict[str, Any]:
    """Second by second from the hog's start; latencies of the requests that were due in it."""
    columns = ["second", "requests", "failed", "measured0", "p50_ms", "p99_ms"]
    columns += [f"{what}{number}" for what in ("given", "load") for number in range(3)]
    rows = []
    for second in range(-int(_QUIET), int(_HOG + _AFTER)):
        begin = phase.start + second
        requests = phase.during(begin, begin + 1)
        look = next((look for look in phase.looks if look.time >= begin), phase.looks[-1])
        took = sorted(1000 * request.seconds for request in requests) or [0.0]
        middle, most = took[len(took) // 2], took[len(took) * 99 // 100]
        failed = sum(bool(request.failure) for request in requests)
        figures = [second, len(requests), failed, _share(requests), middle, most]
        rows.append([*figures, *look.shares, *look.loads])
    hog = {"hog_seconds": phase.end - phase.start, "round": turn}
    return {"scheduler": phase.scheduler, **hog, "columns": columns, "rows": rows}


# -- the work ----------------------------------------------------------------------------------


def _agents(switch: Live, groups: Sequence[Cgroup]) -> list[dict[str, Any]]:
    """Start a load agent in each server's cgroup; returns them as configurations have them."""
    key = switch.bed.folder / "agent.key"
    key.touch(0o600)
    key.write_text(secrets.token_hex(32), encoding="ascii")
    configured = []
    for host, group in zip(switch.bed.servers, groups, strict=True):
        place = f"{host.ipv4}:{_AGENT_PORT}"
        options = [f"--cgroup={group.path}", f"--key-file={key}", f"--listen={place}"]
        options += [f"--state-file={switch.bed.folder / host.role}.state"]
        command = [sys.executable, "-m", "lbctl.agent", "run", *options]
        with (switch.bed.folder / f"{host.role}.agent.log").open("wb") as log:
            group.add(switch.bed.popen(host.role, command, stdout=log, stderr=log).pid)
        configured.append({"address": place, "key_file": str(key)})
    return configured


@contextmanager
def _hog(switch: Live, group: Cgroup) -> Iterator[None]:
    """Other work for server 0, until the block ends."""
    loop = [sys.executable, "-c", "while True: pass"]
    children = [switch.bed.popen("server0", loop) for _ in range(_HOGS)]
    try:
        for child in children:
            group.add(child.pid)
        yield
    finally:
        for child in children:
            child.kill()
            child.wait()


def _phase(
    switch: Live, group: Cgroup, agents: list[dict[str, Any]], scheduler: str, seed: int
) -> Phase:
    """All of it with one scheduler."""
    switch.configure(agents, scheduler=scheduler)
    wait(lambda: all(a["state"] == "fresh" for a in switch.api.agents()), _PATIENCE, "no agent")
    url = f"http://{live.VIP}/work?milliseconds={_MILLISECONDS}"
    whole = _QUIET + _HOG + _AFTER
    arrivals = Arrivals(switch.bed, url, whole, rate=_RATE, seed=seed, timeout=_TIMEOUT)
    with switch.watched() as looks:
        time.sleep(_QUIET)
        start = time.monotonic()
        with _hog(switch, group):
            time.sleep(_HOG)
        end = time.monotonic()
        requests = arrivals.finish()
    last = requests[-1].due  # what comes after is not load, but waiting for answers
    return Phase(scheduler, start, end, requests, [look for look in looks if look.time <= last])


def run(options: Namespace) -> Report:
    """All rounds; each takes nearly three minutes."""
    report = Report(
        f"load shift: a hog on one of 3 servers of {_CPU:g} CPU, {_RATE} requests/s",
        "native XDP on veth, NAT",
    )
    phases: dict[str, list[Phase]] = {name: [] for name in SCHEDULERS}
    with ExitStack() as stack:
        stack.enter_context(machine.locked())
        groups = [stack.enter_context(cgroup(f"server{number}", _CPU)) for number in range(3)]
        switch = stack.enter_context(live.switch())
        for number, group in enumerate(groups):
            group.add(switch.server(number).pid)
        agents = _agents(switch, groups)
        for turn in range(machine.long_rounds(options.rounds)):
            for name in SCHEDULERS[:: -1 if turn % 2 else 1]:
                phase = _phase(switch, groups[0], agents, name, turn)
                phases[name].append(phase)
                report.series.append(_series(phase, turn))
    report.rows += _rows(phases)
    return report
