"""The report: what came of each step, written down at once, so that a guest that dies has told."""

from __future__ import annotations

import json
import sys
import time
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PASSED, FAILED, REFUSED = "passed", "failed", "refused"


class Report:
    """One line of JSON for each step: check, step, outcome, seconds, note."""

    def __init__(self, path: Path) -> None:
        self._path, self._check = path, ""

    @contextmanager
    def check(self, name: str) -> Iterator[None]:
        """Steps that belong together; what goes wrong between them is a step as well."""
        self._check = name
        try:
            yield
        except Exception as error:  # noqa: BLE001 - the other checks shall have their turn
            traceback.print_exc()
            self.tell("set-up", FAILED, _line(error))

    def step(self, name: str, action: Callable[[], object]) -> bool:
        """Do it, and tell what came of it; returns whether it went well."""
        begin = time.monotonic()
        try:
            note = action()
        except Exception as error:  # noqa: BLE001 - it is told
            traceback.print_exc()
            self.tell(name, FAILED, _line(error), begin)
            return False
        self.tell(name, PASSED, "" if note is None else str(note), begin)
        return True

    def tell(self, step: str, outcome: str, note: str, begin: float | None = None) -> None:
        """Write a step down."""
        seconds = round(time.monotonic() - begin, 1) if begin else 0
        row = {"check": self._check, "step": step, "outcome": outcome}
        row |= {"seconds": seconds, "note": note}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        sys.stdout.write(f"{self._check}: {step}: {outcome} ({seconds} s) {note}\n")
        sys.stdout.flush()


def _line(error: Exception) -> str:
    """An error in one line."""
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words}"[:300]
