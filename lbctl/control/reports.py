"""The reports: what the API says of health, of load agents, and of what has happened."""

from __future__ import annotations

from typing import Literal

from lbctl.model import Model, SocketAddressText


class HealthStatus(Model):
    """What the check of a pool found of one back-end; `since` is ISO 8601, UTC."""

    pool: str
    address: SocketAddressText
    check: str
    up: bool | None  # null: not checked yet
    reason: str
    since: str
    successes: int
    failures: int
    response_seconds: float | None
    inhibited_until: str | None  # by what the data path saw


class Looked(Model):
    """What one check found just now."""

    ok: bool
    reason: str
    seconds: float


class AgentReport(Model):
    """What an agent said; null: not told.  Parts are 0 to 1, and may exceed it."""

    cpu: float | None
    memory: float | None
    utilization: float | None
    clients: int | None
    requests_per_second: float | None
    execution_seconds: float | None
    weight: float | None
    wish: str | None
    reason: str


class AgentStatus(Model):
    """An agent; `state` is fresh, silent (its word fades), or waiting (it never spoke)."""

    address: SocketAddressText
    kind: str
    state: Literal["fresh", "silent", "waiting"]
    backends: tuple[SocketAddressText, ...]
    age_seconds: float | None
    report: AgentReport | None
    answers: int
    failures: int
    refused: int
    problem: str | None


class Event(Model):
    """A change of state, and its reason; `time` is ISO 8601, UTC."""

    number: int
    time: str
    kind: str
    subject: str
    text: str
