"""
The ORCA kind: read an Open Request Cost Aggregation load report as JSON.

Names are those of the message xds.data.orca.v3.OrcaLoadReport, or as protobuf writes them in JSON
(`cpuUtilization`).  It has no names for clients and execution time: `clients` and
`execution_seconds` among `named_metrics` are taken for them.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from lbctl.agent.wire import BadReport, decode_report
from lbctl.control.resources.http import HttpAsker
from lbctl.model.load import DEFAULT_PATHS, AgentKind

if TYPE_CHECKING:
    from lbctl.agent.wire import LoadReport
    from lbctl.control.resources.asking import OnEnd
    from lbctl.model import Agent, SocketAddress

MAX_JSON = 65536  # bytes
CAPITAL = re.compile(r"(?<=[a-z])([A-Z])")
FIELDS = {
    "cpu": "cpu_utilization",
    "memory": "mem_utilization",
    "utilization": "application_utilization",
    "requests_per_second": "rps_fractional",
}


def read_orca(answer: bytes) -> LoadReport:
    """Read a report.  Raises BadReport."""
    try:
        data = json.loads(answer)
    except (ValueError, RecursionError) as err:
        raise BadReport(f"the answer is not JSON: {type(err).__name__}") from None
    if not isinstance(data, dict):
        raise BadReport("the answer is not a JSON object")
    told = {CAPITAL.sub(r"_\1", name).lower(): value for name, value in data.items()}
    named = told.get("named_metrics")
    if named is not None and not isinstance(named, dict):
        raise BadReport("named_metrics is not a JSON object")
    report = {ours: told.get(theirs) for ours, theirs in FIELDS.items()}
    for name in ("clients", "execution_seconds"):
        report[name] = (named or {}).get(name)
    if isinstance(report["clients"], float) and report["clients"].is_integer():
        report["clients"] = int(report["clients"])  # they are all floating-point numbers there
    return decode_report(report)


class Orca:
    """Asks for the report."""

    def asker(self, address: SocketAddress, on_end: OnEnd) -> HttpAsker:
        """HTTP."""
        return HttpAsker(address, MAX_JSON, on_end)

    def target(self, agent: Agent) -> str:
        """The report."""
        return agent.path or DEFAULT_PATHS[AgentKind.ORCA]

    def read(self, _agent: Agent, answer: bytes) -> LoadReport:
        """Read it."""
        return read_orca(answer)
