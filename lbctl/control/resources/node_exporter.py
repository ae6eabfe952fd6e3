"""
The node exporter kind: find CPU, memory and connections on a Prometheus page.

The page is not parsed: the few lines of interest are searched for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lbctl.agent.wire import BadReport, decode_report
from lbctl.control.resources.http import HttpAsker
from lbctl.model.load import DEFAULT_PATHS, AgentKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lbctl.agent.wire import LoadReport
    from lbctl.control.resources.asking import OnEnd
    from lbctl.model import Agent, SocketAddress

MAX_PAGE = 1 << 20  # bytes
MAX_LINES = 16384  # of CPU times; a CPU has eight
CPU = b"node_cpu_seconds_total{"
IDLE = b'mode="idle"'
TOTAL = b"node_memory_MemTotal_bytes"
AVAILABLE = b"node_memory_MemAvailable_bytes"
CONNECTIONS = b"node_netstat_Tcp_CurrEstab"


class Seconds(NamedTuple):
    """CPU time since the start of the machine, all CPUs together."""

    idle: float
    total: float


def cpu_seconds(page: bytes) -> Seconds | None:
    """Add up the CPU times of a page; None if it has none.  Raises BadReport."""
    idle = total = 0.0
    count = 0
    for line in _block(page, CPU):
        count += 1
        if count > MAX_LINES:
            raise BadReport(f"the page has more than {MAX_LINES} lines of CPU times")
        seconds = _value(line.rpartition(b"}")[2])
        total += seconds
        if IDLE in line:
            idle += seconds
    return Seconds(idle, total) if count else None


def _block(page: bytes, prefix: bytes) -> Iterator[bytes]:
    """Yield the lines that begin with *prefix*, which stand together."""
    begin = 0 if page.startswith(prefix) else page.find(b"\n" + prefix) + 1
    while page.startswith(prefix, begin):
        end = page.find(b"\n", begin)
        end = len(page) if end < 0 else end
        yield page[begin:end]
        begin = end + 1


def _single(page: bytes, name: bytes) -> float | None:
    """Find the value of the metric *name*, which has no labels."""
    for line in _block(page, name + b" "):
        return _value(line[len(name) :])
    return None


def _value(text: bytes) -> float:
    """Read the value; a time may follow it.  Raises BadReport unless it is finite, 0 or more."""
    try:
        value = float(text.split(maxsplit=1)[0])
    except (ValueError, IndexError):
        raise BadReport(f"not a number: {ascii(text[:40])[1:]}") from None
    if not 0 <= value < float("inf"):
        raise BadReport(f"not a number from 0: {value}")
    return value


def _busy(before: Seconds | None, now: Seconds | None) -> float | None:
    """Part of the CPU time between two pages in which it was not idle; None if nobody can say."""
    if before is None or now is None:
        return None
    idle, total = now.idle - before.idle, now.total - before.total
    if idle < 0 or total <= 0 or idle > total:  # started anew, or a CPU came or went
        return None
    return 1 - idle / total


class NodeExporter:
    """Remembers the CPU times of the last page."""

    def __init__(self) -> None:
        self._before: Seconds | None = None
        self._busy: float | None = None

    def asker(self, address: SocketAddress, on_end: OnEnd) -> HttpAsker:
        """HTTP."""
        return HttpAsker(address, MAX_PAGE, on_end)

    def target(self, agent: Agent) -> str:
        """The page."""
        return agent.path or DEFAULT_PATHS[AgentKind.NODE_EXPORTER]

    def read(self, _agent: Agent, answer: bytes) -> LoadReport:
        """Read the page; the first one cannot tell of the CPU yet."""
        seconds = cpu_seconds(answer)
        total, available = _single(answer, TOTAL), _single(answer, AVAILABLE)
        connections = _single(answer, CONNECTIONS)
        if seconds is None and total is None and connections is None:
            raise BadReport("the page has no node_ metrics; is it a node exporter's?")
        report = decode_report(
            {
                "cpu": self._cpu(seconds),
                "memory": 1 - available / total if total and available is not None else None,
                "clients": None if connections is None else int(connections),
            }
        )
        self._before = seconds
        return report

    def _cpu(self, seconds: Seconds | None) -> float | None:
        if seconds != self._before:  # the same page again says what it said before
            self._busy = _busy(self._before, seconds)
        return self._busy
