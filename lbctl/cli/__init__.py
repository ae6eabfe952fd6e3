"""
The command line: parse, call the daemon, print; groups are nouns, commands are verbs.

The context object is the `Client`, and it is the test seam: whoever invokes `cli` with an `obj`
of their own needs no daemon.  Modules of commands are imported when one of their commands is run,
so that `lbctl --help` costs no more than Python and click.
"""

from __future__ import annotations

import click

from lbctl import __version__
from lbctl.cli.options import example
from lbctl.cli.root import Entry, Root

SECTIONS = {
    "The switch": {
        "attach": Entry("lbctl.cli.nic:attach", "Give NICs a switching processor."),
        "detach": Entry("lbctl.cli.nic:detach", "Take the switching processor from NICs."),
        "status": Entry("lbctl.cli.status:status", "Show the switch at a glance."),
        "preflight": Entry(
            "lbctl.cli.preflight:preflight", "Look for all that keeps packets from arriving."
        ),
        "cpu": Entry("lbctl.cli.cpu:cpu", "CPUs: which of them do what, and nothing else."),
    },
    "Services": {
        "pool": Entry("lbctl.cli.pool:pool", "Pools: VIPs and the back-ends behind them."),
        "vip": Entry("lbctl.cli.vip:vip", "VIPs: what clients connect to."),
        "backend": Entry("lbctl.cli.backend:backend", "Back-ends: the servers of a pool."),
        "agent": Entry("lbctl.cli.agent:agent", "Load agents: who tells how busy servers are."),
    },
    "Programs on the switch": {
        "pseudo": Entry(
            "lbctl.cli.pseudo:pseudo", "Pseudo interfaces: what programs here use like a NIC."
        ),
        "app": Entry(
            "lbctl.cli.app:app", "Network applications: programs with packet buffers of their own."
        ),
    },
    "What goes on": {
        "health": Entry("lbctl.cli.health:health", "Health: what the checks of back-ends found."),
        "connection": Entry(
            "lbctl.cli.connection:connection", "Connections: flows and their back-ends."
        ),
        "route": Entry("lbctl.cli.route:route", "Routes: as the switching processors have them."),
        "neighbor": Entry("lbctl.cli.neighbor:neighbor", "Neighbors: hosts on the links."),
        "explain": Entry(
            "lbctl.cli.explain:explain", "Tell what the switch would do with a packet, and why."
        ),
        "top": Entry("lbctl.cli.top.command:top", "Watch the switch at work, on a whole screen."),
        "capture": Entry(
            "lbctl.cli.capture:capture",
            "Capture packets as they come and as they leave, with verdicts.",
        ),
        "events": Entry("lbctl.cli.events:events", "Show what has happened."),
        "stats": Entry("lbctl.cli.stats:stats", "Show what became of the packets."),
        "drops": Entry("lbctl.cli.stats:drops", "Show which packets were discarded, and why."),
    },
    "Configuration": {
        "apply": Entry("lbctl.cli.configuration:apply", "Make the switch do what a file says."),
        "diff": Entry("lbctl.cli.configuration:diff", "Show what `apply` would change."),
        "validate": Entry("lbctl.cli.configuration:validate", "Check a file, without a daemon."),
        "export": Entry("lbctl.cli.configuration:export", "Print the configuration for `apply`."),
        "import": Entry(
            "lbctl.cli.importing.command:group", "Take over the configuration of IPVS or HAProxy."
        ),
        "generations": Entry("lbctl.cli.generation:generations", "Show the history."),
        "rollback": Entry("lbctl.cli.generation:rollback", "Return to an older generation."),
    },
    "Trying it out": {
        "demo": Entry("lbctl.testbed.cli:demo", "Balance real traffic in network namespaces."),
        "testbed": Entry("lbctl.testbed.cli:testbed", "A small network to try things in."),
        "simulate": Entry(
            "lbctl.simulation.command:simulate", "Try schedulers on a made-up or recorded load."
        ),
        "completion": Entry("lbctl.cli.completion:completion", "Print completion for a shell."),
    },
}


@click.command(
    cls=Root,
    sections=SECTIONS,
    epilog=example("lbctl pool add web --vip 203.0.113.10:80/tcp --backend 10.0.1.11:8080"),
)
@click.option(
    "--name",
    envvar="LBCTL_NAME",
    default="default",
    show_default=True,
    help="Instance of the switch; also LBCTL_NAME.",
)
@click.option(
    "--socket",
    envvar="LBCTL_SOCKET",
    metavar="PATH",
    help="Socket of the daemon, if not /run/lbctl/NAME.sock; also LBCTL_SOCKET.",
)
@click.option("--debug", is_flag=True, help="Show the traceback of an unexpected error.")
@click.version_option(__version__, prog_name="lbctl", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context, *, name: str, socket: str | None, debug: bool) -> None:
    """
    Switch packets and balance services with XDP.

    Talks to the daemon `lbctld`, which sets up the switching processors.
    """
    del debug  # Root reads it when something fails
    if ctx.obj is None:
        from lbctl.cli.client import connect  # noqa: PLC0415 - only when a command runs

        ctx.obj = connect(name, socket)


def main() -> None:
    """Run the command line."""
    cli(prog_name="lbctl")
