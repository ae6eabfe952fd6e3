"""The comparison: make a scenario of what the command line says, and run every scheduler on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lbctl.control.schedulers import names
from lbctl.errors import UsageError
from lbctl.simulation import trace as traces
from lbctl.simulation.engine import Engine
from lbctl.simulation.scenario import Hog, Scenario

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lbctl.simulation.engine import Run
    from lbctl.simulation.scenario import Sample

USUAL_LOAD = 0.6  # of all capacity, if no rate is given
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def scenario(  # noqa: PLR0913 - each is an option
    *,
    capacities: Sequence[float],
    weights: Sequence[int],
    rate: float | None,
    seconds: float,
    hogs: Sequence[str],
    trace: str | None,
    seed: int,
) -> Scenario:
    """Make a scenario; servers are called a, b, c, ...  Raises UsageError with one line."""
    called = [_name(number) for number in range(len(capacities))]
    made = Scenario(
        capacities=dict(zip(called, capacities, strict=True)),
        weights=dict(zip(called, weights, strict=True)),
        rate=USUAL_LOAD * sum(capacities) if rate is None else rate,
        seconds=seconds,
        hogs=[_hog(text) for text in hogs],
        trace=_trace(trace) if trace else (),
        seed=seed,
    )
    made.check()
    return made


def runs(told: Scenario, schedulers: Sequence[str]) -> list[Run]:
    """Run *told* with each of *schedulers*.  Raises UsageError for one that does not exist."""
    for scheduler in schedulers:
        if scheduler not in names():
            raise UsageError(f"no scheduler {scheduler!r}; there are {', '.join(names())}")
    return [Engine(told, scheduler).run() for scheduler in dict.fromkeys(schedulers)]


def _trace(path: str) -> list[Sample]:
    try:
        with Path(path).open(encoding="utf-8") as file:
            return traces.read(file)
    except OSError as err:
        raise UsageError(f"{path}: {err.strerror}; name a trace that can be read") from err


def _hog(text: str) -> Hog:
    try:
        return Hog.parse(text)
    except ValueError as err:
        raise UsageError(str(err)) from err


def _name(number: int) -> str:
    """Name servers a to z, then a1 to z1, and so on."""
    rounds, letter = divmod(number, len(LETTERS))
    return LETTERS[letter] + (str(rounds) if rounds else "")
