"""
The plot: a picture of what each scheduler did, one row for each.

Matplotlib is imported only here, and only when a picture is wanted: lbctl does not depend on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lbctl.errors import LbctlError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from lbctl.simulation.engine import Run
    from lbctl.simulation.scenario import Scenario

# Okabe and Ito's colours, which people with any kind of colour vision can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MOST_NAMED = 7  # servers: more lines than this are grey


def draw(scenario: Scenario, runs: Sequence[Run], path: str) -> None:
    """
    Write the picture of *runs* to *path*; its end says the format: .png, .svg, .pdf.

    Raises LbctlError without matplotlib, for another format, or if the file cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - optional
        from matplotlib.figure import Figure  # noqa: PLC0415 - optional
    except ImportError as err:
        raise LbctlError(
            f"{path}: a picture needs matplotlib, which is not installed ({err.name}); "
            f"run `pip install matplotlib`, or leave out --plot"
        ) from err
    figure = Figure(figsize=(13, 1.0 + 2.3 * len(runs)), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(len(runs), 3, sharex=True, sharey="col", squeeze=False)
    for row, run in zip(rows, runs, strict=True):
        _row(row, run, scenario)
    rows[0][0].set_ylim(0, min(1.0, 1.1 * max(float(run.shares.max()) for run in runs)))
    for axes, title in zip(rows[0], ("share", "load", "response time [ms]"), strict=True):
        axes.set_title(title)
    for axes in rows[-1]:
        axes.set_xlabel("seconds")
    _legend(figure, rows[0][0], hogs=bool(scenario.hogs))
    try:
        figure.savefig(path, dpi=110)
    except (OSError, ValueError) as err:
        raise LbctlError(f"{path}: cannot be written: {err}; name a .png in a folder") from err


def _row(row: Sequence[Any], run: Run, scenario: Scenario) -> None:
    """Draw one run: shares, loads, response times."""
    columns = (run.shares, run.loads, run.seconds * 1000)
    for axes, values in zip(row, columns, strict=True):
        for hog in scenario.hogs:
            axes.axvspan(hog.start, hog.end, color="0.92", linewidth=0)
        for i, name in enumerate(run.servers):
            named = i < MOST_NAMED
            axes.plot(
                run.times,
                values[:, i],
                color=COLOURS[i] if named else "0.6",
                linewidth=1.3,
                label=name if named else None,
            )
        axes.grid(color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    row[0].set_ylabel(run.scheduler, fontweight="bold")
    row[1].set_ylim(0, 1.05)
    row[2].set_yscale("log")
    row[2].set_xlim(0, float(np.max(run.times)))


def _legend(figure: Any, axes: Any, *, hogs: bool) -> None:  # noqa: ANN401 - matplotlib's own
    """Say once for all which line is which server."""
    from matplotlib.patches import Patch  # noqa: PLC0415 - optional

    handles, labels = axes.get_legend_handles_labels()
    if hogs:
        handles.append(Patch(color="0.92"))
        labels.append("a hog takes CPU")
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
