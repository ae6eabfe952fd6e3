"""The import commands: read a text of IPVS or HAProxy, print a configuration of lbctl."""

from __future__ import annotations

import json
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

import click

from lbctl.cli import render, tables
from lbctl.cli.options import example
from lbctl.cli.parameters import NIC, Shown
from lbctl.errors import Conflict, LbctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lbctl.cli.importing.building import Imported
    from lbctl.model import IPAddress

    Command = Callable[..., None]

STDOUT = "-"
NICS = "no NICs: applied as it is it would detach those that are attached; add some with --nic"


class Address(Shown):
    """An address that a VIP can have."""

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> IPAddress:
        """Read the address; brackets do no harm."""
        from lbctl.model import SocketAddress  # noqa: PLC0415 - slow to import

        try:
            address = ip_address(value.removeprefix("[").removesuffix("]"))
        except ValueError:
            self.fail(f"{value!r} is not an IP address", param, ctx)
        try:
            return SocketAddress.parse(str(SocketAddress(address, 1))).address
        except ValueError as err:
            self.fail(str(err), param, ctx)


class Wanted(NamedTuple):
    """What is to become of the configuration."""

    output: str
    write: str | None
    force: bool
    strict: bool
    nics: Sequence[str]


def common_options(command: Command) -> Command:
    """Add FILE and the options that say where the configuration goes."""
    for option in (
        click.option("--strict", is_flag=True, help="Fail if anything is not taken."),
        click.option("--force", is_flag=True, help="Write over a FILE that is there."),
        click.option("-w", "--write", metavar="FILE", help="Write the configuration to a file."),
        click.option(
            "-o",
            "--output",
            type=click.Choice(["yaml", "json"]),
            default="yaml",
            show_default=True,
            help="Form of the configuration; `apply` reads both.",
        ),
        click.option("--nic", "nics", multiple=True, type=NIC, help="Serve this NIC; repeat it."),
        click.argument("file", type=click.File("rb"), default=STDOUT),
    ):
        command = option(command)
    return command


@click.group(
    name="import",
    epilog=example("lbctl import haproxy haproxy.cfg --address 203.0.113.10 --nic eth1 > lb.yaml"),
)
def group() -> None:
    """
    Take over the configuration of IPVS or HAProxy.

    The result is the file that `lbctl apply` takes; nothing is applied, and no daemon is needed.
    Standard error says what could not be taken, and what means something else now.
    """


@group.command(epilog=example("lbctl import ipvsadm ipvs.rules --nic eth1 > lb.yaml"))
@click.option("--merge", is_flag=True, help="One pool for VIPs with the same servers and settings.")
@common_options
def ipvsadm(file: IO[bytes], *, merge: bool, **wanted: object) -> None:
    """
    Read what `ipvsadm -Sn` prints.

    FILE may be - or left out for standard input: `ipvsadm -Sn | lbctl import ipvsadm`.
    """
    from lbctl.cli.importing.ipvsadm import read  # noqa: PLC0415 - slow to import

    name = _name(file)
    with _named(name):
        imported = read(_text(file), merge=merge)
    _finish(name, imported, _wanted(wanted))


@group.command(
    epilog=example("lbctl import haproxy haproxy.cfg --address 203.0.113.10 -w switch.yaml")
)
@click.option(
    "--address",
    "addresses",
    multiple=True,
    type=Address("ADDR"),
    help="The VIP's address where HAProxy binds `*`; one for IPv4, one for IPv6.",
)
@common_options
def haproxy(file: IO[bytes], *, addresses: Sequence[IPAddress], **wanted: object) -> None:
    """
    Read a haproxy.cfg.

    FILE may be - or left out for standard input.  HTTP proxies are taken as well, and balanced as
    TCP: rules that look into requests are lost.
    """
    from lbctl.cli.importing.haproxy import read  # noqa: PLC0415 - slow to import

    name = _name(file)
    with _named(name):
        imported = read(_text(file), addresses)
    _finish(name, imported, _wanted(wanted))


def _wanted(words: dict[str, object]) -> Wanted:
    return Wanted(**words)  # type: ignore[arg-type]


def _name(file: IO[bytes]) -> str:
    name = str(getattr(file, "name", "<stdin>"))
    return "standard input" if name == "<stdin>" else name


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Say in errors which file it is about."""
    try:
        yield
    except LbctlError as err:
        raise type(err)(f"{name}: {err}") from err


def _text(file: IO[bytes]) -> str:
    """Read it; bytes that are no UTF-8 can stand in comments and names only."""
    return file.read().decode("utf-8", errors="replace")


def _finish(name: str, imported: Imported, wanted: Wanted) -> None:
    """Tell the remarks, then give the configuration to whoever wants it."""
    from lbctl.cli.importing import building  # noqa: PLC0415 - slow to import
    from lbctl.cli.importing.remarks import Kind  # noqa: PLC0415

    ready = building.with_nics(imported, wanted.nics)
    if not wanted.nics:
        ready.remarks.note(NICS)
    lost, other = (ready.remarks.lines(kind) for kind in (Kind.NOT_TAKEN, Kind.DIFFERS))
    for line in ready.remarks.texts():
        click.echo(line, err=True)
    said = f"{building.summary(ready)}; lines not taken: {lost}, taken with a difference: {other}"
    click.echo(said, err=True)
    if wanted.strict and lost:
        raise LbctlError(f"{name}: lines not taken: {lost}; without --strict the rest is printed")
    _give(building.exported(ready), wanted)


def _give(data: dict[str, object], wanted: Wanted) -> None:
    if wanted.write in (None, STDOUT):
        render.show(data, wanted.output, tables.changes)
        return
    text = json.dumps(data, indent=2) + "\n" if wanted.output == "json" else render.to_yaml(data)
    _write(str(wanted.write), text, force=wanted.force)


def _write(path: str, text: str, *, force: bool) -> None:
    try:
        with Path(path).open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as err:
        raise Conflict(f"{path}: exists already; choose another name, or --force") from err
    except OSError as err:
        raise LbctlError(f"{path}: {err.strerror}; choose another FILE") from err
