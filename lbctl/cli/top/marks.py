"""
The marks: figures in few characters, with or without Unicode.

Pure: numbers in, text out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

UNITS = ("", "k", "M", "G", "T", "P", "E")
NOTHING = "-"


class Marks(NamedTuple):
    """The characters to draw with."""

    levels: str  # of a sparkline: nothing first, then ever more
    full: str
    empty: str
    rule: str
    more: str  # something was left out here


UNICODE = Marks(" ▁▂▃▄▅▆▇█", "█", "░", "─", "…")
ASCII = Marks(" .:-=+*#", "#", ".", "-", "~")


def marks_for(encoding: str | None) -> Marks:
    """Choose what a terminal with that encoding can show."""
    return UNICODE if (encoding or "").lower().replace("-", "").startswith("utf") else ASCII


def short(number: float | None) -> str:
    """
    Write a number of 0 and more in at most five characters: 0, 0.2, 9.5, 950, 12.3k, 4.56M.

    Three digits count; "-" is no number.
    """
    if number is None:
        return NOTHING
    value = float(number)
    for unit in UNITS:
        if value < 999.5 or unit == UNITS[-1]:
            break
        value /= 1000
    if value >= 99.95 or (not unit and value == int(value)):
        return f"{value:.0f}{unit}"
    return f"{value:.1f}{unit}" if value >= 9.995 or not unit else f"{value:.2f}{unit}"


def percent(part: float | None) -> str:
    """Write a part of 1 in at most five characters: 0%, 0.4%, 33%, 100%."""
    if part is None:
        return NOTHING
    value = 100 * part
    return f"{value:.1f}%" if 0 < value < 9.95 else f"{value:.0f}%"


def sparkline(values: Sequence[float], width: int, marks: Marks) -> str:
    """
    Draw the newest *width* values, the newest to the right; the largest of them fills its place.

    Whatever is more than nothing can be seen.
    """
    shown = list(values)[-width:] if width > 0 else []
    top = max(shown, default=0.0)
    steps = len(marks.levels) - 1
    levels = (0 if value <= 0 else max(1, round(steps * value / top)) for value in shown)
    return "".join(marks.levels[level] for level in levels).rjust(max(width, 0))


def bar(part: float, width: int, marks: Marks) -> str:
    """Draw a part of 1 as a bar; a little is seen as a little."""
    full = min(width, round(part * width))
    if part > 0:
        full = max(1, full)
    return marks.full * full + marks.empty * (width - full)


def clip(text: str, width: int, more: str) -> str:
    """Shorten *text* to *width* characters: its middle goes, for ends tell addresses apart."""
    if len(text) <= width:
        return text
    left = max(0, width - len(more))
    head = left // 2
    return text[:head] + more[:width] + text[len(text) - (left - head) :]
