"""The capture command: packets as they come and as they leave, with what became of them."""

from __future__ import annotations

import sys
from ipaddress import ip_address
from typing import TYPE_CHECKING

import click

from lbctl.cli import recording, render
from lbctl.cli.options import example, output_option
from lbctl.cli.parameters import APP, NIC, POOL, SERVER, Number, Shown, starting
from lbctl.cli.tables import text
from lbctl.errors import UsageError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from click.shell_completion import CompletionItem

    from lbctl.cli.client import Client
    from lbctl.cli.tables import Row
    from lbctl.cli.transport import Stream

SNAP = 2048  # bytes of a frame that can be taken


class VerdictName(Shown):
    """A verdict; case does not matter, and `drop` is all that begin so."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Find the verdict, or the nearest."""
        from lbctl.control.capturing import verdicts  # noqa: PLC0415 - slow to import

        try:
            found = verdicts.named([value])
        except UsageError as err:
            self.fail(str(err), param, ctx)
        return found[0].name if len(found) == 1 else verdicts.DROPS

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer all of them."""
        del ctx, param
        from lbctl.control.capturing import verdicts  # noqa: PLC0415

        small = [name.lower() for name in verdicts.NAMES]
        names = verdicts.NAMES if incomplete[:1].isupper() or not incomplete else small
        return starting([verdicts.DROPS, *names], incomplete)


class Host(Shown):
    """An address."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read the address; brackets do no harm."""
        try:
            return str(ip_address(value.removeprefix("[").removesuffix("]")))
        except ValueError:
            self.fail(f"{value!r} is not an IP address", param, ctx)


@click.command(
    epilog=example(
        "lbctl capture --drops",
        "lbctl capture --pool web --count 100 -w web.pcapng",
        "lbctl capture --host 198.51.100.7 --seconds 10 -o json",
    )
)
@click.option(
    "--verdict", multiple=True, type=VerdictName("NAME"), help="Only those; `drop` is every drop."
)
@click.option("--drops", is_flag=True, help="Only what is discarded: --verdict drop.")
@click.option("--pool", type=POOL, help="Only to and from this pool.")
@click.option("--app", type=APP, help="Only for this network application.")
@click.option("--backend", type=SERVER, help="Only to and from this back-end.")
@click.option(
    "--host", type=Host("ADDR"), help="Only from or to this address, or a back-end's that has it."
)
@click.option(
    "--port", type=click.IntRange(1, 65_535), metavar="N", help="Only with this port, on any side."
)
@click.option("--protocol", type=click.Choice(["tcp", "udp", "icmp"]), help="Only of this.")
@click.option("--in", "nic", multiple=True, type=NIC, help="Only what comes in by this NIC.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="End after N packets.")
@click.option("--seconds", type=Number(min=0.001), metavar="S", help="End after S seconds.")
@click.option(
    "--snap",
    type=click.IntRange(1, SNAP),
    default=SNAP,
    show_default=True,
    metavar="BYTES",
    help="Take so much of a packet.",
)
@click.option("-w", "--write", metavar="FILE", help="Write a pcapng file; - is standard output.")
@click.option("--force", is_flag=True, help="Write over a FILE that is there.")
@click.option("--stop", is_flag=True, help="End the capture that runs, whoever started it.")
@output_option
@click.pass_obj
def capture(  # noqa: PLR0913 - as many as there are options
    client: Client,
    /,
    *,
    output: str,
    write: str | None,
    force: bool,
    stop: bool,
    drops: bool,
    **chosen: object,
) -> None:
    """
    Capture packets as they come and as they leave, with verdicts.

    Goes on until Ctrl-C.  Without -w each packet is a line; times are UTC, and with -o json each is
    an object.  A file has a packet twice, if it left: by which NIC, and what became of it, stands
    in its comments.  `lbctl capture -w - | tshark -r -` shows them at once.

    While it runs another program does the work of the switching processors; packets never stop.
    """
    if stop:
        ended = client.stop_capture()
        click.echo(f"capture of {ended['who']} ended: captured {ended['captured']}")
        return
    wanted = _wanted(chosen, drops=drops)
    if write is None:
        _show(client, wanted, output)
        return
    if output != "table":
        raise UsageError("-w writes pcapng, which -o cannot change; leave one of them out")
    if write == recording.STDOUT and sys.stdout.isatty():
        raise UsageError("-w -: a terminal cannot show a pcapng file; add `| tshark -r -`")
    recording.refuse_unusable(write, force=force)
    _write(client, wanted, write, force=force)


def _wanted(chosen: Row, *, drops: bool) -> Row:
    """The filter as the API wants it."""
    verdicts = [*chosen.pop("verdict"), *(["drop"] if drops else [])]
    return {**chosen, "verdict": verdicts, "nic": list(chosen["nic"])}


def _show(client: Client, wanted: Row, output: str) -> None:
    with (
        client.capture({**wanted, "form": "json"}) as stream,
        _ending(client, stream),
        recording.Tally(live=False) as tally,
    ):
        render.stream(recording.rows(stream.parts, tally), output, line)


def _write(client: Client, wanted: Row, path: str, *, force: bool) -> None:
    with (
        client.capture({**wanted, "form": "pcapng"}) as stream,
        _ending(client, stream),
        recording.opened(path, force=force) as file,
        recording.Tally(live=True) as tally,
    ):
        recording.write(stream.parts, file, tally)


def _ending(client: Client, stream: Stream) -> AbstractContextManager[None]:
    """At Ctrl-C the daemon is asked to end it, so that the last packets and numbers still come."""
    number = int(stream.headers.get("x-lbctl-capture", 0))
    return recording.asked_to_end(lambda: client.stop_capture(number or None))


def line(row: Row) -> str:
    """One packet."""
    more = f" {row['more']}" if row["more"] else ""
    server = " ".join(filter(None, (row["pool"], row["app"], row["backend"])))
    out = f"out {row['out_nic']}" if row["out_nic"] else ""
    who = f"{row['protocol']} {row['source']} > {row['destination']}{more}"
    parts = (row["time"][11:26], row["nic"], who, row["verdict"], server, out)
    return text("  ".join(filter(None, parts)))
