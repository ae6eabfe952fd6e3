"""The summary: a run in a few figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from lbctl.simulation.engine import Run


def summary(run: Run) -> dict[str, Any]:
    """
    Say how good a run was.

    Loads are parts of a CPU, over servers and time; seconds are those that a request took, each
    request counting once.  *spread* is the load of the busiest server less that of the idlest, on
    average.  *slots_moved* counts a slot each time it changes hands.
    """
    return {
        "scheduler": run.scheduler,
        "load_mean": _round(run.loads.mean()),
        "load_p99": _round(np.quantile(run.loads, 0.99)),
        "seconds_mean": _round(np.average(run.seconds, weights=run.rates)),
        "seconds_p99": _round(_quantile(run.seconds, run.rates, 0.99)),
        "spread": _round(np.ptp(run.loads, axis=1).mean()),
        "slots_moved": int(run.moved.sum()),
        "shares": {
            name: _round(share) for name, share in zip(run.servers, run.shares[-1], strict=True)
        },
    }


def _quantile(values: np.ndarray, counts: np.ndarray, part: float) -> np.floating[Any]:
    """The value that *part* of all are not above, when each counts as often as *counts* says."""
    order = np.argsort(values, axis=None)
    so_far = np.cumsum(counts.ravel()[order])
    found: np.floating[Any] = values.ravel()[order][np.searchsorted(so_far, part * so_far[-1])]
    return found


def _round(value: np.floating[Any]) -> float:
    return round(float(value), 6)
