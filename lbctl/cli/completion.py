"""The completion command: what a shell needs to complete words of `lbctl`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from lbctl.cli.options import example
from lbctl.errors import LbctlError


@click.command(
    epilog=example(
        'eval "$(lbctl completion bash)"',
        "lbctl completion zsh > ~/.zfunc/_lbctl",
        "lbctl completion fish > ~/.config/fish/completions/lbctl.fish",
    )
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """
    Print completion for a shell.

    It completes commands, options, NICs and, if the daemon answers, pools.
    """
    kind = get_completion_class(shell)
    if not kind:
        raise LbctlError(f"{shell}: this version of click cannot complete for it")
    click.echo(kind(ctx.find_root().command, {}, "lbctl", "_LBCTL_COMPLETE").source())
