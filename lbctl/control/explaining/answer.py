"""The answer: what `POST /v1/explain` says, as models whose names and types are the JSON."""

from __future__ import annotations

from pydantic import Field

from lbctl.model import Model, SocketAddressText, VipText


class StageTold(Model):
    """What one stage decided, and why, in a sentence."""

    stage: str
    verdict: str
    text: str


class Change(Model):
    """One header field, as it came and as it leaves."""

    before: str | int
    after: str | int


class ConnectionTold(Model):
    """The connection that the packet is of; `becomes`: its state with the packet."""

    client: SocketAddressText
    vip: VipText
    backend: SocketAddressText
    state: str
    idle_seconds: float
    age_seconds: float
    becomes: str


class Explanation(Model):
    """
    What becomes of one packet.

    `action` is XDP's.  `app` is the network application that it is for, `pseudo` the pseudo
    interface that it comes from or goes to.  `rewritten` names the header fields that differ in
    the packet that leaves.  `note` is what the verdict means and what to do, `next` the command to
    type.  A frame that cannot be tried has no verdict and no stages, and a note that says why.
    """

    packet: str
    verdict: str
    action: str
    in_nic: str
    out_nic: str | None = None
    pool: str | None = None
    vip: str | None = None
    backend: str | None = None
    app: str | None = None
    pseudo: str | None = None
    connection: ConnectionTold | None = None
    rewritten: dict[str, Change] = Field(default_factory=dict)
    note: str
    next: str | None = None
    stages: tuple[StageTold, ...] = ()
