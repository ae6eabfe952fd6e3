"""
The test bed: bring a plan up, run programs in it, and take all of it down again.

What it consists of is written to a file under /run, so that another process can see and remove it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from lbctl.errors import Conflict, LbctlError, NotFound
from lbctl.testbed import namespaces
from lbctl.testbed.build import answers, build, settled
from lbctl.testbed.plan import DEFAULT_PREFIX, Plan
from lbctl.testbed.processes import Process, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from lbctl.testbed.plan import Host

FOLDER = Path("/run/lbctl/testbed")
PORTS = (80, 8080)  # of the servers: DSR cannot change a VIP's port, NAT can
PATIENCE = 15.0  # seconds for all servers to answer


class Testbed:
    """
    One test bed.  As a context manager: up on entry, down on exit.

    Programs are started by role: `run("client0", ["curl", ...])`.
    """

    __test__ = False  # pytest takes classes whose names begin with Test for its own

    def __init__(
        self,
        prefix: str = DEFAULT_PREFIX,
        *,
        clients: int = 2,
        backends: int = 3,
        dsr: bool = False,
        serve: bool = True,
    ) -> None:
        self.plan = Plan(prefix, clients, backends, dsr)
        self.serve = serve
        self._processes: list[Process] = []
        self._children: list[subprocess.Popen[Any]] = []

    @classmethod
    def load(cls, prefix: str = DEFAULT_PREFIX) -> Self:
        """Find a test bed that is up, maybe by another process."""
        try:
            state = json.loads(cls(prefix).file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise NotFound(
                f"there is no test bed {prefix!r}; `lbctl testbed up` makes one"
            ) from None
        known = cls(**state["plan"], serve=False)
        known._processes = [Process(*item) for item in state["processes"]]
        return known

    @classmethod
    def find(cls, prefix: str = DEFAULT_PREFIX) -> Self:
        """Find what is there of a test bed, even if only half of it; for `down`."""
        try:
            return cls.load(prefix)
        except NotFound:
            remains = cls(prefix)
            if not remains.leftovers():
                raise
            return remains

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.down()

    @property
    def file(self) -> Path:
        """Where it is written down what there is."""
        return FOLDER / f"{self.plan.prefix}.json"

    @property
    def folder(self) -> Path:
        """The folder for the output of its programs, and what they need; gone with it."""
        return FOLDER / self.plan.prefix

    @property
    def clients(self) -> tuple[Host, ...]:
        """The clients."""
        return self.plan.client_hosts

    @property
    def servers(self) -> tuple[Host, ...]:
        """The servers."""
        return self.plan.server_hosts

    @property
    def switch(self) -> str:
        """The namespace of the switch."""
        return self.plan.namespace("switch")

    # -- life ----------------------------------------------------------------------------------

    def up(self) -> None:
        """Make it; nothing is left of it when that fails."""
        namespaces.require_root()
        if self.file.exists() or self.leftovers():
            prefix = self.plan.prefix
            option = "" if prefix == DEFAULT_PREFIX else f" --prefix {prefix}"
            raise Conflict(
                f"test bed {prefix!r} is there already; use it, or `lbctl testbed down{option}`"
            )
        try:
            self._save()
            build(self.plan)
            if self.serve:
                self._start_servers()
            self._wait(lambda: settled(self.plan), "its NICs do not get their addresses")
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """Remove all of it, whatever is left; end the programs that it started."""
        namespaces.require_root()
        for process in reversed(self._processes):
            process.end()
        for child in self._children:
            child.wait()
            for stream in (child.stdin, child.stdout, child.stderr):
                if stream:
                    stream.close()
        self._processes, self._children = [], []
        for name in self.leftovers():
            namespaces.delete(name)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.file.unlink(missing_ok=True)

    def leftovers(self) -> list[str]:
        """Namespaces with this test bed's names that exist."""
        known = namespaces.names()
        roles = {self.plan.namespace(role) for role in ("ext", "int", "switch", "router")}
        kinds = tuple(self.plan.namespace(kind) for kind in ("client", "server"))
        return sorted(
            name
            for name in known
            if name in roles or (name.startswith(kinds) and name.rstrip("0123456789") in kinds)
        )

    def _start_servers(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        ports = [f"--port={port}" for port in PORTS]
        for host in self.servers:
            command = [sys.executable, "-m", "lbctl.testbed.server", "--name", host.role, *ports]
            with (self.folder / f"{host.role}.log").open("wb") as log:
                self.popen(host.role, command, stdout=log, stderr=log)
        for host, child in zip(self.servers, self._children, strict=True):
            try:
                self._wait(partial(answers, host.namespace, PORTS[-1]), host.role, child)
            except LbctlError as error:
                said = (self.folder / f"{host.role}.log").read_text(errors="replace").splitlines()
                raise LbctlError(f"{host.role} does not answer: {' '.join(said[-1:])}") from error

    def _wait(
        self, ready: Callable[[], bool], complaint: str, child: subprocess.Popen[Any] | None = None
    ) -> None:
        deadline = time.monotonic() + PATIENCE
        while not ready():
            if time.monotonic() > deadline or (child and child.poll() is not None):
                raise LbctlError(f"test bed {self.plan.prefix!r}: {complaint}")
            time.sleep(0.02)

    def _save(self) -> None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        state = {
            "plan": asdict(self.plan),
            "processes": self._processes,
        }
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(state), encoding="utf-8")
        new.replace(self.file)

    # -- use -----------------------------------------------------------------------------------

    def inside(self, role: str, command: Sequence[str]) -> list[str]:
        """The command line that runs a program in the namespace of a role."""
        if role not in self.plan.roles:
            raise NotFound(f"the test bed has no {role!r}; it has {', '.join(self.plan.roles)}")
        return namespaces.inside(self.plan.namespace(role), command)

    def run(
        self,
        role: str,
        command: Sequence[str],
        **options: Any,  # noqa: ANN401 - of subprocess.run
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end; its output is captured as text, its exit status kept."""
        options = {"capture_output": True, "text": True, "env": environment(), **options}
        return subprocess.run(self.inside(role, command), check=False, **options)  # noqa: S603

    def popen(
        self,
        role: str | None,
        command: Sequence[str],
        **options: Any,  # noqa: ANN401 - of subprocess.Popen
    ) -> subprocess.Popen[Any]:
        """Start a program, without a role outside; it is ended with the test bed at the latest."""
        options = {"stdin": subprocess.DEVNULL, "env": environment(), **options}
        words = self.inside(role, command) if role else command
        child = subprocess.Popen(words, start_new_session=True, **options)  # noqa: S603
        self._children.append(child)
        self._processes.append(Process.of(child.pid, role or "", command))
        self._save()
        return child

    def processes(self) -> list[Process]:
        """The programs that it started and that still run."""
        return [process for process in self._processes if process.is_alive()]
