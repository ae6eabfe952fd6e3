"""
The renderer: write answers as tables, JSON or YAML; all of rich lives here.

On a terminal tables are drawn; anywhere else they are plain aligned columns, and rich is not even
imported.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from lbctl.cli.counters import Reading
from lbctl.cli.tables import Fields, Lines, Table, text, texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from rich.console import Console, RenderableType

    from lbctl.cli.tables import Block

GAP = 2  # columns of a terminal between two of a table
LEAST = 10  # columns of a terminal that prose needs
STYLES = {
    "active": "green",
    "up": "green",
    "fresh": "green",
    "established": "green",
    "resolved": "green",
    "running": "green",
    "draining": "yellow",
    "maintenance": "yellow",
    "unknown": "yellow",
    "waiting": "yellow",
    "generic": "yellow",
    "unresolved": "yellow",
    "stopped": "yellow",
    "down": "red",
    "silent": "red",
    "hung": "red",
    "missing": "red",
    "detached": "red",
    "no-route": "red",
    "not-attached": "red",
}


def show(data: Any, output: str, view: Callable[[Any], Sequence[Block]]) -> None:  # noqa: ANN401
    """Write *data* as *output* says; *view* makes tables of it."""
    if output == "json":
        click.echo(json.dumps(data, indent=2))
    elif output == "yaml":
        click.echo(to_yaml(data), nl=False)
    else:
        _show_blocks(view(data))


def stream(rows: Iterable[Any], output: str, line: Callable[[Any], str]) -> None:
    """Write *rows* one by one, as they come; *line* makes text of one."""
    for row in rows:
        if output == "json":
            click.echo(json.dumps(row))
        elif output == "yaml":
            click.echo(f"---\n{to_yaml(row)}", nl=False)
        else:
            click.echo(line(row))


def to_yaml(data: object) -> str:
    """Write YAML in the order of the data."""
    import yaml  # noqa: PLC0415 - slow to import

    # The one in C is ten times as fast; it comes with most builds.
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    written: str = yaml.dump(data, Dumper=dumper, sort_keys=False, allow_unicode=True)
    return written


def watch(
    fetch: Callable[[], Any],
    output: str,
    view: Callable[[Reading], Sequence[Block]],
    interval: float,
) -> None:
    """Show what *fetch* gives, again and again, until Ctrl-C or until nobody reads any more."""
    readings = _readings(fetch, interval)
    if output == "table" and _on_terminal(sys.stdout):
        _live(readings, view)
        return
    for number, reading in enumerate(readings):
        if output == "json":
            click.echo(json.dumps(reading.data))
        elif output == "yaml":
            click.echo(f"---\n{to_yaml(reading.data)}", nl=False)
        else:
            if number:
                click.echo()
            _show_blocks(view(reading))


def _readings(fetch: Callable[[], Any], interval: float) -> Iterator[Reading]:
    """Fetch for ever."""
    data, when = fetch(), time.monotonic()
    yield Reading(data)
    while True:
        time.sleep(interval)
        before, then = data, when
        data, when = fetch(), time.monotonic()
        yield Reading(data, before, when - then)


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show how far *what* is, on a terminal; gives a function that is told (done, of all)."""
    if not _on_terminal(sys.stderr):
        yield lambda _done, _total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    columns = (TextColumn(what, markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=_console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _on_terminal(stream: Any) -> bool:  # noqa: ANN401 - standard streams and what tests put there
    return bool(stream.isatty())


def _console(*, stderr: bool = False) -> Console:
    from rich.console import Console  # noqa: PLC0415

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def _show_blocks(blocks: Sequence[Block]) -> None:
    """Write tables, a blank line between two; that one is empty is no data, so not on stdout."""
    full = [block for block in blocks if not isinstance(block, Table) or block.rows]
    if full and _on_terminal(sys.stdout):
        console = _console()
        for block in full:
            console.print(_drawn(block, console.width))
    elif full:
        click.echo("\n\n".join(_plain(block) for block in full))
    for block in blocks:
        if isinstance(block, Table) and not block.rows:
            click.echo(block.empty, err=True)


def _plain(block: Block) -> str:
    if isinstance(block, Lines):
        return "\n".join(map(text, block.lines))
    if isinstance(block, Fields):
        width = max(len(name) for name, _ in block.pairs)
        return "\n".join(f"{name:{width}}  {text(value)}" for name, value in block.pairs)
    rows = list(texts(block))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column.right else cell.ljust(width)
            for column, cell, width in zip(block.columns, row, widths, strict=True)
        ).rstrip()
        for row in rows
    )


def _drawn(block: Block, width: int) -> RenderableType:
    from rich.table import Table as Drawing  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    if isinstance(block, Lines):
        warning = {True: "yellow", False: ""}
        return Text("\n").join(
            Text(text(line), style=warning[line.startswith("warning:")]) for line in block.lines
        )
    if isinstance(block, Fields):
        grid = Drawing.grid(padding=(0, 2))
        for name, value in block.pairs:
            grid.add_row(Text(name, style="bold"), Text(text(value)))
        return grid
    return _drawn_table(block, width)


def _drawn_table(table: Table, width: int) -> RenderableType:
    """Draw rows; where it is too wide prose takes several lines, if that leaves it room."""
    from rich import box  # noqa: PLC0415
    from rich.table import Table as Drawing  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    columns = list(zip(table.columns, zip(*texts(table), strict=True), strict=True))
    prose = [column for column in table.columns if column.prose]
    rest = sum(max(map(len, cells)) for column, cells in columns if not column.prose)
    whole = bool(prose) and rest + GAP * len(columns) + LEAST * len(prose) <= width
    drawing = Drawing(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in table.columns:
        drawing.add_column(
            column.title,
            justify="right" if column.right else "left",
            overflow="fold",
            no_wrap=whole and not column.prose,
        )
    for row in table.cells():
        drawing.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    return drawing


def _live(readings: Iterator[Reading], view: Callable[[Reading], Sequence[Block]]) -> None:
    """Redraw on the whole screen; ends only by an exception."""
    from rich.console import Group  # noqa: PLC0415
    from rich.live import Live  # noqa: PLC0415

    console = _console()
    with Live(console=console, screen=True, auto_refresh=False) as live:
        for reading in readings:
            drawn = (_drawn(block, console.width) for block in view(reading))
            live.update(Group(*drawn), refresh=True)
