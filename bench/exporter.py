"""
The exporter: how long `GET /metrics` takes with 100 services, 1000 back-ends, 1 M connections.

Over the API's Unix socket, as often as new figures are collected.  Then what prometheus-client's
own writer takes for the very same samples.
"""

from __future__ import annotations

import tempfile
import time
from typing import TYPE_CHECKING

import httpx
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from bench.support import harness, lbctld, machine
from bench.support.harness import Traffic
from bench.support.report import Report, Row, WrongVerdict
from bench.support.switch import Plan, folder, only_program
from lbctl.control.metrics.exporter import FRESH
from lbctl.model import Configuration, Nic

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterable, Mapping

    from prometheus_client.core import Metric

    from bench.support.lbctld import Daemon

_MILLION = 1 << 20
_PLAN = Plan(services=100, backends=10)
_TARGET = 100
_SHARE = 0.95  # of the connections that must have found a place in the table
_OPENMETRICS = "application/openmetrics-text; version=1.0.0"
_FORMS = {
    "GET /metrics, gzip": {"Accept-Encoding": "gzip"},
    "GET /metrics, plain": {"Accept-Encoding": "identity"},
    "GET /metrics, OpenMetrics, gzip": {"Accept": _OPENMETRICS, "Accept-Encoding": "gzip"},
}


def _set_up(daemon: Daemon) -> None:
    """Give the daemon all pools at once."""
    nics = Nic(name="outside"), Nic(name="inside")
    unknown = {"on_unknown": _PLAN.on_unknown}  # packets that begin no connection make one
    pools = tuple(pool.model_copy(update=unknown) for pool in _PLAN.pools())
    wanted = Configuration(nics=nics, pools=pools)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(wanted.model_dump_json())  # which is YAML
        file.flush()
        daemon.lbctl("apply", "-f", file.name)


def _milliseconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000


def _resident(pid: int) -> float:
    """MiB; large tables are mapped only while they are read."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:  # noqa: PTH123
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["VmRSS"].split()[0]) / 1024


def _asked(client: httpx.Client, headers: Mapping[str, str], rounds: int) -> list[float]:
    """Milliseconds of each request but the first, each of which collects anew."""
    times = []
    for _ in range(1 + rounds):
        time.sleep(FRESH)
        times.append(_milliseconds(lambda: client.get("/metrics", headers=headers)))
    return times[1:]


def _sum(families: Iterable[Metric], name: str) -> float:
    return sum(s.value for family in families for s in family.samples if s.name == name)


def _measure(daemon: Daemon, report: Report, rounds: int) -> None:
    transport = httpx.HTTPTransport(uds=str(daemon.socket))
    with httpx.Client(transport=transport, base_url="http://lbctl") as client:
        before = _resident(daemon.pid)
        first = _milliseconds(lambda: client.get("/metrics"))
        report.rows.append(Row("the first one, which imports the library", [first], "ms"))
        for name, headers in _FORMS.items():
            report.rows.append(Row(name, _asked(client, headers, rounds), "ms", _TARGET))
        report.rows.append(Row("growth of the daemon", [_resident(daemon.pid) - before], "MiB"))
        text = client.get("/metrics").text
    families = list(text_string_to_metric_families(text))
    count = _sum(families, "lbctl_backend_open_connections")
    if count < _SHARE * _MILLION:
        raise WrongVerdict(f"only {count:,.0f} of {_MILLION:,} connections are in the table")
    collecting = _sum(families, "lbctl_scrape_duration_seconds") * 1000
    report.rows.append(Row("  of it collecting", [collecting], "ms"))
    samples = sum(len(family.samples) for family in families)
    report.notes.append(f"{count:,.0f} connections; {samples:,} samples in {len(text):,} bytes")
    registry = type("Registry", (), {"collect": staticmethod(lambda: families)})
    times = [_milliseconds(lambda: generate_latest(registry)) for _ in range(rounds)]
    report.rows.append(Row("prometheus-client's writer for the same samples", times, "ms"))


def run(options: Namespace) -> Report:
    """Make a million connections to a thousand back-ends, and ask again and again."""
    report = Report("exporter: GET /metrics, 1000 back-ends, 1 M connections", "native (veth)")
    with (
        machine.alone(options.cpu),
        folder() as pins,
        harness.Harness(pins / "wrapper", 4) as wrapper,
        lbctld.running(pins / "daemon", _PLAN, _MILLION) as daemon,
    ):
        _set_up(daemon)
        with only_program(pins / "daemon") as program:
            harness.establish(wrapper, program, Traffic(flows=_MILLION, ports=_PLAN.services))
        _measure(daemon, report, options.rounds)
    return report
