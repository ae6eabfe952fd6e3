"""
The warning watch: notes as events what begins to be wrong with the switch, and what is over.

A warning counts when two looks in a row have it, and is over when two have not: what passes by
itself, like a neighbor that is asked for, is no event.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

INTERVAL = 15.0  # seconds between two looks; each costs some tens of milliseconds
KIND = "warning"
MOST = 10  # events at once: a cable that is out makes a warning for each server behind it

log = logging.getLogger(__name__)


class WarningWatch:
    """
    Compares what is wrong now with what was.

    *look*: gives the warnings, each by what makes it the same as before.  *tell*: notes an event
    of this kind, subject and text.
    """

    def __init__(
        self, look: Callable[[], Mapping[str, str]], tell: Callable[[str, str, str], None]
    ) -> None:
        self._look, self._tell = look, tell
        self._before: Mapping[str, str] = {}
        self._told: dict[str, str] = {}

    async def run(self) -> None:
        """Look again and again, in a thread, until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            await asyncio.to_thread(self._safely)

    def turn(self) -> None:
        """Look once."""
        now, before = self._look(), self._before
        self._before = now
        begun = {n: line for n, line in now.items() if n in before and n not in self._told}
        self._note("begins", list(begun.values()))
        self._told |= begun
        over = self._told.keys() - now.keys() - before.keys()
        self._note("over", [self._told.pop(name) for name in sorted(over)])

    def _note(self, what: str, lines: list[str]) -> None:
        for line in lines[:MOST]:
            self._tell(KIND, what, line)
        if more := lines[MOST:]:
            self._tell(
                KIND, what, f"{len(more)} more at once; `lbctl status` shows what is wrong now"
            )

    def _safely(self) -> None:
        try:
            self.turn()
        except Exception:  # nobody waits for an answer; the next look tries again
            log.exception("what is wrong with the switch could not be found out")
