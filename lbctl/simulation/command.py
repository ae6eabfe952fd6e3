"""The simulate command: compare schedulers on models of servers, without a switch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lbctl.cli import render
from lbctl.cli.options import example, output_option
from lbctl.cli.tables import Column, Table
from lbctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lbctl.cli.tables import Block, Row

USUAL = ("maglev", "wlc", "least-load", "least-response-time", "p2c")
MOST_SERVERS = 200
CAPACITY = 100.0  # requests a second
MOST = 65535
SECONDS = 180.0
COLUMNS = (
    Column("SCHEDULER", "scheduler"),
    Column("LOAD", lambda row: f"{row['load_mean']:.2f}", right=True),
    Column("LOAD-P99", lambda row: f"{row['load_p99']:.2f}", right=True),
    Column("SPREAD", lambda row: f"{row['spread']:.2f}", right=True),
    Column("MS", lambda row: f"{row['seconds_mean'] * 1000:.1f}", right=True),
    Column("MS-P99", lambda row: f"{row['seconds_p99'] * 1000:.1f}", right=True),
    Column("SLOTS-MOVED", "slots_moved", right=True),
)


@click.command(
    epilog=example(
        "lbctl simulate --hog a@60-120",
        "lbctl simulate --capacity 100,100,400 --rate 450 --plot schedulers.png",
        "lbctl simulate --trace monday.csv --scheduler maglev --scheduler least-load -o json",
    )
)
@click.option("--servers", type=click.IntRange(1, MOST_SERVERS), help="How many; they are a, b, c.")
@click.option("--capacity", metavar="N,N,...", help="Requests a second that each can serve.")
@click.option("--weight", metavar="N,N,...", help="Configured weight of each.")
@click.option("--rate", type=click.FloatRange(min=0.1), metavar="N", help="Requests a second, all.")
@click.option(
    "--hog", "hogs", multiple=True, metavar="SERVER@FROM-TO[:PART%]", help="Other work on a server."
)
@click.option(
    "--scheduler", "schedulers", multiple=True, metavar="NAME", help="Compare this; repeat it."
)
@click.option("--seconds", type=click.FloatRange(1, 86400), default=SECONDS, show_default=True)
@click.option(
    "--trace",
    type=click.Path(dir_okay=False),
    help="What happens to the servers; CSV, JSON lines.",
)
@click.option(
    "--plot", "picture", type=click.Path(dir_okay=False), help="Write a picture; needs matplotlib."
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of noise.")
@output_option
def simulate(  # noqa: PLR0913 - each is an option
    *,
    servers: int | None,
    capacity: str | None,
    weight: str | None,
    rate: float | None,
    hogs: Sequence[str],
    schedulers: Sequence[str],
    seconds: float,
    trace: str | None,
    picture: str | None,
    seed: int,
    output: str,
) -> None:
    """
    Compare schedulers on models of servers.

    Nothing of it touches a switch, and no daemon is needed.  Each server is a queue that can serve
    so many requests a second, and tells its load as an agent does.  LOAD is CPU in use, SPREAD
    that of the busiest less that of the idlest server, MS how long requests take.

    A trace has lines with time, server, cpu, memory and rate: from then on other work takes that
    part of a server's CPU (0 to 1), or, without a server, so many requests a second come.
    """
    from lbctl.simulation import compare, plot, summary  # noqa: PLC0415 - slow to import

    capacities = _numbers("--capacity", capacity, CAPACITY)
    count = servers or max(len(capacities), 3 if len(capacities) == 1 else 0)
    scenario = compare.scenario(
        capacities=_each("--capacity", capacities, count),
        weights=[int(w) for w in _each("--weight", _numbers("--weight", weight, 1), count)],
        rate=rate,
        seconds=seconds,
        hogs=hogs,
        trace=trace,
        seed=seed,
    )
    runs = compare.runs(scenario, schedulers or USUAL)
    if picture:
        plot.draw(scenario, runs, picture)
    render.show([summary.summary(run) for run in runs], output, view)


def _numbers(option: str, text: str | None, usual: float) -> list[float]:
    """Read numbers over 0 with commas between them."""
    try:
        numbers = [float(word) for word in text.split(",")] if text else [usual]
    except ValueError:
        numbers = []
    if not numbers or not all(1 <= number <= MOST for number in numbers):
        raise UsageError(
            f"{option}: {text!r} must be numbers from 1 to {MOST}, such as 100,100,400"
        )
    return numbers


def _each(option: str, numbers: Sequence[float], count: int) -> Sequence[float]:
    """One number for each server; a single one is for all of them."""
    if len(numbers) not in (1, count):
        raise UsageError(
            f"{option} has {len(numbers)} numbers for {count} servers; give one for each"
        )
    return [*numbers] * (count if len(numbers) == 1 else 1)


def view(data: list[Row]) -> list[Block]:
    """The comparison as a table."""
    return [Table(COLUMNS, data, "no schedulers")]
