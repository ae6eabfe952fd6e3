"""The measurements: ``python -m bench [NAME ...]``, as root; all of them without a name."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from pathlib import Path

from bench.support import machine
from bench.support.report import Report, WrongVerdict
from lbctl.errors import LbctlError

NAMES = (
    "packet_path",
    "counters",
    "publish",
    "republish",
    "connection_count",
    "daemon",
    "exporter",
    "end_to_end",
    "agents",
    "server_dies",
    "load_shift",
    "health",
    "interrupts",
    "netif",
    "pseudo",
)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    parser.add_argument("--rounds", type=int, default=11, help="of each figure (default 11)")
    parser.add_argument("--cpu", type=int, help="to measure on (default: the last)")
    parser.add_argument("--only", default="", help="packet_path: cases with this in their name")
    parser.add_argument(
        "--against", type=Path, metavar="DIR", help="packet_path: another copy of bpf_src"
    )
    options = parser.parse_args()
    for name in options.names:
        if name not in NAMES:
            parser.error(f"{name}: no such measurement; there are {', '.join(NAMES)}")
    return options


def main() -> int:
    """Measure, print, and fail if something was not what it should have been."""
    options = _options()
    if os.geteuid():
        sys.exit("bench: needs root; use sudo")
    facts, reports = machine.describe(), []
    if options.output == "table":
        print("\n".join(f"{key:8} {value}" for key, value in facts.items()), flush=True)
    for name in options.names or NAMES:
        try:
            report: Report = importlib.import_module(f"bench.{name}").run(options)
        except (WrongVerdict, LbctlError) as error:
            sys.exit(f"bench {name}: {error}")
        reports.append(report)
        if options.output == "table":
            print(f"\n{report.text()}", flush=True)
    if options.output == "json":
        print(json.dumps({"machine": facts, "reports": [r.as_dict() for r in reports]}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
