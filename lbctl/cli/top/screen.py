"""
The screen: draw a page of what was read, in just as many lines and columns as there are.

Pure: readings and a view in, something that rich prints out.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import set_cell_size
from rich.text import Text

from lbctl.cli.render import STYLES
from lbctl.cli.tables import text
from lbctl.cli.top import pages
from lbctl.cli.top.columns import GAP, fit
from lbctl.cli.top.marks import bar, clip, percent, sparkline
from lbctl.cli.top.notes import pool_line
from lbctl.cli.top.view import Page

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lbctl.cli.tables import Row
    from lbctl.cli.top.columns import Column, Fitted
    from lbctl.cli.top.marks import Marks
    from lbctl.cli.top.pages import Sheet
    from lbctl.cli.top.readings import Readings
    from lbctl.cli.top.view import View

COLUMNS, LINES = 80, 24  # what it takes
BAR = 30  # characters
HEAD = 2  # lines of a warning, and of a pool's description
NOTES = 3  # lines that rows leave to what is said below them
MARKER = 2  # characters before a row
FOOT = "Enter open  Esc back  d drops  a apps  s S sort  p pause  ? help  q quit"
HELP = """\
up down, j k        select; also Page Up, Page Down, Home, End
Enter, right        go into the selected pool: its back-ends
Esc, left           go back
d                   drops by reason, with cause and cure; again: back
a                   network applications; again: back
s / S               sort by the next column / the other way round
p                   pause: nothing is asked, the picture stays
?                   this page
q, Ctrl-C           end

PKT/S BIT/S DROP/S  per second, since the look before; k M G T are thousands
NEW/S  CONN         new connections per second; connections now
UP                  active back-ends, of all
WGT                 configured weight
WANT GIVEN MEAS     shares of the new connections: that the scheduler asks for,
                    that are dealt, that were measured
LOAD  HEALTH        what its load agent says; what its check found
LOST LOST/S         packets that an application had no room for; such per second
TREND               packets per second, the newest to the right, as a part of
                    the most that is shown

