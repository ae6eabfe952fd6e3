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
        for name, line in now.items():
            if name in before and name not in self._told:
                self._told[name] = line
                self._tell(KIND, "begins", line)
        for name in self._told.keys() - now.keys() - before.keys():
            self._tell(KIND, "over", self._told.pop(name))

    def _safely(self) -> None:
        try:
            self.turn()
        except Exception:  # nobody waits for an answer; the next look tries again
            log.exception("what is wrong with the switch could not be found out")
