"""
The crowd: load from all clients of a test bed at once, and what they have to tell together.

A context manager: on exit the clients are told to stop, if they have not finished by themselves.
`progress` may be read at any time; `finish` waits and gives the whole account.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from lbctl.errors import LbctlError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from lbctl.testbed.testbed import Testbed

PATIENCE = 20.0  # seconds for a load generator to begin


@dataclass
class Tally:
    """The accounts of all clients, added up."""

    begun: int = 0
    ok: int = 0
    servers: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    first_failures: list[dict[str, Any]] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """Requests that failed."""
        return self.failures.total()

    def add(self, line: dict[str, Any]) -> None:
        """Add what one client told."""
        self.begun += line["begun"]
        self.ok += line["ok"]
        self.servers.update(line["servers"])
        self.failures.update(line["failures"])
        self.first_failures += line.get("first_failures", [])


class _Member:
    """One client's load generator, and the last line that it wrote."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self.child = child
        self.last: dict[str, Any] | None = None
        self._told = threading.Event()  # something, or nothing for ever
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.child.stdout or ():
            self.last = json.loads(line)
            self._told.set()
        self._told.set()

    def stop(self) -> None:
        """Tell it to stop, once it can hear that."""
        self._told.wait(PATIENCE)
        if self.child.poll() is None:
            self.child.terminate()

    def finish(self) -> dict[str, Any]:
        """Its account, when it has ended."""
        self._reader.join()
        self.child.wait()
        if self.last is None or self.last["type"] != "result":
            raise LbctlError(f"a load generator ended with status {self.child.returncode}")
        return self.last


class Crowd:
    """The load generators of some clients: all of them, unless told otherwise."""

    def __init__(self, bed: Testbed, urls: Sequence[str], *options: str) -> None:
        self._bed = bed
        self._command = [sys.executable, "-m", "lbctl.testbed.load", *options, *urls]
        self._members: list[_Member] = []

    def __enter__(self) -> Self:
        for host in self._bed.clients:
            child = self._bed.popen(
                host.role, self._command, stdout=subprocess.PIPE, text=True, bufsize=1
            )
            self._members.append(_Member(child))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        for member in self._members:
            member.child.wait()

    def stop(self) -> None:
        """Tell the clients to finish what is under way, and begin no more."""
        for member in self._members:
            member.stop()

    @property
    def is_busy(self) -> bool:
        """Whether a client is still at it."""
        return any(member.child.poll() is None for member in self._members)

    def progress(self) -> Tally:
        """What the clients have told so far."""
        tally = Tally()
        for member in self._members:
            if member.last:
                tally.add(member.last)
        return tally

    def finish(self) -> Tally:
        """What became of every request, when all clients have ended."""
        tally = Tally()
        for member in self._members:
            tally.add(member.finish())
        return tally
