"""
The options: what `run` and `report` take on the command line or from a TOML file.

A key of the file is an option with its dashes as underscores, and its value is read as if it were
typed.  The command line comes first.
"""

from __future__ import annotations

import tomllib
from dataclasses import fields
from difflib import get_close_matches
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lbctl.agent import trees
from lbctl.agent.addresses import Address, server_name
from lbctl.agent.fetch import Url
from lbctl.agent.prometheus import Metric
from lbctl.agent.settings import JSON_MAX_AGE, Settings
from lbctl.agent.state import DEFAULT_FILE
from lbctl.agent.wire import Wish
from lbctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    Base = click.ParamType[Any]
    Command = Callable[..., Any]
else:
    Base = click.ParamType  # no generic before click 8.4

DEFAULT_LISTEN = ":8407"
FILE = click.Path(path_type=Path)


class Parsed(Base):
    """A type that has a parser of its own."""

    def __init__(self, name: str, parse: Callable[[str], object]) -> None:
        self.name = name
        self._parse = parse

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> object:
        """Read *value*; click calls this for defaults too."""
        try:
            return self._parse(str(value))
        except UsageError as err:
            self.fail(str(err), param, ctx)


ADDRESS = Parsed("address", Address.parse)
URL = Parsed("url", Url.parse)
METRIC = Parsed("metric", Metric.parse)
PORT = click.IntRange(1, 65535)
STATE = click.Choice([wish.value for wish in Wish])


def example(*lines: str) -> str:
    """Make the end of a command's help: each line is something to type."""
    return "\n".join(["\b", "Example:", *(f"  $ {line}" for line in lines)])


def config_option(command: Command) -> Command:
    """Add --config."""
    return click.option(
        "--config",
        type=FILE,
        is_eager=True,  # it is what the other options begin with
        expose_value=False,
        callback=_load,
        metavar="FILE",
        help='TOML file with any of these options as keys: listen = [":8407"].',
    )(command)


def state_file_option(command: Command) -> Command:
    """Add --state-file."""
    return click.option(
        "--state-file",
        type=FILE,
        default=DEFAULT_FILE,
        show_default=True,
        metavar="FILE",
        help="Where `lbctl-agent state` leaves what the administrator wants.",
    )(command)


TELLING = [
    click.option(
        "--name",
        type=Parsed("name", server_name),
        metavar="ADDR:PORT",
        help="Address of this agent, as the switch has it. Default: the one that was asked.",
    ),
    click.option(
        "--key-file", type=FILE, metavar="FILE", help="Key shared with the switch; see `key`."
    ),
]
SERVING = [
    click.option(
        "--listen",
        type=ADDRESS,
        multiple=True,
        default=[DEFAULT_LISTEN],
        show_default=True,
        metavar="ADDR:PORT",
        help="Answer here, by HTTP and with the agent check.",
    ),
    click.option(
        "--check-listen",
        type=ADDRESS,
        multiple=True,
        metavar="ADDR:PORT",
        help="Answer here with the agent check only, at once.",
    ),
    click.option(
        "--agent-check/--no-agent-check",
        default=True,
        show_default=True,
        help="Whether the ports of --listen know the agent check; it is not signed.",
    ),
    click.option(
        "--metrics/--no-metrics",
        default=True,
        show_default=True,
        help="Whether there is /metrics; it is not signed.",
    ),
    click.option(
        "--push",
        type=ADDRESS,
        multiple=True,
        metavar="HOST:PORT",
        help="Send the signed report to this switch by UDP.",
    ),
]
LOOKING = [
    click.option(
        "--interval",
        type=click.FloatRange(0.1, 3600),
        default=1.0,
        show_default=True,
        metavar="SECONDS",
        help="Pause between two looks at the application, and two pushes.",
    ),
    click.option(
        "--ports",
        "--port",
        type=PORT,
        multiple=True,
        metavar="PORT",
        help="Count the established connections of this port.",
    ),
    click.option(
        "--cgroup",
        metavar="PATH|auto",
        help="Tell CPU and memory of this cgroup, by its quotas; auto: the agent's own.",
    ),
    click.option(
        "--cgroup-root", type=FILE, default=trees.ROOT, show_default=True, metavar="FOLDER"
    ),
    click.option(
        "--state",
        type=STATE,
        default=Wish.UP.value,
        show_default=True,
        help="What to ask for while no administrator has said otherwise.",
    ),
]
APPLICATION = [
    click.option("--prometheus", type=URL, metavar="URL", help="Metrics of the application."),
    click.option(
        "--requests-metric", type=METRIC, metavar="NAME", help="Counter of requests, there."
    ),
    click.option("--clients-metric", type=METRIC, metavar="NAME", help="Gauge of clients, there."),
    click.option(
        "--execution-metric",
        type=METRIC,
        metavar="NAME",
        help="Histogram or summary of execution times, there; without _sum and _count.",
    ),
    click.option(
        "--utilization-metric", type=METRIC, metavar="NAME", help="Gauge from 0 to 1, there."
    ),
    click.option("--json-file", type=FILE, metavar="FILE", help="Figures as JSON in a file."),
    click.option(
        "--json-max-age",
        type=click.FloatRange(min=0.1),
        default=JSON_MAX_AGE,
        show_default=True,
        metavar="SECONDS",
        help="An older file is not believed.",
    ),
    click.option(
        "--json-socket", type=FILE, metavar="FILE", help="Figures as JSON from a Unix socket."
    ),
    click.option("--stub-status", type=URL, metavar="URL", help="Stub status of nginx."),
]


