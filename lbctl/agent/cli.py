"""
The command line of the agent: read what was typed, do it, end every failure in one line.

Exit status as in `lbctl.errors`; 130 after Ctrl-C.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import sys
from typing import TYPE_CHECKING, Any

import click

from lbctl import __version__
from lbctl.agent import daemon
from lbctl.agent.options import (
    FILE,
    STATE,
    agent_options,
    config_option,
    example,
    state_file_option,
)
from lbctl.agent.state import State, read_state, write_state
from lbctl.agent.wire import Wish, encode_report
from lbctl.errors import Conflict, LbctlError, NotPermitted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lbctl.agent.settings import Settings

INTERRUPTED = 130  # 128 + SIGINT, as shells have it
KEY_BYTES = 32

log = logging.getLogger(__name__)


class Root(click.Group):
    """The group of the verbs; what begins with an option, or nothing at all, is `run`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `run` where no verb is."""
        own = {name for option in self.get_params(ctx) for name in option.opts}
        if not args or (args[0].startswith("-") and args[0] not in own):
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002 - click's signature
        **extra: Any,  # noqa: ANN401 - click's signature
    ) -> Any:  # noqa: ANN401 - click's signature
        """Run a command line; in standalone mode end the process with its exit status."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        try:
            status = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        except click.ClickException as err:
            text = err.format_message().rstrip(".")
            if isinstance(err, click.UsageError) and err.ctx:
                text += f"; see `{err.ctx.command_path} --help`"
            status = _fail(text, err.exit_code)
        except LbctlError as err:
            status = _fail(str(err), err.exit_code)
        except (click.Abort, KeyboardInterrupt):
            status = INTERRUPTED
        except Exception as err:  # what nobody foresaw is one line too
            log.debug("a bug", exc_info=True)
            why = f"{type(err).__name__}: {err}: this is a bug in lbctl, please report it"
            status = _fail(f"{why}; `lbctl-agent run --log-level debug` shows where", 1)
        return sys.exit(status)


def _fail(message: str, status: int) -> int:
    click.echo(f"Error: {' '.join(message.split())}", err=True)
    return status


@click.group(
    cls=Root,
    epilog=example("lbctl-agent run --key-file /etc/lbctl/agent.key --port 80"),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="lbctl-agent")
def cli() -> None:
    """Tell a switch how busy this back-end server is; without a verb, `run`."""


@cli.command(
    epilog=example(
        "lbctl-agent run --key-file /etc/lbctl/agent.key --port 80",
        "lbctl-agent run --config /etc/lbctl/agent.toml",
    )
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
)
@agent_options
def run(settings: Settings, log_level: str) -> None:
    """Answer and push until SIGTERM or Ctrl-C."""
    _log(log_level)
    asyncio.run(daemon.run(settings, click.echo))


@cli.command(epilog=example("lbctl-agent report --port 80 --stub-status http://127.0.0.1/status"))
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Form of what is printed.",
)
@agent_options
def report(settings: Settings, output: str) -> None:
    """Look for a second and print the report that the switch would get."""
    _log("warning")
    found = encode_report(asyncio.run(daemon.report_once(settings)))
    click.echo(json.dumps(found) if output == "json" else table(found))


@cli.command(epilog=example('lbctl-agent state drain --reason "new kernel"', "lbctl-agent state"))
@click.argument("word", type=STATE, required=False)
@click.option("--reason", default="", metavar="TEXT", help="One line for those who wonder why.")
@config_option
@state_file_option
def state(word: str | None, reason: str, state_file: Path) -> None:
    """Say what this server wants: up, drain, maint or down. Without a word, show it."""
    if word is None:
        found = read_state(state_file)
        click.echo(found or "not set: the agent's own --state is told")
        return
    new = State(Wish(word), reason)
    write_state(state_file, new)
    click.echo(f"this server asks for: {new}")


@cli.command(epilog=example("lbctl-agent key --output /etc/lbctl/agent.key"))
@click.option("--output", type=FILE, required=True, metavar="FILE", help="Where it is to be.")
def key(output: Path) -> None:
    """Make a key that agent and switch share; nobody but its owner can read it."""
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise Conflict(f"{output}: it exists already; remove it or name another file") from None
    except OSError as err:
        raise NotPermitted(f"{output}: {err.strerror}; name another file or use sudo") from None
    with open(descriptor, "w") as file:  # noqa: PTH123 - a descriptor, not a path
        file.write(f"{secrets.token_hex(KEY_BYTES)}\n")
    click.echo(f"{output}: made; copy it to the switch, and give it to the agent with --key-file")


def table(report: dict[str, Any]) -> str:
    """Write a report for people: a line a figure, `-` for what is not told."""
    ratios = ("cpu", "memory", "utilization", "weight")
    lines = [(name, _percent(report.get(name))) for name in ratios]
    lines += [
        ("clients", _number(report.get("clients"), "")),
        ("requests", _number(report.get("requests_per_second"), " per second")),
        ("execution", _number(report.get("execution_seconds"), " seconds")),
    ]
    for port, count in report.get("connections", {}).items():
        lines.append((f"port {port}", f"{count} connections"))
    lines.append(("state", f"{report.get('wish', '-')} {report.get('reason', '')}".rstrip()))
    return "\n".join(f"{name:<12} {text}" for name, text in lines)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _number(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.4g}{unit}"


def _log(level: str) -> None:
    logging.basicConfig(level=level.upper(), format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("asyncio").setLevel("WARNING")


def main() -> None:
    """Run `lbctl-agent`."""
    cli.main(prog_name="lbctl-agent")
