"""A daemon to measure: lbctld in a namespace with two cables to nowhere, and its command."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lbctl.errors import LbctlError
from lbctl.testbed import namespaces
from lbctl.testbed.processes import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.support.switch import Plan

_NICS = {"outside": "198.51.100.1/24", "inside": "10.1.255.254/16"}
_HOST_MAC = "02:00:00:00:00:02"
_PATIENCE = 30.0


class Daemon:
    """One lbctld that runs."""

    def __init__(self, folder: Path, process: subprocess.Popen[str], seconds: float) -> None:
        self.socket, self.pid = folder / "socket", process.pid
        self.seconds = seconds  # until it was ready

    def lbctl(self, *words: str) -> str:
        """Run a command; returns what it printed, raises LbctlError if it failed."""
        return namespaces.run([sys.executable, "-m", "lbctl", "--socket", str(self.socket), *words])

    def set_up(self, plan: Plan) -> None:
        """Attach both NICs, add every service of the plan with all its back-ends."""
        self.lbctl("attach", *_NICS)
        for number in range(plan.services):
            servers = [f"--backend={server}" for server in plan.servers(number)]
            words = [f"--vip={plan.vip(number)}", *servers, f"--on-unknown={plan.on_unknown}"]
            self.lbctl("pool", "add", f"pool{number}", *words)


def _build(name: str, plan: Plan) -> None:
    """The namespace: two NICs, and neighbours that never change."""
    namespaces.create(name)
    lines = ["link set lo up"]
    for nic, address in _NICS.items():
        lines += [
            f"link add {nic} type veth peer name {nic}-far",
            f"address add {address} dev {nic}",
            f"link set {nic} up",
            f"link set {nic}-far up",
        ]
    lines += [
        f"neighbor add {server.address} lladdr {_HOST_MAC} dev inside nud permanent"
        for number in range(plan.services)
        for server in plan.servers(number)
    ]
    namespaces.ip(name, lines)


def _wait_ready(process: subprocess.Popen[str]) -> None:
    """Wait for the line that says so."""
    assert process.stdout  # noqa: S101 - it was asked for
    deadline, said = time.monotonic() + _PATIENCE, ""
    while " is ready" not in said:
        left = deadline - time.monotonic()
        if left < 0 or not select.select([process.stdout], [], [], left)[0]:
            raise LbctlError(f"lbctld was not ready after {_PATIENCE:g} s: {said}")
        line = process.stdout.readline()
        if not line:
            raise LbctlError(f"lbctld ended with {process.wait()}: {said}")
        said += line


@contextmanager
def running(pin_dir: Path, plan: Plan, connections: int) -> Iterator[Daemon]:
    """Start a daemon; it ends, and nothing is left of it, with the block."""
    name = f"lbctl-bench-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="lbctl-bench-") as path:
        folder = Path(path)
        places = {"name": name, "netns": name, "connections": connections, "pin-dir": pin_dir}
        places |= {"state-dir": folder / "state", "socket": folder / "socket"}
        options = [f"--{key}={value}" for key, value in places.items()]
        try:
            _build(name, plan)
            started = time.monotonic()
            process = subprocess.Popen(  # noqa: S603 - our own words
                [sys.executable, "-m", "lbctl.testbed.lbctld", *options, "--detach-on-exit"],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env=environment(),
            )
            try:
                _wait_ready(process)
                yield Daemon(folder, process, time.monotonic() - started)
            finally:
                process.terminate()
                process.wait(_PATIENCE)
        finally:
            namespaces.delete(name)
