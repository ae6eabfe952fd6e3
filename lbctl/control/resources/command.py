"""
The command `lbctl-resource-manager`: read its options, and run the remote until a signal comes.

Its token and the agents' keys are files on this computer; nothing is kept.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import ssl
from contextlib import ExitStack, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import click
import httpx

from lbctl import __version__
from lbctl.control import host, logs
from lbctl.control.notify import notify
from lbctl.control.resource_manager import ResourceManager
from lbctl.control.resources.remote import Remote
from lbctl.control.resources.tracked import EventKind
from lbctl.errors import LbctlError, NotPermitted, UsageError

if TYPE_CHECKING:
    from lbctl.control.resources.tracked import AgentEvent

PATIENCE = 5.0  # seconds for an answer of the API
TOKEN_MIN = 16  # characters
OTHERS = 0o007  # permissions

log = logging.getLogger(__name__)


class Switch(NamedTuple):
    """Where the API is, and what opens it."""

    url: str
    token: str
    trust: ssl.SSLContext | None

    @classmethod
    def at(cls, url: str, token_file: Path, ca: Path | None) -> Self:
        """Read the options.  Raises UsageError when they would not be safe, or another one."""
        parts = _parts(url)
        if parts.scheme == "http" and not _is_loopback(parts.host):
            raise UsageError(f"--remote {url}: only loopback may go without TLS; use https")
        trust = _trust(ca) if parts.scheme == "https" else None
        return cls(url.rstrip("/"), _token(token_file), trust)

    def client(self) -> httpx.AsyncClient:
        """Make what sends requests."""
        return httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self.token}"},
            verify=self.trust or False,
            timeout=PATIENCE,
            trust_env=False,
        )


def run(switch: Switch, manager: ResourceManager, interval: float, push_listen: str | None) -> None:
    """Be the resource manager of *switch* until SIGTERM or SIGINT."""
    host.raise_limits()
    with ExitStack() as cleanup:
        push = cleanup.enter_context(push_socket(push_listen)) if push_listen else None
        with suppress(asyncio.CancelledError):
            asyncio.run(_serve(switch, manager, interval, push))


async def _serve(
    switch: Switch, manager: ResourceManager, interval: float, push: socket.socket | None
) -> None:
    async with switch.client() as client:
        task = asyncio.create_task(Remote(client, manager, interval).run(push))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _stop_by, number, task)
        notify("READY=1")
        await task


def _stop_by(number: signal.Signals, task: asyncio.Task[None]) -> None:
    log.info("%s: stopping", number.name)
    notify("STOPPING=1")
    task.cancel()


def push_socket(listen: str) -> socket.socket:
    """Open the UDP socket ``ADDR:PORT``.  Raises UsageError, or LbctlError if it is taken."""
    host, _, port = listen.rpartition(":")
    try:
        address = ip_address(host.removeprefix("[").removesuffix("]"))
        number = int(port)
        socket.htons(number)
    except (ValueError, OverflowError):
        raise UsageError(
            f"--push-listen {listen!r} is not ADDRESS:PORT, such as 192.0.2.1:7947"
        ) from None
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    door = socket.socket(family, socket.SOCK_DGRAM)
    try:
        door.bind((str(address), number))
    except OSError as err:
        door.close()
        raise LbctlError(f"--push-listen {listen}: {err.strerror}; choose another one") from err
    return door


def _parts(url: str) -> httpx.URL:
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:
        parts = httpx.URL()
    if parts.scheme not in ("http", "https") or not parts.host or parts.path not in ("", "/"):
        raise UsageError(f"--remote {url!r} is not https://HOST:PORT")
    return parts


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _trust(ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as err:
        raise UsageError(f"--ca {ca}: no certificates in PEM form ({err})") from err


def _token(path: Path) -> str:
    try:
        if path.stat().st_mode & OTHERS:
            raise NotPermitted(f"{path}: everybody can read the token; run `chmod 600 {path}`")
        token = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as err:
        raise UsageError(f"{path}: {getattr(err, 'strerror', None) or 'not text'}") from err
    if len(token) < TOKEN_MIN or not token.isascii() or not token.isprintable():
        raise UsageError(f"{path}: a token has at least {TOKEN_MIN} ASCII characters; see lbctld")
    return token


FILE = click.Path(path_type=Path, dir_okay=False)
EXAMPLE = (
    "\b\nExample:\n  $ lbctl-resource-manager --remote https://192.0.2.1:8443 "
    "--token-file /etc/lbctl/token"
)


def _log_event(event: AgentEvent) -> None:
    level = logging.INFO if event.kind is EventKind.BACK else logging.WARNING
    log.log(level, "agent %s: %s", event.agent, event.text)


@click.command(
    "lbctl-resource-manager",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EXAMPLE,
)
@click.option("--remote", "url", required=True, metavar="URL", help="The API of the switch.")
@click.option("--token-file", type=FILE, required=True, help="The API's token.")
@click.option("--ca", type=FILE, help="Certificates to trust instead of the system's.")
@click.option(
    "--interval",
    type=click.FloatRange(0.1, 60),
    default=1.0,
    show_default=True,
    help="Seconds between two messages to the switch.",
)
@click.option("--push-listen", metavar="ADDR:PORT", help="Listen here to agents of kind push.")
@click.option(
    "--log-level",
    type=click.Choice(logs.LEVELS),
    default="info",
    show_default=True,
    help="The least that is worth a line.",
)
@click.option(
    "--log-format",
    type=click.Choice(logs.FORMATS),
    default="text",
    show_default=True,
    help="Lines for people, or JSON for a collector.",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def main(**given: Any) -> None:  # noqa: ANN401 - what click makes of the options above
    """
    Collect the load for a switch on another computer, in the foreground until SIGTERM.

    Which agents to ask it learns from the switch; their keys are files on this computer.
    """
    logs.start_logging(given["log_level"], given["log_format"])
    try:
        switch = Switch.at(given["url"], given["token_file"], given["ca"])
        manager = ResourceManager(_log_event)
        run(switch, manager, given["interval"], given["push_listen"])
    except LbctlError as err:
        click.echo(f"Error: {err}", err=True)
        raise SystemExit(err.exit_code) from err
