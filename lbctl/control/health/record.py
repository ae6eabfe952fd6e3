"""
The record: what the outcomes of checks make of a back-end's health, by rise and fall.

Pure: no clock, no sockets.  The first outcome decides at once, for nothing else is known; from then
on it takes `rise` successes or `fall` failures in a row to change what is held to be true.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from lbctl.control.health.target import Outcome
    from lbctl.model import Check


class Health(NamedTuple):
    """
    What is held to be true of a back-end.

    *since* is the Unix time of the last change of *up*, or of the first look.  *successes* and
    *failures* are those in a row up to now; one of them is 0.  *response_seconds* is what the last
    success took.  *reason* is of the last look, whether it changed anything or not.
    """

    up: bool
    reason: str
    since: float
    successes: int = 0
    failures: int = 0
    checked: bool = True
    response_seconds: float | None = None


def unknown(now: float) -> Health:
    """A back-end that nobody has looked at."""
    return Health(up=False, reason="not checked yet", since=now, checked=False)


def restarted(health: Health) -> Health:
    """The same back-end under another check: what is true stays so, but counting starts anew."""
    return health._replace(successes=0, failures=0)


def after(health: Health, outcome: Outcome, check: Check, now: float) -> Health:
    """The health after one more *outcome*; one that is not conclusive changes the reason only."""
    if not outcome.conclusive:
        return health._replace(reason=outcome.reason)
    successes = health.successes + 1 if outcome.ok else 0
    failures = 0 if outcome.ok else health.failures + 1
    up = health.up
    if not health.checked or successes >= check.rise or failures >= check.fall:
        up = outcome.ok
    return Health(
        up=up,
        reason=outcome.reason,
        since=health.since if health.checked and up is health.up else now,
        successes=successes,
        failures=failures,
        response_seconds=outcome.seconds if outcome.ok else health.response_seconds,
    )


def is_in_doubt(health: Health) -> bool:
    """Whether a back-end that is held to be up has just failed: the next look should be soon."""
    return health.up and health.failures > 0
