"""The endpoints of what is found out about back-ends: health, load agents, and events."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import Field

from lbctl.agent.wire import BadReport, LoadReport, decode_report
from lbctl.control import answers, edits, reports
from lbctl.control.endpoints.common import Control, Who, address_of, changed
from lbctl.control.journal import iso
from lbctl.control.supervision import shown
from lbctl.control.supervision.supervisor import Supervisor
from lbctl.errors import LbctlError, UsageError
from lbctl.model import Agent, Model, SocketAddress, SocketAddressText

router = APIRouter(tags=["supervision"])

GLANCE = 0.2  # seconds between two looks for whoever waits for an event
LONGEST = 60.0  # seconds that an answer may be waited for


class OfPool(Model):
    """Which pool, or all."""

    pool: str | None = None


class Which(Model):
    """One back-end of a pool."""

    pool: str
    address: SocketAddressText


class Events(Model):
    """Which events; with `after` those that come later, for which `wait` seconds may be waited."""

    after: int | None = Field(default=None, ge=0)
    limit: int = Field(default=100, ge=1, le=10_000)
    wait: float = Field(default=0.0, ge=0, le=LONGEST)
    kind: str | None = None


class Reading(Model):
    """What one agent said, and how long ago."""

    agent: SocketAddressText
    report: dict[str, Any]
    age_seconds: float = Field(default=0.0, ge=0)


class Readings(Model):
    """What a resource manager on another computer has collected."""

    readings: tuple[Reading, ...] = Field(max_length=10_000)


class Taken(Model):
    """How many readings were of agents that are configured."""

    taken: int


def _supervisor(control: Control) -> Supervisor:
    if not isinstance(control.watch, Supervisor):
        raise LbctlError("nobody watches the back-ends of this switch; restart lbctld")
    return control.watch


@router.get("/health")
def health(control: Control, chosen: Annotated[OfPool, Query()]) -> list[reports.HealthStatus]:
    """What checks found of every back-end that has one."""
    if chosen.pool is not None:
        edits.pool_of(control.configuration, chosen.pool)
    return shown.health(_supervisor(control), control.configuration, chosen.pool)


@router.post("/health/check")
async def check(control: Control, which: Which) -> reports.Looked:
    """Look at one back-end now; what is found does not count."""
    pool = edits.pool_of(control.configuration, which.pool)
    edits.backend_of(pool, which.address)
    found = await _supervisor(control).health.check_now(which.pool, which.address)
    return reports.Looked(ok=found.ok, reason=found.reason, seconds=found.seconds)


@router.get("/agents")
def agents(control: Control) -> list[reports.AgentStatus]:
    """The load agents, and what they said."""
    return shown.agents(_supervisor(control), control.configuration)


@router.get("/agents/configuration")
def configuration(control: Control) -> tuple[Agent, ...]:
    """The load agents as they are configured, for a resource manager on another computer."""
    return control.configuration.agents


@router.post("/agents/readings")
def take(control: Control, body: Readings) -> Taken:
    """Take what a resource manager on another computer has collected: all of it or nothing."""
    found = [
        (reading.agent, _report(reading.agent, reading.report), reading.age_seconds)
        for reading in body.readings
    ]
    return Taken(taken=_supervisor(control).resources.take(found))


@router.get("/agents/{address}")
def agent(control: Control, address: str) -> reports.AgentStatus:
    """One load agent."""
    return shown.agent(_supervisor(control), control.configuration, address_of(address, "agent"))


@router.post("/agents")
def add_agent(control: Control, who: Who, new: Agent) -> reports.AgentStatus:
    """Have an agent tell the load of servers."""
    control.change(f"agent add {new.address}", who, partial(edits.add_agent, agent=new))
    return shown.agent(_supervisor(control), control.configuration, new.address)


@router.delete("/agents/{address}")
def remove_agent(control: Control, who: Who, address: str) -> answers.Changed:
    """Listen to an agent no more."""
    edit = partial(edits.remove_agent, address=address_of(address, "agent"))
    return changed(control.change(f"agent remove {address}", who, edit))


@router.get("/events")
async def events(
    request: Request, control: Control, chosen: Annotated[Events, Query()]
) -> list[reports.Event]:
    """What changed its state, and why; oldest first."""
    journal, deadline = _supervisor(control).journal, time.monotonic() + chosen.wait
    while True:
        found = journal.events(after=chosen.after, limit=chosen.limit, kind=chosen.kind)
        over = time.monotonic() >= deadline or control.leaving
        if found or chosen.after is None or over or await request.is_disconnected():
            return [
                reports.Event(
                    number=e.number, time=iso(e.time), kind=e.kind, subject=e.subject, text=e.text
                )
                for e in found
            ]
        await asyncio.sleep(GLANCE)


def _report(agent: SocketAddress, data: dict[str, Any]) -> LoadReport:
    try:
        return decode_report(data)
    except BadReport as err:
        raise UsageError(f"agent {agent}: {err}") from err