Packets of a pool are those to its back-ends and the replies that come by."""


class Size(NamedTuple):
    """How large the terminal is, in characters."""

    columns: int
    lines: int


class Scene(NamedTuple):
    """What there is to draw: *clock* is the time of day, *away* why there is nothing new."""

    readings: Readings
    view: View
    marks: Marks
    interval: float
    clock: str
    away: str | None = None


def draw(scene: Scene, size: Size) -> Text:
    """Draw one screen."""
    if size.columns < COLUMNS or size.lines < LINES:
        return _joined(_too_small(size), size)
    if scene.view.help:
        lines = [Text("lbctl top: keys and columns", "bold"), Text(), *map(Text, HELP.split("\n"))]
        return _joined(lines, size)
    sheet = pages.sheet(scene.readings, scene.view)
    lines = _header(scene, size)
    if scene.view.page is Page.OVERVIEW:
        lines += _nics(scene, size)
    pool = scene.readings.look.pool_of(scene.view.pool)
    if scene.view.page is Page.POOL and pool:
        lines += [Text(line) for line in _wrapped([pool_line(pool)], size, HEAD, scene.marks)]
    room = size.lines - len(lines) - 1
    body = _body(scene, sheet, Size(size.columns, room))
    foot = Text(FOOT, "dim")
    return _joined([*lines, *body, *[Text()] * (room - len(body)), foot], size)


def _joined(lines: Sequence[Text], size: Size) -> Text:
    for line in lines:
        line.truncate(size.columns, overflow="crop")
    whole = Text("\n", no_wrap=True, overflow="crop", end="").join(lines[: size.lines])
    whole.no_wrap, whole.end = True, ""
    return whole


def _too_small(size: Size) -> list[Text]:
    sentence = (
        f"The terminal has {size.columns} columns and {size.lines} lines; "
        f"lbctl top needs {COLUMNS} and {LINES}.  Make it larger, or press q."
    )
    return [Text(line) for line in textwrap.wrap(sentence, max(1, size.columns))]


def _wrapped(sentences: Iterable[str], size: Size, most: int, marks: Marks) -> list[str]:
    """Break sentences into up to *most* lines; that there were more is marked."""
    lines: list[str] = []
    for sentence in sentences:
        lines += textwrap.wrap(text(sentence), size.columns, subsequent_indent="  ")
        if len(lines) > most:
            cut = lines[most - 1][: size.columns - 2] if most else ""
            return [*lines[: most - 1], f"{cut} {marks.more}"] if most else []
    return lines


def _header(scene: Scene, size: Size) -> list[Text]:
    """Which switch, how full its connection table is, and what is wrong."""
    status, marks = scene.readings.look.status, scene.marks
    state = "PAUSED" if scene.view.paused else f"every {scene.interval:g} s"
    right = f"  {state}  {scene.clock}"
    which = (
        f"lbctl top  {text(status['name'])}  "
        f"generation {status['generation']}, buffer {status['active_buffer']}"
    )
    left = set_cell_size(which, size.columns - len(right))
    used, total = status["connections"]["used"], status["connections"]["size"]
    part = used / total if total else 0.0
    use = f"connections {used} of {total} {bar(part, BAR, marks)} {percent(part)}"
    return [
        Text.assemble((left, "bold"), right),
        Text(use, "red" if part > 0.9 else ""),
        *_wrong(scene, size),
    ]


def _wrong(scene: Scene, size: Size) -> list[Text]:
    warnings = scene.readings.look.status["warnings"]
    if scene.away:
        line, style = scene.away, "bold red"
    elif warnings:
        number = f"{len(warnings)} warnings, the first" if warnings[1:] else "1 warning"
        line, style = f"{number}: {warnings[0]}", "yellow"
    else:
        line, style = "no warnings", "green"
    return [Text(part, style) for part in _wrapped([line], size, HEAD, scene.marks)]


def _nics(scene: Scene, size: Size) -> list[Text]:
    """The busiest NICs: as many as leave the pools their room."""
    rows = pages.nics(scene.readings, scene.readings.look)
    most = max(2, (size.lines - 16) // 2)
    title = "NICs" if len(rows) <= most else f"NICs: the busiest {most} of {len(rows)}"
    if not rows:
        return [_rule("NICs: none is attached; run `lbctl attach IFACE...`", size, scene.marks)]
    fitted = fit(pages.NICS, rows, size.columns - MARKER)
    return [
        _rule(title, size, scene.marks),
        _titles(fitted, None),
        *(_row(fitted, row, scene.marks, chosen=False) for row in rows[:most]),
    ]


def _body(scene: Scene, sheet: Sheet, size: Size) -> list[Text]:
    """The rows around the selected one, and what is said of it; rows come first."""
    room = size.lines - 2
    notes = _wrapped(sheet.notes, size, room, scene.marks)
    shown = max(1, min(len(sheet.rows), room - min(len(notes), NOTES)))
    first = min(max(0, sheet.selected - shown // 2), max(0, len(sheet.rows) - shown))
    window = sheet.rows[first : first + shown]
    fitted = fit(sheet.columns, sheet.rows, size.columns - MARKER)
    lines = [_rule(_title(sheet, first, len(window)), size, scene.marks)]
    if window:
        lines.append(_titles(fitted, sheet.sorted_by))
    else:
        lines.append(Text(f"  {sheet.empty}"))
    for place, row in enumerate(window, first):
        lines.append(_row(fitted, row, scene.marks, chosen=place == sheet.selected))
    left = size.lines - len(lines)
    return lines + [Text(line) for line in _wrapped(sheet.notes, size, left, scene.marks)]


def _title(sheet: Sheet, first: int, shown: int) -> str:
    """Which rows are shown, and in which order."""
    if not sheet.rows:
        return text(sheet.title)
    by = sheet.sorted_by
    ways = ("largest first", "smallest first") if by.right else ("Z to A", "A to Z")
    way = ways[by.largest_first == sheet.reverse]
    which = f"{first + 1}-{first + shown} of {len(sheet.rows)}"
    return f"{clip(text(sheet.title), 40, '..')}: {which}, by {by.title}, {way}"


def _rule(title: str, size: Size, marks: Marks) -> Text:
    line = f"{marks.rule * 2} {title} "
    return Text(line + marks.rule * (size.columns - len(line)), "cyan")


def _titles(fitted: Fitted, sorted_by: Column | None) -> Text:
    line = Text(" " * MARKER)
    for number, (column, width) in enumerate(fitted):
        title = column.title.rjust(width) if column.right else column.title.ljust(width)
        line.append(" " * GAP if number else "")
        line.append(title, "bold underline" if column is sorted_by else "bold")
    return line


def _row(fitted: Fitted, row: Row, marks: Marks, *, chosen: bool) -> Text:
    line = Text("> " if chosen else "  ", "reverse" if chosen else "")
    for number, (column, width) in enumerate(fitted):
        line.append(" " * GAP if number else "")
        line.append(_cell(column, row, width, marks), _style(column, row))
    return line


def _cell(column: Column, row: Row, width: int, marks: Marks) -> str:
    if column.stretch:
        return sparkline(row[column.key], width, marks)
    written = clip(text(column.write(row[column.key])), width, marks.more)
    return written.rjust(width) if column.right else set_cell_size(written, width)


def _style(column: Column, row: Row) -> str:
    value = row[column.key]
    if column.key == "up":
        return "red" if row["ill"] else "green"
    if column.key in ("drops", "lost"):
        return "yellow" if value else ""
    return STYLES.get(value, "") if column.key in ("state", "mode", "health") else ""
