"""What keeps new connections from a back-end, and which of several reasons is told."""

from __future__ import annotations

import pytest

from lbctl.agent.wire import LoadReport, Wish
from lbctl.control.health.passive import Inhibition
from lbctl.control.health.record import Health
from lbctl.control.resource_manager import Reading
from lbctl.control.standing import Standing
from lbctl.control.supervision.troubles import trouble
from lbctl.model import Agent, State

AGENT = Agent(address="10.0.1.11:9777", kind="haproxy", stale=10)
UP = Health(up=True, reason="200 in 3 ms", since=0)
DEAD = Health(up=False, reason="connection refused", since=0)
INHIBITED = Inhibition(130.0, "5 of 6 connections came to nothing", 1)


def said(wish: Wish | None, reason: str = "", at: float = 100.0):
    """What the agent said then."""
    return AGENT, Reading(LoadReport(wish=wish, reason=reason), at)


CASES = {
    "nothing is known": ((None, None, None), None),
    "it is well": ((UP, None, said(Wish.UP)), None),
    "it is well, and its agent wishes nothing": ((UP, None, said(None)), None),
    "its check fails": ((DEAD, None, None), Standing(State.DOWN, "connection refused")),
    "an agent does not bring it back": (
        (DEAD, None, said(Wish.UP)),
        Standing(State.DOWN, "connection refused"),
    ),
    "its check goes before all else": (
        (DEAD, INHIBITED, said(Wish.DRAIN)),
        Standing(State.DOWN, "connection refused"),
    ),
    "connections came to nothing": (
        (UP, INHIBITED, said(Wish.MAINT)),
        Standing(State.DRAINING, "inhibited: 5 of 6 connections came to nothing"),
    ),
    "its agent says drain": (
        (UP, None, said(Wish.DRAIN)),
        Standing(State.DRAINING, "agent 10.0.1.11:9777 says drain"),
    ),
    "its agent says why": (
        (None, None, said(Wish.MAINT, "backup at night")),
        Standing(State.DRAINING, "agent 10.0.1.11:9777 says maint (backup at night)"),
    ),
    "down is what an agent says of a server that lives": (
        (UP, None, said(Wish.DOWN)),
        Standing(State.DRAINING, "agent 10.0.1.11:9777 says down"),
    ),
    "a word that is just not too old": (
        (None, None, said(Wish.DRAIN, at=80.0)),
        Standing(State.DRAINING, "agent 10.0.1.11:9777 says drain"),
    ),
    "a word that is too old": ((None, None, said(Wish.DRAIN, at=79.9)), None),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_one_trouble_is_told(case):
    """The first of: check, data path, agent; at the time 100."""
    found, expected = case

    assert expected == trouble(*found, 100.0)
