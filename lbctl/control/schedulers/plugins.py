"""
The plugins: schedulers that other packages ship, found by entry point and loaded when used.

A package says in its pyproject.toml:

    [project.entry-points."lbctl.schedulers"]
    night-shift = "example.night:NightShift"

What it names is an object with `shares`, or a class of such objects; of a class every pool gets
an object of its own.  Nothing a plugin does ends the daemon: `shares_by` turns it into an error.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Protocol

import numpy as np

from lbctl.errors import LbctlError
from lbctl.model import Scheduler
from lbctl.model.pools import PLUGIN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from importlib.metadata import EntryPoint

    from lbctl.control.schedulers.loads import Array
    from lbctl.control.schedulers.server import Server

GROUP = "lbctl.schedulers"


class Shares(Protocol):
    """What a plugin has to be."""

    def shares(self, servers: Sequence[Server]) -> Sequence[float]:
        """
        Say how much each of *servers* should get, in their order; only the ratios matter.

        Called every `interval` with the servers that get new connections, at least one.
        """


@cache
def found() -> Mapping[str, EntryPoint]:
    """The plugins that are installed, by name; the names of our own schedulers are taken."""
    taken = set(Scheduler)
    return {
        point.name: point
        for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)
        if point.name not in taken and re.fullmatch(PLUGIN, point.name)
    }


def load(name: str) -> Shares:
    """Import the plugin *name*, which `found` has.  Raises LbctlError if that fails."""
    try:
        plugin = found()[name].load()
        made: Shares = plugin() if isinstance(plugin, type) else plugin
    except (Exception, SystemExit) as err:  # whatever it is, it is not ours
        raise LbctlError(_failed(name, err)) from err
    return made


def shares_by(name: str, plugin: Shares, servers: Sequence[Server]) -> Array:
    """Ask *plugin*.  Raises LbctlError if it fails or its answer makes no sense."""
    try:
        answer = np.asarray(plugin.shares(servers), dtype=np.float64)
    except (Exception, SystemExit) as err:  # whatever it is, it is not ours
        raise LbctlError(_failed(name, err)) from err
    if answer.shape != (len(servers),):
        raise LbctlError(
            f"scheduler {name!r}: {answer.size} shares for {len(servers)} servers; "
            f"the plugin must give one for each"
        )
    if not np.isfinite(answer).all() or (answer < 0).any() or not answer.any():
        raise LbctlError(
            f"scheduler {name!r}: {answer.tolist()[:8]} are no shares; "
            f"the plugin must give finite numbers from 0, and one over 0"
        )
    return np.asarray(answer / answer.max())  # so that no sum is too large


def _failed(name: str, err: BaseException) -> str:
    what = " ".join(f"{type(err).__name__}: {err}".split())
    return f"scheduler {name!r}: {what}; mend or remove the plugin"