def agent_options(command: Command) -> Command:
    """Add all options of an agent; *command* gets them as Settings, and its own as they are."""

    @wraps(command)
    def with_settings(**given: Any) -> None:  # noqa: ANN401 - whatever the options make
        own = {field.name: given.pop(field.name) for field in fields(Settings)}
        command(Settings(**{**own, "state": Wish(own["state"])}), **given)

    result: Command = with_settings
    for option in reversed([*TELLING, *SERVING, *LOOKING, *APPLICATION]):
        result = option(result)
    return config_option(state_file_option(result))


# -- the file ----------------------------------------------------------------------------------


def _load(ctx: click.Context, param: click.Parameter, path: Path | None) -> None:
    """Make what the file says the defaults of the other options."""
    del param
    if path is not None and not ctx.resilient_parsing:
        ctx.default_map = {**(ctx.default_map or {}), **read_config(path, ctx)}


def read_config(path: Path, ctx: click.Context) -> dict[str, Any]:
    """
    Read a TOML file; every command reads the same one and takes what it knows.

    Raises UsageError that names the key.
    """
    try:
        data = tomllib.loads(path.read_text())
    except OSError as err:
        raise UsageError(f"{path}: {err.strerror}; give another with --config") from None
    except ValueError as err:
        raise UsageError(f'{path}: {err}; a line is like: listen = [":8407"]') from None
    known = _parameters()
    return {key: _value(path, ctx, known, key, value) for key, value in data.items()}


def _parameters() -> dict[str, click.Option]:
    """List the options that the file may have."""

    @agent_options
    def any_command(settings: Settings) -> None:
        del settings

    found = click.command(any_command).params
    return {p.name: p for p in found if isinstance(p, click.Option) and p.name and p.expose_value}


def _value(
    path: Path, ctx: click.Context, known: dict[str, click.Option], key: str, value: object
) -> object:
    """Check one value as click would check it, so that the error can name the key."""
    option = known.get(key)
    if option is None:
        near = get_close_matches(key, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "see `lbctl-agent run --help`"
        raise UsageError(f"{path}: there is no key {key!r}; {hint}")
    wanted = "true or false" if option.is_flag else "text or a number"
    values = value if isinstance(value, list) and option.multiple else [value]
    for each in values:
        right = isinstance(each, bool) if option.is_flag else type(each) in (str, int, float)
        if not right:
            raise UsageError(f"{path}: {key}: {each!r} is not {wanted}")
    if option.is_flag:
        return value
    typed = [str(each) for each in values]
    try:
        option.type_cast_value(ctx, typed if option.multiple else typed[0])
    except click.BadParameter as err:
        raise UsageError(f"{path}: {key}: {err.message}") from None
    return typed if option.multiple else typed[0]
