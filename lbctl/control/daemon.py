"""
The daemon lbctld: open the switch, take it over, answer the API, and leave it working.

What ends the daemon never ends the switching processors, unless that was asked for.
"""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import ExitStack, closing
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lbctl import __version__
from lbctl.control import advice, host, logs, sockets
from lbctl.control.api import create_app
from lbctl.control.broker import Broker, listening, path_beside
from lbctl.control.controller import Controller
from lbctl.control.endpoints import metrics
from lbctl.control.health.dsr import VipRoutes
from lbctl.control.interface_daemon import InterfaceDaemon
from lbctl.control.journal import Journal
from lbctl.control.notify import keep_alive, notify
from lbctl.control.page import create_page
from lbctl.control.preflight.survey import KernelSurvey
from lbctl.control.processors.keeper import Processors
from lbctl.control.routing_daemon import RoutingDaemon
from lbctl.control.server import Events, Listener, serve
from lbctl.control.store import Store
from lbctl.control.supervision.counts import Counts
from lbctl.control.supervision.supervisor import Supervisor
from lbctl.control.warning_watch import WarningWatch
from lbctl.errors import LbctlError
from lbctl.model import NAME
from lbctl.shared.tables import Capacity
from lbctl.switching.dataplane import Dataplane

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RUN, STATE = Path("/run/lbctl"), Path("/var/lib/lbctl")
PINS = host.BPFFS / "lbctl"
SIZES = {
    "services": "VIPs",
    "backends": "back-ends of all VIPs together",
    "slots": "slots of all pools together",
    "connections": "connections kept in comfort",
    "next_hops": "hosts and gateways",
    "routes": "routes",
    "rules": "rules of all pools together",
}


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    name: str
    state_dir: Path
    pin_dir: Path
    socket: Path
    netns: str | None
    tcp: sockets.Tcp | None
    page: sockets.Tcp | None
    push: sockets.Place | None
    metrics: sockets.Place | None
    capacity: Capacity
    fresh: bool
    detach_on_exit: bool


def run(options: Options) -> None:
    """Be the control processor until a signal comes."""
    os.umask(0o077)
    host.limit_heaps()
    host.raise_limits()
    host.require_kernel()
    host.require_privileges()
    if options.netns:
        host.enter_netns(options.netns)
    with ExitStack() as cleanup:
        cleanup.enter_context(host.only_one(options.state_dir, options.name))
        host.require_bpffs(options.pin_dir)
        if options.fresh:
            host.remove_pins(options.pin_dir)
        store = cleanup.enter_context(closing(Store(options.state_dir)))
        dataplane = Dataplane.open(options.pin_dir, options.capacity)
        cleanup.callback(dataplane.destroy if options.detach_on_exit else dataplane.close)
        journal = cleanup.enter_context(closing(Journal(options.state_dir)))
        controller = _controller(options.name, dataplane, store)
        routes = cleanup.enter_context(closing(VipRoutes()))
        supervisor = Supervisor(Counts(dataplane), journal, routes=routes)
        supervisor.wake, controller.watch = controller.on_news, supervisor
        controller.preflight.survey = KernelSurvey()
        interfaces = InterfaceDaemon(options.name, dataplane.attached, controller.routing.routes)
        controller.nics.pseudo.interfaces = interfaces
        controller.routing.on_routes = interfaces.follow
        broker = controller.programs = Broker(controller)
        cleanup.callback(controller.stop)
        controller.start()
        processors = Processors(options.state_dir, options.name, journal.tell)
        processors.resume()
        broker.dedicate = processors.admit
        listeners = list(_listeners(options, controller, processors, cleanup))
        apps = cleanup.enter_context(listening(path_beside(options.socket)))
        push = cleanup.enter_context(sockets.push_socket(options.push)) if options.push else None
        watch = WarningWatch(partial(advice.by_name, controller), journal.tell)
        events = Events(
            on_ready=lambda: _say_ready(options, controller),
            on_stopping=lambda: _say_stopping(controller),
            on_address=controller.on_address,
            on_hour=controller.on_hour,
            beside=(lambda: supervisor.run(push), lambda: broker.run(apps), watch.run, keep_alive),
        )
        asyncio.run(serve(listeners, events))


def _controller(name: str, dataplane: Dataplane, store: Store) -> Controller:
    """The controller with its routing daemon: each has to call the other."""

    def on_link(name: str) -> None:
        controller.on_link(name)

    routing = RoutingDaemon(dataplane.routing, dataplane.attached, on_link)
    controller = Controller(dataplane, store, routing, name=name)
    return controller


