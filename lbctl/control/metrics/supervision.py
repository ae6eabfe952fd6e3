"""The supervision as metrics: what checks found of back-ends, and load agents.  Reads only."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lbctl.control.metrics import catalogue as m
from lbctl.control.metrics.exposition import pairs
from lbctl.control.supervision.shown import word
from lbctl.control.supervision.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lbctl.control.controller import Controller
    from lbctl.control.metrics.exposition import Page
    from lbctl.control.metrics.labels import Labels
    from lbctl.model import Pool

AGENT_STATES = ("fresh", "silent", "waiting")


def collect(page: Page, controller: Controller, labels: Labels) -> None:
    """Add all of them; there are none while nobody watches."""
    supervisor = controller.watch
    if not isinstance(supervisor, Supervisor):
        return
    for pool in labels.configuration.pools:
        _health(page, supervisor, pool, labels.members[pool.name])
    _agents(page, supervisor)


def _health(page: Page, supervisor: Supervisor, pool: Pool, texts: Sequence[str]) -> None:
    keys = [(pool.name, backend.address) for backend in pool.backends]
    if pool.passive:
        inhibited = [supervisor.inhibition(key) is not None for key in keys]
        page.column(m.INHIBITED, texts, inhibited)
    if pool.health:
        check = pairs(["check"], [pool.health.check])
        named = [f"{text},{check}" for text in texts]
        found = [supervisor.health.health(*key) for key in keys]
        page.known(m.HEALTH_UP, named, [h.up if h and h.checked else None for h in found])
        page.known(m.HEALTH_RESPONSE, named, [h.response_seconds if h else None for h in found])


def _agents(page: Page, supervisor: Supervisor) -> None:
    now = time.monotonic()
    for one in supervisor.resources.states():
        name, age = str(one.agent.address), now - one.reading.at if one.reading else None
        state = word(one.agent, age)
        page.add(m.AGENT, 1, name, one.agent.kind)
        for each in AGENT_STATES:
            page.add(m.AGENT_STATE, each == state, name, each)
        if age is not None:
            page.add(m.AGENT_AGE, age, name)
        page.add(m.AGENT_REPORTS, one.answers, name)
        page.add(m.AGENT_FAILURES, one.failures, name)
        page.add(m.AGENT_REFUSALS, one.refused, name)
