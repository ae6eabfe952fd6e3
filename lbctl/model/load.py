"""
The load: which agents tell it, and how the master module turns it into a distribution.

What the agents said is not here: that is the control processor's to know.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from lbctl.model.addresses import SocketAddressText
from lbctl.model.base import Model


class AgentKind(StrEnum):
    """How an agent tells the load."""

    LBCTL = "lbctl"  # asked over HTTP; our own, signed
    PUSH = "push"  # our own, signed; it sends by itself
    HAPROXY = "haproxy"  # asked by TCP: one line such as `75% up`
    NODE_EXPORTER = "node-exporter"  # asked over HTTP: Prometheus metrics
    ORCA = "orca"  # asked over HTTP: an Open Request Cost Aggregation report as JSON


DEFAULT_PATHS = {
    AgentKind.LBCTL: "/report",
    AgentKind.NODE_EXPORTER: "/metrics",
    AgentKind.ORCA: "/",
}


class Agent(Model):
    """Who tells the load of which back-ends; times in seconds."""

    address: SocketAddressText  # where it listens; for push, the name it sends
    kind: AgentKind = AgentKind.LBCTL
    path: str | None = Field(default=None, pattern=r"^/[\x21-\x7e]*$")
    key_file: str | None = Field(default=None, pattern=r"^/")  # lbctl and push need one
    interval: float = Field(default=1.0, ge=0.1, le=3600)
    timeout: float = Field(default=1.0, ge=0.05, le=60)
    stale: float = Field(default=10.0, ge=0.5, le=3600)  # then its last word begins to fade
    backends: tuple[SocketAddressText, ...] = ()  # none: all at the agent's own IP address

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        signed = self.kind in (AgentKind.LBCTL, AgentKind.PUSH)
        if signed and self.key_file is None:
            raise ValueError(f"agent {self.address}: kind {self.kind} needs a key_file")
        if not signed and self.key_file is not None:
            raise ValueError(
                f"agent {self.address}: kind {self.kind} cannot be signed; no key_file"
            )
        if self.path is not None and self.kind not in DEFAULT_PATHS:
            raise ValueError(
                f"agent {self.address}: kind {self.kind} is not asked by HTTP; no path"
            )
        return self


class Balance(Model):
    """
    How the master module moves shares; times in seconds, shares 0 to 1 of the pool.

    *smoothing*: time constant of the average over reports.  *dead_band*: a smaller change of a
    share is not made unless it lasts.  *step*: the most that a share moves in an interval; both
    shrink in proportion for a back-end whose configured share is under a quarter.  *floor*: the
    least that a back-end keeps, as a part of its configured share.  *slow_start*: a new or
    recovered back-end comes to its share in so many seconds.
    """

    interval: float = Field(default=1.0, ge=0.1, le=60)
    smoothing: float = Field(default=3.0, ge=0, le=600)
    dead_band: float = Field(default=0.01, ge=0, le=0.5)
    step: float = Field(default=0.1, gt=0, le=1)
    floor: float = Field(default=0.05, ge=0, le=1)
    slow_start: float = Field(default=0.0, ge=0, le=3600)
