"""The agent commands: who tells how busy servers are, and what they said."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lbctl.cli import render, report_tables
from lbctl.cli.options import example, output_option
from lbctl.cli.parameters import SERVER, Member

if TYPE_CHECKING:
    from lbctl.cli.client import Client
    from lbctl.model import SocketAddress

    Row = dict[str, Any]


@click.group(epilog=example("lbctl agent list"))
def agent() -> None:
    """Load agents: who tells how busy servers are."""


@agent.command(
    epilog=example(
        "lbctl agent add 10.0.1.11:9150 --key-file /etc/lbctl/agent.key",
        "lbctl agent add 10.0.1.12:9100 --kind node-exporter --backend 10.0.1.12:8080",
    )
)
@click.argument("address", type=SERVER)
@click.option("--kind", type=Member("AgentKind"), help="How it tells the load; lbctl unless set.")
@click.option(
    "--key-file",
    type=click.Path(dir_okay=False),
    metavar="PATH",
    help="Key that signs reports, in a file that lbctld can read; kinds lbctl and push need one.",
)
@click.option("--path", metavar="/PATH", help="What to ask an agent that speaks HTTP for.")
@click.option("--interval", type=float, metavar="SECONDS", help="Ask so often; 1 unless set.")
@click.option("--timeout", type=float, metavar="SECONDS", help="Wait so long; 1 unless set.")
@click.option(
    "--stale",
    type=float,
    metavar="SECONDS",
    help="Its word begins to fade after such a silence; 10 unless set.",
)
@click.option(
    "--backend",
    "backends",
    type=SERVER,
    multiple=True,
    help="May be repeated; all at the agent's own IP address unless set.",
)
@click.pass_obj
def add(client: Client, /, **settings: Any) -> None:  # noqa: ANN401
    """Listen to one more load agent; ADDRESS is where it listens, or the name that it sends."""
    address = settings["address"]
    made = client.add_agent(_body(settings))
    click.echo(f"agent {address}: added, back-ends: {len(made['backends'])}")


@agent.command(epilog=example("lbctl agent remove 10.0.1.11:9150"))
@click.argument("address", type=SERVER)
@click.pass_obj
def remove(client: Client, address: SocketAddress) -> None:
    """Listen to a load agent no more."""
    client.remove_agent(address)
    click.echo(f"agent {address}: removed")


@agent.command("list", epilog=example("lbctl agent list", "lbctl agent list -o json"))
@output_option
@click.pass_obj
def list_(client: Client, output: str) -> None:
    """
    Show all load agents.

    fresh: its word counts; silent: it fades; waiting: it never spoke.  AGE is in seconds.
    """
    render.show(client.agents(), output, report_tables.agents)


@agent.command(epilog=example("lbctl agent show 10.0.1.11:9150"))
@click.argument("address", type=SERVER)
@output_option
@click.pass_obj
def show(client: Client, address: SocketAddress, output: str) -> None:
    """Show all that a load agent said."""
    render.show(client.agent(address), output, report_tables.agent)


def _body(settings: Row) -> Row:
    """What was said, in the form of the API."""
    from pydantic import ValidationError  # noqa: PLC0415

    from lbctl.control.validation import usage_error  # noqa: PLC0415
    from lbctl.model import Agent  # noqa: PLC0415

    given = {key: value for key, value in settings.items() if value not in (None, ())}
    if "key_file" in given:
        given["key_file"] = str(Path(given["key_file"]).absolute())  # lbctld is somewhere else
    try:
        made = Agent.model_validate(given)
    except ValidationError as err:
        raise click.UsageError(str(usage_error(err.errors())), click.get_current_context()) from err
    return made.model_dump(mode="json", exclude_unset=True)
