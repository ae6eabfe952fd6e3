"""
The resource manager at work: what part of a core it takes to ask 1000 load agents once a second.

A second process, on another CPU, answers for all of them, at 1000 addresses of the loopback
network.  It has its own CPU, but what it costs to deliver its packets is in the figures.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import secrets
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from bench.support import machine
from bench.support.report import Report, Row, WrongVerdict
from lbctl.agent import wire
from lbctl.control.resource_manager import ResourceManager
from lbctl.model import Agent, AgentKind, SocketAddress
from lbctl.testbed.processes import environment

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

_AGENTS = 1000
_FIRST = IPv4Address("127.1.0.1")
_HTTP, _LINE, _NOBODY = 9100, 9101, 9102  # ports
_SETTLE_SECONDS = 3
_ROUND_SECONDS = 2
_MOST_PERCENT = 20
_REPORT = wire.LoadReport(
    cpu=0.25,
    memory=0.5,
    clients=12,
    requests_per_second=33.5,
    execution_seconds=0.012,
    connections={8080: 12, 8443: 3},
)
_ORCA = json.dumps({"cpu_utilization": 0.25, "mem_utilization": 0.5, "rps_fractional": 33.5})


class _Case(NamedTuple):
    name: str
    kind: AgentKind
    port: int
    agents: int = _AGENTS
    target: float | None = None


_CASES = (
    _Case("lbctl, signed", AgentKind.LBCTL, _HTTP, target=_MOST_PERCENT),
    _Case("orca", AgentKind.ORCA, _HTTP),
    _Case("haproxy, a connection each", AgentKind.HAPROXY, _LINE),
    _Case("node-exporter, 64 KiB pages", AgentKind.NODE_EXPORTER, _HTTP, 100),
    _Case("nobody listens", AgentKind.LBCTL, _NOBODY),
)


def run(options: Namespace) -> Report:
    """Ask agents of each kind in turn."""
    report = Report("agents: CPU to ask each of them once a second", "loopback, HTTP keep-alive")
    _open_files()
    with tempfile.TemporaryDirectory() as folder, machine.alone(options.cpu) as cpu:
        key_file = Path(folder) / "key"
        key_file.touch(0o600)
        key_file.write_text(secrets.token_hex(16))
        with _served(key_file, cpu):
            for case in _CASES:
                percent = asyncio.run(_measure(case, key_file, options.rounds))
                name = f"{case.agents} {case.name}"
                report.rows.append(Row(name, percent, "% of a core", case.target))
    return report


async def _measure(case: _Case, key_file: Path, rounds: int) -> list[float]:
    """CPU time of this process in percent of the time that passes, round by round."""
    manager = ResourceManager(lambda _event: None)
    manager.follow([_agent(case, number, key_file) for number in range(case.agents)])
    task = asyncio.create_task(manager.run())
    await asyncio.sleep(_SETTLE_SECONDS)
    percent, before = [], _polls(manager)
    started = time.perf_counter()
    for _ in range(rounds):
        cpu, now = time.process_time(), time.perf_counter()
        await asyncio.sleep(_ROUND_SECONDS)
        percent.append(100 * (time.process_time() - cpu) / (time.perf_counter() - now))
    polls = (_polls(manager) - before) / (time.perf_counter() - started)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    _require_answers(case, manager, polls)
    return percent


def _agent(case: _Case, number: int, key_file: Path) -> Agent:
    return Agent(
        address=SocketAddress(_FIRST + number, case.port),
        kind=case.kind,
        key_file=str(key_file) if case.kind is AgentKind.LBCTL else None,
    )


def _polls(manager: ResourceManager) -> int:
    return sum(state.answers + state.failures + state.refused for state in manager.states())


def _require_answers(case: _Case, manager: ResourceManager, polls: float) -> None:
    """Be sure that what was measured is what the name says."""
    if abs(polls / case.agents - 1) > 0.1:
        raise WrongVerdict(f"{case.name}: {polls:.0f} polls a second, not {case.agents}")
    problems = {state.problem for state in manager.states() if state.problem}
    if problems and case.port != _NOBODY:
        raise WrongVerdict(f"{case.name}: {problems.pop()}")


# -- the agents --------------------------------------------------------------------------------


@contextmanager
def _served(key_file: Path, cpu: int) -> Iterator[None]:
    """Have another process answer, on any CPU but *cpu*."""
    command = [sys.executable, "-m", "bench.agents", str(key_file), str(cpu)]
    with subprocess.Popen(  # noqa: S603 - our own words
        command, stdout=subprocess.PIPE, env=environment()
    ) as process:
        try:
            if not process.stdout or not process.stdout.readline():
                raise WrongVerdict("the simulated agents did not start; see above")
            yield
        finally:
            process.kill()


class _Http(asyncio.Protocol):
    """Answers each request, which comes in one piece."""

    key = b""
    page = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember whose address was called."""
        self._transport = cast("asyncio.Transport", transport)
        self._name = "{}:{}".format(*transport.get_extra_info("sockname"))

    def data_received(self, data: bytes) -> None:
        """Answer by the path."""
        path, _, query = data.split(b" ", 2)[1].decode().partition("?nonce=")
        if path == "/report":
            statement = wire.Statement(self._name, time.time(), query, _REPORT)
            body = wire.seal(self.key, statement)
        else:
            body = self.page if path == "/metrics" else _ORCA.encode()
        head = f"HTTP/1.1 200 OK\r\nServer: simulated\r\nContent-Length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)


class _Line(asyncio.Protocol):
    """Says its line and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say it."""
        cast("asyncio.Transport", transport).write(b"75% up ready\n")
        transport.close()


def _page() -> bytes:
    """As much as a node exporter says, with what is looked for in its usual places."""
    modes = ("idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user")
    cpus = [
        f'node_cpu_seconds_total{{cpu="{cpu}",mode="{mode}"}} {1000 + cpu}.25'
        for cpu in range(16)
        for mode in modes
    ]
    rest = [f'node_disk_io_time_seconds_total{{device="d{n}"}} {n}.5' for n in range(1000)]
    memory = ["node_memory_MemAvailable_bytes 4e+09", "node_memory_MemTotal_bytes 8e+09"]
    lines = [*cpus, *rest, *memory, "node_netstat_Tcp_CurrEstab 42"]
    return "\n".join(lines).encode() + b"\n"


async def _serve(key: bytes) -> None:
    _Http.key, _Http.page = key, _page()
    loop = asyncio.get_running_loop()
    for number in range(_AGENTS):
        await loop.create_server(_Http, str(_FIRST + number), _HTTP)
        await loop.create_server(_Line, str(_FIRST + number), _LINE)
    print("ready", flush=True)
    await asyncio.Event().wait()


def _open_files() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    _open_files()
    os.sched_setaffinity(0, set(range(os.cpu_count() or 1)) - {int(sys.argv[2])})
    asyncio.run(_serve(wire.read_key(sys.argv[1])))
