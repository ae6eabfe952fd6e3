"""The live switch: a test bed with an lbctld of its own, and what a measurement does to both."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from lbctl.cli.client import connect
from lbctl.errors import LbctlError
from lbctl.switching import pins
from lbctl.testbed import Testbed, namespaces
from lbctl.testbed.build import answers
from lbctl.testbed.plan import VIPS4
from lbctl.testbed.stage import PINS, READY, wait

if TYPE_CHECKING:
    from collections.abc import Iterator
    from subprocess import Popen

    from lbctl.testbed.processes import Process

VIP, PORT = VIPS4[10], 8080
POOL = "web"
_PATIENCE = 30.0
_SERVER = "lbctl.testbed.server"
_LOOK_SECONDS = 0.25


class Look(NamedTuple):
    """How the servers stood at one time, by the monotonic clock."""

    time: float
    shares: list[float]
    states: list[str]
    loads: list[float | None]


class Live:
    """One pool of all servers of a test bed."""

    def __init__(self, bed: Testbed) -> None:
        self.bed = bed
        self._log = bed.folder / "lbctld.log"
        self._socket = str(bed.folder / "lbctld.sock")
        self.api = connect(bed.plan.prefix, self._socket)

    def start(self) -> None:
        """Start the daemon, and attach all NICs."""
        name, folder = self.bed.plan.prefix, self.bed.folder
        places = {"name": name, "netns": self.bed.switch, "socket": self._socket}
        places |= {"state-dir": str(folder / "state"), "pin-dir": str(PINS / name)}
        options = [f"--{key}={value}" for key, value in places.items()]
        command = [sys.executable, "-m", "lbctl.testbed.lbctld", *options]
        folder.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as log:
            daemon = self.bed.popen(None, command, stdout=log, stderr=log)
        wait(lambda: self._is_ready(daemon), _PATIENCE, "lbctld does not get ready")
        self.api.attach(self.bed.plan.nics, "auto")

    def _is_ready(self, daemon: Popen[Any]) -> bool:
        said = self._log.read_text(errors="replace")
        if daemon.poll() is not None:
            raise LbctlError(f"lbctld ended: {' '.join(said.splitlines()[-1:])}")
        return READY in said

    def configure(self, agents: list[dict[str, Any]] | None = None, **pool: object) -> None:
        """Have one pool of all servers, and nothing that was known of an earlier one."""
        backends = [{"address": f"{host.ipv4}:{PORT}"} for host in self.bed.servers]
        web = {"name": POOL, "vips": [f"{VIP}:80/tcp"], "backends": backends, **pool}
        bare = {**self.api.configuration(), "pools": [], "agents": []}
        self.api.apply(bare)
        self.api.apply({**bare, "pools": [web], "agents": agents or []})
        wait(lambda: all(s == "active" for s in self.look().states), _PATIENCE, "a server is down")

    def look(self) -> Look:
        """How the servers stand now."""
        now, backends = time.monotonic(), self.api.pool(POOL)["backends"]
        columns = [[backend[key] for backend in backends] for key in ("share", "state", "load")]
        return Look(now, *columns)

    @contextmanager
    def watched(self) -> Iterator[list[Look]]:
        """Look again and again until the block ends; what was seen is in the list."""
        seen: list[Look] = []
        ending = threading.Event()

        def follow() -> None:
            while not ending.wait(_LOOK_SECONDS):
                seen.append(self.look())

        thread = threading.Thread(target=follow)
        thread.start()
        try:
            yield seen
        finally:
            ending.set()
            thread.join()

    # -- the servers ---------------------------------------------------------------------------

    def server(self, number: int) -> Process:
        """The process of a server."""
        role = f"server{number}"
        alive = (one for one in self.bed.processes() if one.name == _SERVER)
        return next(one for one in alive if one.role == role)

    def kill(self, number: int) -> None:
        """Do to a server what the kernel does when memory runs out."""
        os.kill(self.server(number).pid, signal.SIGKILL)

    def revive(self, number: int) -> None:
        """Start a server again, and wait until it answers."""
        host = self.bed.servers[number]
        command = [sys.executable, "-m", _SERVER, f"--name={host.role}", f"--port={PORT}"]
        with (self.bed.folder / f"{host.role}.again.log").open("wb") as log:
            self.bed.popen(host.role, command, stdout=log, stderr=log)
        wait(lambda: answers(host.namespace, PORT), _PATIENCE, f"{host.role} does not answer")

    def unplug(self, number: int) -> None:
        """Pull the cable of a server's host out of the other end."""
        self._port(number, "down")

    def plug_in(self, number: int) -> None:
        """Put it in again."""
        self._port(number, "up")

    def _port(self, number: int, state: str) -> None:
        side = self.bed.servers[number].net.side
        namespaces.ip(self.bed.plan.namespace(side), [f"link set server{number} {state}"])


@contextmanager
def switch() -> Iterator[Live]:
    """Two clients, three servers, a daemon that is ready; nothing is left of it."""
    bed = Testbed(f"lbbench{os.getpid()}")
    try:
        with bed:
            live = Live(bed)
            live.start()
            yield live
    finally:
        pins.remove(PINS / bed.plan.prefix)
