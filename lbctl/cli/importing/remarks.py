"""The remarks: which lines of a text were not taken, or mean something else now, and why."""

from __future__ import annotations

from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from lbctl.cli.tables import text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SHOWN = 60  # characters of a line that are worth repeating
WHOLE = 0  # the line of a remark on the text as a whole


class Kind(StrEnum):
    """What became of a line, or of a word on it."""

    NOT_TAKEN = "not taken"  # it does something, and lbctl will not
    DIFFERS = "differs"  # taken, but it means something else now
    NOT_NEEDED = "not needed"  # what is balanced, and how, does not depend on it
    NOTE = "note"  # of the whole


class Remark(NamedTuple):
    """What became of a line, which part of it is meant, and why."""

    line: int
    kind: Kind
    what: str
    why: str


class Remarks:
    """All that is to be said of a text; what is said twice counts once."""

    def __init__(self) -> None:
        self._found: dict[Remark, None] = {}

    def __iter__(self) -> Iterator[Remark]:
        """By line; those of one line as they came, those on the whole at the end."""
        return iter(sorted(self._found, key=lambda remark: (remark.line == WHOLE, remark.line)))

    def not_taken(self, line: int, what: str, why: str) -> None:
        """Say that lbctl will not do what stands there."""
        self._add(line, Kind.NOT_TAKEN, what, why)

    def differs(self, line: int, what: str, why: str) -> None:
        """Say that lbctl will do something else for it."""
        self._add(line, Kind.DIFFERS, what, why)

    def not_needed(self, line: int, what: str, why: str) -> None:
        """Say that balancing does not depend on it."""
        self._add(line, Kind.NOT_NEEDED, what, why)

    def note(self, why: str) -> None:
        """Say something on the whole."""
        self._add(WHOLE, Kind.NOTE, "", why)

    def _add(self, line: int, kind: Kind, what: str, why: str) -> None:
        self._found.setdefault(Remark(line, kind, what, why))

    def lines(self, kind: Kind) -> int:
        """On how many lines there is something of that kind."""
        return len({remark.line for remark in self._found if remark.kind is kind})

    def texts(self) -> Iterator[str]:
        """Every remark as a line of text; neighbors that say the same are one."""
        for (kind, why), group in groupby(self, key=lambda remark: (remark.kind, remark.why)):
            remarks = list(group)
            if kind is Kind.NOTE:
                yield f"{kind}: {text(why)}"
                continue
            words = dict.fromkeys(_short(remark.what) for remark in remarks)
            where = _numbers(sorted({remark.line for remark in remarks}))
            yield f"{where}: {kind}: {', '.join(words)}: {text(why)}"


def _short(what: str) -> str:
    """So much of a line that one knows it, and nothing that a terminal would obey."""
    shown = text(what)
    return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}..."


def _numbers(lines: Sequence[int]) -> str:
    """Write ascending numbers: `line 3`, `lines 2-5, 9`."""
    runs: list[list[int]] = []
    for line in lines:
        if runs and line == runs[-1][-1] + 1:
            runs[-1].append(line)
        else:
            runs.append([line])
    spans = [f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs]
    return f"line{'s' if len(lines) > 1 else ''} {', '.join(spans)}"
