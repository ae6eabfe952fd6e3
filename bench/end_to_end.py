"""
End to end: live packets through a switch in a namespace, everything on one CPU.

Three ways of switching in turns: nftables DNAT, lbctl (native XDP, NAT), and an XDP redirect that
looks at nothing, which is the ceiling.  The sender's and receiver's work is in the figures too:
what counts are the ratios, each of one round.  A second is one of CPU time, so that what else the
machine does counts less.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.support import cables, generator, harness, machine, ways, web
from bench.support.harness import UDP, Traffic
from bench.support.report import Report, Row
from bench.support.switch import folder
from lbctl.model import Protocol

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable
    from pathlib import Path

    from bench.support.cables import Cables

_WAYS = {"nftables": ways.nftables, "lbctl": ways.lbctl, "redirect": ways.redirect}
_PACKETS, _NEW_FLOWS, _FLOWS = 200_000, 100_000, 1000
_HTTP_SECONDS = 1.0
Rates = dict[tuple[str, str], list[float]]  # by work and way, round by round
_HTTP_PORT = ways.PORTS[Protocol.TCP]


@dataclass(frozen=True)
class Workload:
    """What is sent; *target*: of lbctl, as a part of the ceiling."""

    name: str
    unit: str
    target: float
    udp: bool
    new: bool


_WORKLOADS = (
    Workload("UDP, 60 bytes", "packets/s", 0.85, udp=True, new=False),
    Workload("UDP, each a new flow", "packets/s", 0.7, udp=True, new=True),
    Workload("HTTP, new connections", "1/s", 0.97, udp=False, new=True),
    Workload("HTTP, kept alive", "1/s", 0.97, udp=False, new=False),
)


def _udp(work: Workload, names: Cables, wrapper: harness.Harness) -> float:
    traffic = Traffic(
        protocol=UDP,
        port=ways.PORTS[Protocol.UDP],
        flows=_FLOWS,
        random=not work.new,
        destination_mac=names.macs["outside"],
    )
    source = generator.Generator(wrapper, names.client, cables.ifindex(names.client, "client"))
    with generator.Sink(names.server, cables.ifindex(names.server, "server")) as sink:
        source.send(traffic, _FLOWS, sink)
        return source.send(traffic, _NEW_FLOWS if work.new else _PACKETS, sink)


def _http(work: Workload, names: Cables, server: int) -> float:
    to = (cables.VIP, _HTTP_PORT)
    return web.load(names.client, to, _HTTP_SECONDS, keep=not work.new, pid=server)


def _round(
    pins: Path, names: Cables, measure: Callable[[Workload], float], rates: Rates, *, turn: int
) -> None:
    """Each way once, each work once; who begins changes."""
    order = list(_WAYS.items())[:: -1 if turn % 2 else 1]
    for way, switching in order:
        with switching(names, pins) as forget:
            for work in _WORKLOADS:
                forget()
                rates.setdefault((work.name, way), []).append(measure(work))


def _rows(rates: Rates) -> list[Row]:
    rows = []
    for work in _WORKLOADS:
        by_way = {way: rates[work.name, way] for way in _WAYS}
        rows += [Row(f"{work.name}: {way}", v, work.unit) for way, v in by_way.items()]
        for one, two, target in (
            ("lbctl", "redirect", work.target),
            ("lbctl", "nftables", None),
            ("redirect", "nftables", None),
        ):
            ratios = [a / b for a, b in zip(by_way[one], by_way[two], strict=True)]
            rows.append(Row(f"  {one} / {two}", ratios, "", target, at_least=True))
    return rows


def run(options: Namespace) -> Report:
    """All rounds; the first is for the caches only."""
    report = Report("end to end, one CPU", "native XDP on veth, 1 queue")
    rates: Rates = {}
    with (
        machine.alone(options.cpu, first=True),
        folder() as pins,
        harness.Harness(pins / "wrapper", 4) as wrapper,
        cables.connected() as names,
        web.server(names.server, _HTTP_PORT) as server,
    ):

        def measure(work: Workload) -> float:
            return _udp(work, names, wrapper) if work.udp else _http(work, names, server)

        for turn in range(1 + options.rounds):
            _round(pins, names, measure, rates, turn=turn)
    report.rows += _rows({key: values[1:] for key, values in rates.items()})
    return report
