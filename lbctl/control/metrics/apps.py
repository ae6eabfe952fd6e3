"""The network applications as metrics: who runs, and what became of their packets.  Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lbctl.control.metrics import catalogue as m
from lbctl.control.program_state import LOST
from lbctl.netif.status import COUNTERS
from lbctl.shared.abi import Verdict

if TYPE_CHECKING:
    from lbctl.control.controller import Controller
    from lbctl.control.metrics.exposition import Page
    from lbctl.control.program_state import AppState
    from lbctl.model import App


def collect(page: Page, controller: Controller) -> None:
    """Add all of them."""
    for app in controller.configuration.apps:
        state = controller.programs.running(app.name)
        runs = state is not None and state.pid is not None
        page.add(m.APP_UP, state is not None and runs and not state.hung, app.name)
        page.add(m.APP_EXITS, state.exits if state else 0, app.name)
        page.add(m.APP_HANGS, state.hung_count if state else 0, app.name)
        _verdicts(page, controller, app)
        if state is not None and runs:
            for what in (name for name in COUNTERS if name not in LOST):
                total = sum(getattr(port, what) for port in state.ports)
                page.add(m.APP_PACKETS, total, app.name, what)
            _lost(page, app, state)


def _lost(page: Page, app: App, state: AppState) -> None:
    for port in state.ports:
        for reason in LOST:
            labels = app.name, port.nic, str(port.queue), reason
            page.add(m.APP_LOST, getattr(port, reason), *labels)


def _verdicts(page: Page, controller: Controller, app: App) -> None:
    plane = controller.dataplane
    for vip in app.vips:
        index = plane.configuration.service_index(vip)
        if index is None:
            continue
        found = plane.counters.of_service(index)
        for verdict in np.flatnonzero(found).tolist():
            name = Verdict(verdict).name
            page.add(m.APP_VERDICTS, int(found[verdict]), app.name, str(vip), name)
