"""The test bed commands: a small network to try things in, and the demonstration on it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from lbctl.cli import render
from lbctl.cli.options import example, output_option
from lbctl.cli.tables import Column, Fields, Lines, Table
from lbctl.errors import LbctlError
from lbctl.testbed.plan import DEFAULT_PREFIX, MOST, VIPS4, VIPS6
from lbctl.testbed.testbed import Testbed

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbctl.cli.tables import Block

DEMO = "lbdemo"
COLUMNS = (
    Column("ROLE", "role"),
    Column("NAMESPACE", "namespace"),
    Column("NIC", "nic"),
    Column("IPV4", "ipv4"),
    Column("IPV6", "ipv6"),
    Column("RUNS", "runs"),
)


def prefix_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --prefix, which tells several test beds apart."""
    return click.option(
        "--prefix",
        default=DEFAULT_PREFIX,
        show_default=True,
        help="What the names of its namespaces begin with.",
    )(command)


@click.group(epilog=example("lbctl testbed up", "lbctl testbed status"))
def testbed() -> None:
    """
    Make a small network to try things in, out of namespaces.

    Clients outside, servers inside, and between them a machine with four NICs that waits for
    `lbctld`.  Nothing of it touches this machine's own network.
    """


@testbed.command(epilog=example("lbctl testbed up --clients 4 --backends 5"))
@prefix_option
@click.option(
    "--clients", type=click.IntRange(1, MOST), default=2, show_default=True, help="How many."
)
@click.option(
    "--backends", type=click.IntRange(1, MOST), default=3, show_default=True, help="How many."
)
@click.option("--dsr", is_flag=True, help="Servers own the VIPs and answer past the switch.")
def up(*, prefix: str, clients: int, backends: int, dsr: bool) -> None:
    """Make the network and start an HTTP server on each back-end."""
    bed = Testbed(prefix, clients=clients, backends=backends, dsr=dsr)
    bed.up()
    render.show(describe(bed), "table", view)


@testbed.command(epilog=example("lbctl testbed down"))
@prefix_option
def down(*, prefix: str) -> None:
    """Remove the network and end what it started."""
    bed = Testbed.find(prefix)
    bed.down()
    click.echo(f"test bed {prefix} is gone")


@testbed.command(epilog=example("lbctl testbed status -o json"))
@prefix_option
@output_option
def status(*, prefix: str, output: str) -> None:
    """Show what there is, and what to type next."""
    render.show(describe(Testbed.load(prefix)), output, view)


def describe(bed: Testbed) -> dict[str, Any]:
    """The test bed as data: one row for each NIC of each machine."""
    running: dict[str, list[str]] = {}
    for process in bed.processes():
        running.setdefault(process.role, []).append(f"{process.name} ({process.pid})")
    gateways = [("switch", bed.switch, net.nic, *net.gateways) for net in bed.plan.nets]
    hosts = [(host.role, host.namespace, "eth0", host.ipv4, host.ipv6) for host in bed.plan.hosts]
    return {
        "prefix": bed.plan.prefix,
        "dsr": bed.plan.dsr,
        "vips": [str(VIPS4), str(VIPS6)],
        "hosts": [
            {
                "role": role,
                "namespace": namespace,
                "nic": nic,
                "ipv4": str(ipv4),
                "ipv6": str(ipv6),
                "runs": running.get(role, []),
            }
            for role, namespace, nic, ipv4, ipv6 in (*gateways, *hosts)
        ],
    }


def view(data: dict[str, Any]) -> list[Block]:
    """The test bed as people see it."""
    rows = {row["role"]: row for row in data["hosts"]}
    switch, client, server = (rows[role] for role in ("switch", "client0", "server0"))
    nics = " ".join(row["nic"] for row in data["hosts"] if row["role"] == "switch")
    pool = f"lbctl pool add web --vip {VIPS4[10]}:80/tcp --backend {server['ipv4']}:8080"
    return [
        Fields([("test bed", data["prefix"]), ("VIPs", data["vips"])]),
        Table(COLUMNS, data["hosts"], "no hosts"),
        Lines(
            [
                "try:",
                f"  sudo lbctld --netns {switch['namespace']} &",
                f"  sudo lbctl attach {nics}",
                f"  sudo {pool}",
                f"  sudo ip netns exec {client['namespace']} curl http://{VIPS4[10]}/",
            ]
        ),
    ]


@click.command(epilog=example("lbctl demo", "lbctl demo --keep"))
@click.option("--keep", is_flag=True, help="Leave it all running at the end, to try things on.")
def demo(*, keep: bool) -> None:
    """
    Balance real traffic in network namespaces, in under a minute.

    Real clients, real servers and a switch with four NICs: who serves how many, a server drained
    under load, the daemon killed under load.  Ends with 1 if anything promised did not hold.
    """
    from lbctl.testbed import demo as story  # noqa: PLC0415 - only when it is shown

    if not story.run(DEMO if keep else f"{DEMO}{os.getpid()}", keep=keep):
        raise LbctlError("a promise was broken; please report it with what is printed above")
