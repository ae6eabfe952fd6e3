"""
The HAProxy kind: read agents made for HAProxy's `agent-check`, such as ``75% up``.

Words are in any order, in capitals or not, and one that is not known is passed over.  What a line
does not mention stays as it was: only the agent undoes what the agent did.

======================  ==========================================================================
``75%``, ``weight:75%``  factor 0.75 on the configured weight
``weight:75``           HAProxy's absolute weight, 0 to 256.  There is no such thing here, as one
                        agent may tell of back-ends of different weights: taken as parts of 100,
                        so ``weight:100`` is the configured weight
``ready drain maint``   what an administrator wants; ``ready`` takes the other two back
``up``                  takes back ``down``, and nothing else: no server is revived by it
``down fail stopped``   the server is down; what follows a ``#`` says why
``maxconn:N``           nothing
======================  ==========================================================================
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from lbctl.agent.wire import LIMITS, MAX_REASON, BadReport, LoadReport, Wish
from lbctl.control.resources.line import LineAsker

if TYPE_CHECKING:
    from lbctl.control.resources.asking import OnEnd
    from lbctl.model import Agent, SocketAddress

SEPARATORS = re.compile(r"[ \t,]+")
WEIGHT = re.compile(r"(?:weight:)?([0-9]{1,9})%|weight:([0-9]{1,3})")
MAX_WEIGHT = 256
ADMINISTRATIVE = {"ready": Wish.UP, "drain": Wish.DRAIN, "maint": Wish.MAINT}
OPERATIONAL = {"up": Wish.UP, "down": Wish.DOWN, "fail": Wish.DOWN, "stopped": Wish.DOWN}


class Said(NamedTuple):
    """All that an agent has said and not taken back."""

    weight: float | None = None
    administrative: Wish | None = None  # up (ready), drain or maint
    operational: Wish | None = None  # up or down
    reason: str = ""

    def report(self) -> LoadReport:
        """What follows for the server: the worst of both states."""
        both = (self.administrative, self.operational)
        wish = next((w for w in (Wish.MAINT, Wish.DOWN, Wish.DRAIN, Wish.UP) if w in both), None)
        return LoadReport(weight=self.weight, wish=wish, reason=self.reason)


def hear(line: str, said: Said) -> Said:
    """Read a line of an agent that has *said* so much before.  Raises BadReport."""
    text, _, reason = line.partition("#")
    words = [word for word in SEPARATORS.split(text.lower()) if word]
    understood = False
    for word in words:
        if word in ADMINISTRATIVE:
            said = said._replace(administrative=ADMINISTRATIVE[word])
        elif word in OPERATIONAL:
            said = said._replace(operational=OPERATIONAL[word])
        elif match := WEIGHT.fullmatch(word):
            said = said._replace(weight=_factor(match))
        elif not word.startswith("maxconn:"):
            continue
        understood = True
    if not understood:
        raise BadReport(f"no word of an agent check in {line[:60]!a}")
    return said._replace(reason=_reason(reason, said))


def _factor(match: re.Match[str]) -> float:
    percent, absolute = match.groups()
    if absolute and int(absolute) > MAX_WEIGHT:
        raise BadReport(f"weight {absolute} is not from 0 to {MAX_WEIGHT}")
    factor = int(percent or absolute) / 100
    if factor > LIMITS["weight"]:
        raise BadReport(f"weight {percent}% is more than {LIMITS['weight']:g} times the weight")
    return factor


def _reason(text: str, said: Said) -> str:
    """Why it is not up, printable; without a new one the old one stays while it is so."""
    if said.report().wish in (None, Wish.UP):
        return ""
    printable = "".join(letter if letter.isprintable() else "?" for letter in text.strip())
    return printable[:MAX_REASON] or said.reason


class Haproxy:
    """Remembers what one agent said."""

    def __init__(self) -> None:
        self._said = Said()

    def asker(self, address: SocketAddress, on_end: OnEnd) -> LineAsker:
        """Read a line."""
        return LineAsker(address, on_end)

    def target(self, _agent: Agent) -> str:
        """Nothing is sent."""
        return ""

    def read(self, _agent: Agent, answer: bytes) -> LoadReport:
        """Read the line."""
        self._said = hear(answer.decode("utf-8", "replace"), self._said)
        return self._said.report()
