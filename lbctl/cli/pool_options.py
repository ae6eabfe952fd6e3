"""The pool options: what `pool add` and `pool set` take, and how the API says it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from lbctl.cli.keyed import BALANCE, CHECK, NONE, PASSIVE, RULE
from lbctl.cli.parameters import BACKUP, SCHEDULER, WEIGHTED_SERVER, Member, Number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lbctl.model import Backend, Vip

    Command = TypeVar("Command", bound=Callable[..., Any])
    Row = dict[str, Any]

REMOVABLE = ("health", "passive", "backup")  # `none` takes them away
TRAFFIC = (
    click.option(
        "--backend", "backends", type=WEIGHTED_SERVER, multiple=True, help="May be repeated."
    ),
    click.option(
        "--forward",
        type=Member("Forward"),
        help="How packets get to a back-end: nat rewrites addresses, dsr the MAC only.",
    ),
    click.option("--scheduler", type=SCHEDULER, help="Who gets a new connection."),
    click.option(
        "--on-unknown",
        type=Member("OnUnknown"),
        help="A packet of no connection is answered by a reset, dropped, or given to a back-end "
        "by hash.",
    ),
    click.option(
        "--table-size",
        type=click.IntRange(min=1),
        metavar="N",
        help="Slots of the Maglev table, a prime; 65537 unless set.",
    ),
    click.option(
        "--rule",
        "rules",
        type=RULE,
        multiple=True,
        help="Clients, or a port, that another pool serves; may be repeated; none for no rules.",
    ),
    click.option(
        "--balance",
        type=BALANCE,
        help="How shares move: interval, smoothing, dead_band, step, floor, slow_start.",
    ),
)
HEALTH = (
    click.option(
        "--check",
        "health",
        type=CHECK,
        help=r"How back-ends are checked: tcp, http, https, udp, icmp, grpc, script, or none; a "
        r"comma in a value is written \,.",
    ),
    click.option(
        "--passive",
        type=PASSIVE,
        help="Take back-ends out that leave connections unanswered: failures, ratio, window, "
        "inhibit, inhibit_max.",
    ),
    click.option(
        "--on-down",
        type=Member("OnDown"),
        help="Connections of a back-end that died are kept until it returns, or reset.",
    ),
    click.option(
        "--quorum",
        type=click.IntRange(0, 65535),
        metavar="N",
        help="With fewer back-ends that are well the pool is down.",
    ),
    click.option(
        "--panic",
        type=Number(0, 1),
        metavar="PART",
        help="With a smaller part that is well, 0 to 1, all are used.",
    ),
    click.option("--backup", type=BACKUP, help="The pool that serves while this one is down."),
)


def settings(command: Command) -> Command:
    """Add the options that `pool add` and `pool set` share."""
    for option in reversed((*TRAFFIC, *HEALTH)):
        command = option(command)
    return command


def body(
    vips: Sequence[Vip], backends: Sequence[Backend], rules: Sequence[Row | str], **rest: object
) -> Row:
    """What was said, in the form of the API."""
    given = {key: value for key, value in rest.items() if value is not None}
    said = {key: None if _removes(key, value) else value for key, value in given.items()}
    if vips:
        said["vips"] = [str(vip) for vip in vips]
    if backends:
        said["backends"] = [b.model_dump(mode="json", exclude_unset=True) for b in backends]
    if rules:
        said["rules"] = _rules(rules)
    return said


def _removes(key: str, value: object) -> bool:
    return key in REMOVABLE and value == NONE


def _rules(rules: Sequence[Row | str]) -> Sequence[Row | str]:
    if NONE not in rules:
        return list(rules)
    if len(rules) > 1:
        raise click.UsageError("--rule none stands alone", click.get_current_context())
    return []
