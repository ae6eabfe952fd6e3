"""
The teller: note what befalls applications as events, and no more than anybody would read.

An application that begins and ends all the time must not push everything else out of the journal.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Tell = Callable[[str, str, str], None]

KIND = "app"
MOST, REST = 20, 3.0  # so many events at once, and one more in so many seconds


@dataclass
class _Allowance:
    at: float
    left: float = MOST
    kept_back: int = 0


class Teller:
    """Tells the events of each application."""

    def __init__(self, tell: Tell, clock: Callable[[], float] = time.monotonic) -> None:
        self._tell, self._clock = tell, clock
        self._allowances: dict[str, _Allowance] = {}

    def tell(self, name: str, text: str) -> None:
        """Note an event of the application *name*, if it has not had too many."""
        now = self._clock()
        one = self._allowances.setdefault(name, _Allowance(now))
        one.left, one.at = min(MOST, one.left + (now - one.at) / REST), now
        if one.left < 1:
            one.kept_back += 1
            return
        more = f" (and {one.kept_back} events before it)" if one.kept_back else ""
        one.left, one.kept_back = one.left - 1, 0
        self._tell(KIND, name, text + more)

    def forget_all_but(self, names: set[str]) -> None:
        """Forget applications that are not configured any more."""
        self._allowances = {n: one for n, one in self._allowances.items() if n in names}
