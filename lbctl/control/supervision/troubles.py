"""
The troubles: which back-ends get no new connections, and why, by all that was found of them.

Pure.  A failed check comes first; what the data path saw, and what an agent wishes, keep new
connections away and leave the others alone, for the server lives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbctl.agent.wire import Wish
from lbctl.control.standing import Standing
from lbctl.model import State

if TYPE_CHECKING:
    from lbctl.control.health.passive import Inhibition
    from lbctl.control.health.record import Health
    from lbctl.control.resource_manager import Reading
    from lbctl.model import Agent

HEEDED = 2  # times `stale`: so old may the word of an agent be; its load has faded by then, too
AWAY = {Wish.DRAIN: "drain", Wish.MAINT: "maint", Wish.DOWN: "down"}


def trouble(
    health: Health | None,
    inhibition: Inhibition | None,
    told: tuple[Agent, Reading] | None,
    now: float,
) -> Standing | None:
    """
    What keeps new connections from a back-end; None: nothing.

    *now* and the reading's time are monotonic seconds.
    """
    if health and not health.up:
        return Standing(State.DOWN, health.reason)
    if inhibition:
        return Standing(State.DRAINING, f"inhibited: {inhibition.reason}")
    return _wished(told, now) if told else None


def _wished(told: tuple[Agent, Reading], now: float) -> Standing | None:
    agent, reading = told
    word = AWAY.get(reading.report.wish) if reading.report.wish else None
    if word is None or now - reading.at > HEEDED * agent.stale:
        return None
    why = f" ({reading.report.reason})" if reading.report.reason else ""
    return Standing(State.DRAINING, f"agent {agent.address} says {word}{why}")