def _listeners(
    options: Options, controller: Controller, processors: Processors, cleanup: ExitStack
) -> Iterator[Listener]:
    app = create_app(controller)
    app.state.processors = processors
    yield Listener(cleanup.enter_context(sockets.unix_socket(options.socket)), app)
    if tcp := options.tcp:
        gate = sockets.TokenGate(app, tcp.token)
        yield Listener(cleanup.enter_context(sockets.tcp_socket(tcp)), gate, tcp.cert, tcp.key)
    if tcp := options.page:
        plug = cleanup.enter_context(sockets.tcp_socket(tcp, "--page-listen"))
        yield Listener(plug, create_page(app, tcp.token), tcp.cert, tcp.key)
    if options.metrics:
        listener = sockets.open_socket("--metrics-listen", options.metrics)
        yield Listener(cleanup.enter_context(listener), metrics.alone(app.state.metrics))


def _say_ready(options: Options, controller: Controller) -> None:
    notify("READY=1")
    number, configuration = controller.current
    controller.watch.tell("daemon", options.name, f"lbctld {__version__} is ready")
    click.echo(
        f"lbctld {options.name!r} is ready: generation {number}, NICs: {len(configuration.nics)}, "
        f"pools: {len(configuration.pools)}, socket: {options.socket}"
    )


def _say_stopping(controller: Controller) -> None:
    notify("STOPPING=1")
    controller.watch.tell("daemon", controller.name, "lbctld is stopping; packets go on")
    controller.leaving = True


def _with_sizes(command: Callable[..., None]) -> Callable[..., None]:
    """Add an option for the size of each table."""
    for field in reversed(fields(Capacity)):
        option = click.option(
            f"--{field.name.replace('_', '-')}",
            type=click.IntRange(min=1),
            default=field.default,
            show_default=True,
            help=f"Room for so many {SIZES[field.name]}.",
        )
        command = option(command)
    return command


def _name(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not re.match(NAME, value):
        raise click.BadParameter("use at most 63 letters, digits, '_' and '-'")
    if "." in value:
        raise click.BadParameter("use no dot: the BPF file system, where tables are kept, has none")
    return value


FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)


EXAMPLE = "\b\nExample:\n  $ sudo lbctld --name default --log-format json"


@click.command("lbctld", context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXAMPLE)
@click.option(
    "--name",
    default="default",
    envvar="LBCTL_NAME",
    callback=_name,
    show_default=True,
    help="Which instance this is.",
)
@click.option("--netns", help="Network namespace to work in, by name or path.")
@click.option("--state-dir", type=FOLDER, help=f"Where generations are kept [{STATE}/NAME].")
@click.option("--pin-dir", type=FOLDER, help=f"Where tables and programs are pinned [{PINS}/NAME].")
@click.option("--socket", type=FILE, help=f"Unix socket of the API [{RUN}/NAME.sock].")
@click.option("--listen", metavar="ADDR:PORT", help="Serve the API on TCP as well.")
@click.option("--page-listen", metavar="ADDR:PORT", help="Serve the status page, and the API.")
@click.option("--push-listen", metavar="ADDR:PORT", help="Hear load agents that push, by UDP.")
@click.option("--metrics-listen", metavar="ADDR:PORT", help="Serve /metrics alone, to anybody.")
@click.option(
    "--tls-cert", type=FILE, help="Certificate of --listen and --page-listen, but on loopback."
)
@click.option("--tls-key", type=FILE, help="Key of --tls-cert.")
@click.option(
    "--token-file", type=FILE, help="Token that requests to --listen and --page-listen must bear."
)
@_with_sizes
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
@click.option("--fresh", is_flag=True, help="Begin with new tables; all connections are forgotten.")
@click.option(
    "--detach-on-exit", is_flag=True, help="Take the switching processors away at the end."
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def main(**given: Any) -> None:  # noqa: ANN401 - what click makes of the options above
    """
    Run the control processor in the foreground until SIGTERM.

    The switching processors go on when it ends, and the next one takes them over.
    """
    logs.start_logging(given["log_level"], given["log_format"])
    try:
        run(_options(given))
    except LbctlError as err:
        click.echo(f"Error: {err}", err=True)
        raise SystemExit(err.exit_code) from err


def _options(given: dict[str, Any]) -> Options:
    """What the command line says, with the places that follow from the name."""
    name = given["name"]
    return Options(
        name=name,
        state_dir=given["state_dir"] or STATE / name,
        pin_dir=given["pin_dir"] or PINS / name,
        socket=given["socket"] or RUN / f"{name}.sock",
        netns=given["netns"],
        tcp=_tcp("--listen", given),
        page=_tcp("--page-listen", given),
        push=_place("--push-listen", given["push_listen"]),
        metrics=_place("--metrics-listen", given["metrics_listen"]),
        capacity=Capacity(**{field.name: given[field.name] for field in fields(Capacity)}),
        fresh=given["fresh"],
        detach_on_exit=given["detach_on_exit"],
    )


def _tcp(option: str, given: dict[str, Any]) -> sockets.Tcp | None:
    listen = given[option.removeprefix("--").replace("-", "_")]
    if not listen:
        return None
    secrets = (given["tls_cert"], given["tls_key"], given["token_file"])
    return sockets.tcp_listener(listen, *secrets, option=option)


def _place(option: str, text: str | None) -> sockets.Place | None:
    return sockets.place(option, text) if text else None
