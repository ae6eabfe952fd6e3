"""
The trace: read what was recorded of servers, as CSV or as JSON lines.

    time,server,cpu,memory,rate
    0,a,0.10,0.4,
    0,,,,180
    30,a,0.75,,

From its time on, in seconds, a line says what other work takes of a server's CPU and how much of
its memory is in use, both 0 to 1, or without a server how many requests a second come in all.
What is empty or missing stays as it was.  JSON lines have the same names.
"""

from __future__ import annotations

import csv
import json
from math import isfinite
from typing import TYPE_CHECKING

from lbctl.errors import UsageError
from lbctl.simulation.scenario import Sample

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

LIMITS = {"time": 1e9, "cpu": 1.0, "memory": 1.0, "rate": 1e9}


def read(file: IO[str]) -> list[Sample]:
    """Read a trace, sorted by time.  Raises UsageError with the line that is wrong."""
    name = getattr(file, "name", "trace")
    try:
        rows = list(_rows(file.read().splitlines(), name))
    except UnicodeDecodeError as err:
        raise UsageError(f"{name}: not text ({err.reason}); a trace is CSV or JSON lines") from err
    if not rows:
        raise UsageError(f"{name}: no lines; a trace has at least time and server")
    samples = [_sample(row, f"{name}: line {number}") for number, row in rows]
    return sorted(samples, key=lambda sample: sample.time)


def _rows(lines: list[str], name: str) -> Iterator[tuple[int, dict[str, object]]]:
    if lines and lines[0].lstrip().startswith("{"):
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield number, _json(line, f"{name}: line {number}")
        return
    reader = csv.DictReader(lines)
    for row in reader:
        yield reader.line_num, {key: value for key, value in row.items() if value}


def _json(line: str, where: str) -> dict[str, object]:
    try:
        row = json.loads(line)
    except ValueError as err:
        raise UsageError(f"{where}: no JSON ({err}); each line is one object") from err
    if not isinstance(row, dict):
        raise UsageError(f"{where}: not an object; write {{'time': 0, 'server': 'a', 'cpu': 0.1}}")
    return row


def _sample(row: dict[str, object], where: str) -> Sample:
    server = row.get("server")
    if server is not None and not isinstance(server, str):
        raise UsageError(f"{where}: server {server!r} is no name; put it in quotes")
    time = _number(row, "time", where)
    if time is None:
        raise UsageError(f"{where}: no time; each line has time, in seconds")
    sample = Sample(
        time, server, **{name: _number(row, name, where) for name in ("cpu", "memory", "rate")}
    )
    if server is None and sample.rate is None:
        raise UsageError(f"{where}: neither a server nor a rate; name one of them")
    return sample


def _number(row: dict[str, object], name: str, where: str) -> float | None:
    value = row.get(name)
    if value is None:
        return None
    try:
        number = float(value) if isinstance(value, str | int | float) else float("nan")
    except ValueError:
        number = float("nan")
    if not isfinite(number) or not 0 <= number <= LIMITS[name]:
        raise UsageError(f"{where}: {name} is {value!r}; it must be 0 to {LIMITS[name]:g}")
    return number
