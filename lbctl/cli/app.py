"""The app commands: network applications, programs with packet buffers of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from lbctl.cli import program_tables, render
from lbctl.cli.options import example, output_option
from lbctl.cli.parameters import APP, NEW, NIC_OR_ALL, QUEUE_OR_ALL, VIP, Member, Number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lbctl.cli.client import Client

    Command = TypeVar("Command", bound=Callable[..., Any])
    Row = dict[str, Any]

ALL = "all"
VIPS = ("vips", "add_vips", "remove_vips")
OPTIONS = (
    click.option(
        "--nic",
        "nics",
        type=NIC_OR_ALL,
        multiple=True,
        help="Receive by this NIC only; may be repeated; all that are attached unless set.",
    ),
    click.option(
        "--queue",
        "queues",
        type=QUEUE_OR_ALL,
        multiple=True,
        help="Receive from this queue of the NICs only; may be repeated; all unless set.",
    ),
    click.option("--user", help="Who may run it, beside root; a name or a number."),
    click.option(
        "--on-exit",
        type=Member("OnExit"),
        help="While it does not run TCP is answered by a reset, all is dropped, or the kernel has "
        "it; reset unless set.",
    ),
    click.option(
        "--frames",
        type=click.IntRange(64, 1 << 20),
        metavar="N",
        help="Packets that its memory holds; 8192 unless set.",
    ),
    click.option(
        "--frame-size",
        type=click.Choice(("2048", "4096")),
        help="Bytes of memory for each of them; 2048 unless set.",
    ),
    click.option(
        "--hung-after",
        type=Number(0, 3600),
        metavar="SECONDS",
        help="Not looking at packets for so long is as not running; 5 unless set, 0: never.",
    ),
)


def _options(command: Command) -> Command:
    """Add the options that `app add` and `app set` share."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


@click.group(epilog=example("lbctl app list"))
def app() -> None:
    """Network applications: programs with packet buffers of their own."""


@app.command(
    epilog=example(
        "lbctl app add voip --vip 203.0.113.20:5060/udp --user voip",
        "lbctl app add dns --vip '[2001:db8::53]:53/udp' --nic eth1 --queue 0 --on-exit kernel",
    )
)
@click.argument("name", type=NEW)
@click.option("--vip", "vips", type=VIP, multiple=True, required=True, help="May be repeated.")
@_options
@click.pass_obj
def add(client: Client, /, name: str, **settings: Any) -> None:  # noqa: ANN401
    """
    Give VIPs to a network application.

    Their packets go into its buffers, past the kernel, once it runs: see `lbctl app show`.
    """
    made = client.add_app({"name": name, **_body(settings)})
    click.echo(f"app {name}: added, VIPs: {len(made['vips'])}, may be run by {made['user']}")


@app.command(
    "set",
    epilog=example(
        "lbctl app set voip --on-exit drop --hung-after 2",
        "lbctl app set voip --add-vip 203.0.113.20:5061/udp --nic all",
    ),
)
@click.argument("name", type=APP)
@click.option(
    "--vip", "vips", type=VIP, multiple=True, help="Instead of all it has; may be repeated."
)
@click.option(
    "--add-vip", "add_vips", type=VIP, multiple=True, help="Beside those it has; may be repeated."
)
@click.option(
    "--remove-vip", "remove_vips", type=VIP, multiple=True, help="Of those it has; may be repeated."
)
@_options
@click.pass_obj
def set_(client: Client, /, name: str, **settings: Any) -> None:  # noqa: ANN401
    """
    Change a network application; what is not said stays.

    --nic and --queue replace all that were said before.  A change of anything but --on-exit and
    --hung-after takes its buffers from it: it has to open them anew, as after a restart.
    """
    fields = _body(settings)
    if not fields:
        raise click.UsageError("Say what to change", click.get_current_context())
    client.set_app(name, fields)
    click.echo(f"app {name}: changed")


@app.command(epilog=example("lbctl app remove voip"))
@click.argument("name", type=APP)
@click.pass_obj
def remove(client: Client, name: str) -> None:
    """Take the VIPs from a network application, and forget it."""
    client.remove_app(name)
    click.echo(f"app {name}: removed")


@app.command("list", epilog=example("lbctl app list", "lbctl app list -o json"))
@output_option
@click.pass_obj
def list_(client: Client, output: str) -> None:
    """
    Show all network applications.

    running: packets go to it; hung: it let packets wait, and gets none until it looks again;
    stopped: it is yet to be started.  PACKETS it was given, LOST of them for want of room.
    """
    render.show(client.apps(), output, program_tables.apps)


@app.command(epilog=example("lbctl app show voip"))
@click.argument("name", type=APP)
@output_option
@click.pass_obj
def show(client: Client, name: str, output: str) -> None:
    """
    Show a network application.

    With each NIC and queue that it receives from, what it counted there, and what became of the
    packets for its VIPs.  Columns with nothing in them are left out.
    """
    render.show(client.app(name), output, program_tables.app)


def _body(settings: Row) -> Row:
    """What was said, in the form of the API."""
    said = {key: value for key, value in settings.items() if value not in (None, ())}
    for key in VIPS:
        if key in said:
            said[key] = [str(vip) for vip in said[key]]
    for key in ("nics", "queues"):
        if key in said:
            said[key] = _some(said[key], key)
    if "frame_size" in said:
        said["frame_size"] = int(said["frame_size"])
    return said


def _some(given: Sequence[str | int], key: str) -> list[str | int]:
    """Those that were named; none stands for all."""
    if ALL not in given:
        return list(given)
    if len(given) > 1:
        option = key.removesuffix("s")
        raise click.UsageError(f"--{option} all stands alone", click.get_current_context())
    return []
