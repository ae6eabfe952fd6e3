"""The preflight command: all that keeps packets from arriving, and what to type about each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from lbctl.cli import render
from lbctl.cli.options import example, output_option
from lbctl.cli.parameters import NIC
from lbctl.cli.tables import Lines
from lbctl.errors import DaemonUnreachable, LbctlError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lbctl.cli.client import Client
    from lbctl.cli.tables import Block, Row

SEVERITIES = ("error", "warning", "note")


@click.command(
    epilog=example("lbctl preflight", "lbctl preflight eth1 eth2", "lbctl preflight -o json")
)
@click.argument("names", nargs=-1, type=NIC)
@output_option
@click.pass_obj
def preflight(client: Client, names: tuple[str, ...], output: str) -> None:
    """
    Look for all that keeps packets from arriving.

    At the machine, at every NIC, VIP and back-end; with IFACE at the machine and these NICs only,
    attached or not.  Servers are sent a few SYNs, and nothing is changed.

    The exit status is 1 if there is an error.  Without a daemon the machine and the named NICs are
    looked at all the same, and it is 5.
    """
    try:
        report = client.preflight(names)
    except DaemonUnreachable as err:
        render.show(_without_daemon(names, str(err)), output, _blocks)
        raise
    render.show(report, output, _blocks)
    errors = [finding for finding in report["findings"] if finding["severity"] == "error"]
    if errors:
        many = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
        raise LbctlError(f"{many}; begin with `{errors[0]['cure']}`")


def _without_daemon(names: Sequence[str], complaint: str) -> Row:
    """What can be found out here, after what is the matter above all."""
    from lbctl.control.preflight.inspection import inspect_machine  # noqa: PLC0415 - slow

    start = re.search(r"`([^`]+)`", complaint)
    missing = {
        "check": "no-daemon",
        "severity": "error",
        "subject": "machine",
        "what": "has no lbctld that answers",
        "why": "switching processors go on as they are, but nobody follows changes; pools and "
        "their back-ends are not checked",
        "cure": start[1] if start else "sudo lbctld",
    }
    report: Row = inspect_machine(names).model_dump(mode="json")
    return {
        **report,
        "findings": [missing, *report["findings"]],
        "checks": ["no-daemon", *report["checks"]],
    }


def _blocks(data: Row) -> list[Block]:
    """A block for each severity, the worst first."""
    blocks: list[Block] = [
        Lines([*_lines(found)])
        for severity in SEVERITIES
        if (found := [one for one in data["findings"] if one["severity"] == severity])
    ]
    made, missing = len(data["checks"]), data.get("not_checked", ())
    if not blocks:
        blocks = [Lines([f"nothing is wrong ({made} checks)"])]
    if missing:
        blocks.append(Lines([f"not checked: {line}" for line in missing]))
    return blocks


def _lines(findings: Sequence[Row]) -> Iterator[str]:
    """Three lines for each; the cure alone in one, to be copied."""
    for finding in findings:
        yield "{severity}: {subject} {what} [{check}]".format(**finding)
        yield "    why: {why}".format(**finding)
        yield "    $ {cure}".format(**finding)
