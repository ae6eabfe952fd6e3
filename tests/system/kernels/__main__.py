"""
The command: boots each kernel in turn, has the checks made, and keeps what came of them.

    python -m tests.system.kernels [SUITE...]

It ends with 1 when a step failed.  A refusal is no failure: lbctl says what it needs.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import click

from tests.system.kernels import archive, compiler, machine, results, wires

SUITES = ("bullseye", "bookworm", "trixie", "trixie-backports")
CACHE = Path("build/kernels")
SECONDS = 600.0  # for one kernel


def examine(kernel: archive.Kernel, server: compiler.Compiler, seconds: float) -> dict:
    """Run all checks under a kernel."""
    begin = time.monotonic()
    python = [sys.executable, "-u", "-m", "tests.system.kernels.inside"]
    command = ["env", f"PYTHONPATH={Path.cwd()}", *python]
    with machine.folder() as folder, server.serving(folder), wires.plugged_in() as nics:
        ran = machine.run(kernel, command, folder, seconds=seconds, nics=nics)
        report, refusals = folder / "report", folder / "refusals"
        told = report.read_text(encoding="utf-8") if report.exists() else ""
        if refusals.exists():
            (CACHE / kernel.suite / "refusals").write_bytes(refusals.read_bytes())
    (CACHE / kernel.suite / "console").write_text(ran.console, encoding="utf-8")
    return results.row(kernel, told, ran.status, time.monotonic() - begin)


def show(row: dict) -> bool:
    """Tell what came of a kernel; returns whether all is well."""
    click.secho(f"\n{row['release']} ({row['suite']}), {row['seconds']} s", bold=True)
    for step in row["steps"]:
        line = f"  {step['outcome']:8} {step['check']}: {step['step']}  {step['note']}"
        click.echo(line.rstrip()[:200])
    if not row["ended"]:
        click.echo(f"  the guest did not end well; see {CACHE / row['suite'] / 'console'}")
    return row["ended"] and all(step["outcome"] != "failed" for step in row["steps"])


@click.command()
@click.argument("suites", nargs=-1, metavar="[SUITE]...")
@click.option("--seconds", default=SECONDS, show_default=True, help="For each kernel.")
def main(suites: tuple[str, ...], seconds: float) -> None:
    """Run lbctl under the kernels of Debian's releases, emulated; all of them, or of SUITEs."""
    if os.geteuid():
        raise click.ClickException("network namespaces take root; run: sudo make test-vm")
    server, well = compiler.Compiler(), True
    for suite in suites or SUITES:
        try:
            kernel = archive.fetch(suite, CACHE)
        except archive.ArchiveError as error:
            raise click.ClickException(f"{suite}: {error}") from error
        row = examine(kernel, server, seconds)
        results.write([row])
        well = show(row) and well
    raise SystemExit(not well)


if __name__ == "__main__":
    main(prog_name="make test-vm")
