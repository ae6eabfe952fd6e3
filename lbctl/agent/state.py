"""
The state file: what a local administrator wants with this server, while the agent runs.

One line: up, drain, maint or down, and a reason.  `lbctl-agent state` writes it, the agent reads
it for every answer.  It never says how busy the server is.
"""

from __future__ import annotations

import logging
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from lbctl.agent.readings import SourceError, read_small
from lbctl.agent.wire import MAX_REASON, Wish
from lbctl.errors import LbctlError, NotPermitted, UsageError

DEFAULT_FILE = Path("/run/lbctl-agent/state")
MAX_FILE = 4096  # bytes

log = logging.getLogger(__name__)


class State(NamedTuple):
    """What is wanted, and why."""

    wish: Wish
    reason: str = ""

    @classmethod
    def parse(cls, text: str) -> State:
        """Read the line of a state file.  Raises UsageError."""
        word, _, reason = text.strip().partition(" ")
        reason = reason.strip()
        if word not in tuple(Wish):
            raise UsageError(f"{ascii(word)[:40]} is no state; use one of {', '.join(Wish)}")
        if len(reason) > MAX_REASON or not reason.isprintable():
            raise UsageError(f"a reason is one printable line of up to {MAX_REASON} characters")
        return cls(Wish(word), reason)

    def __str__(self) -> str:
        return f"{self.wish} {self.reason}".rstrip()


def read_state(path: Path) -> State | None:
    """Read a state file; None where there is none.  Raises UsageError and SourceError."""
    try:
        data, _ = read_small(path, MAX_FILE)
        return State.parse(data.decode())
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as err:
        raise SourceError(f"{path}: {getattr(err, 'strerror', 'not text')}") from None
    except UsageError as err:
        raise UsageError(f"{path}: {err}; `lbctl-agent state up` writes a new one") from None


def write_state(path: Path, state: State) -> None:
    """Write a state file that is whole at every moment.  Raises UsageError and NotPermitted."""
    State.parse(str(state))
    name = None
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".state-")
        with open(descriptor, "w") as file:  # noqa: PTH123 - a descriptor, not a path
            os.fchmod(descriptor, 0o644)  # the agent is another user
            file.write(f"{state}\n")
        Path(name).replace(path)
    except FileNotFoundError:
        raise UsageError(
            f"{path.parent}: no such folder; is the agent running? `systemctl start lbctl-agent`, "
            f"or name the file with --state-file"
        ) from None
    except OSError as err:
        if name:
            with suppress(OSError):
                Path(name).unlink()
        raise NotPermitted(f"{path}: {err.strerror}; try `sudo lbctl-agent state ...`") from None


class StateFile:
    """The state file as the agent sees it: what cannot be read changes nothing."""

    def __init__(self, path: Path, initial: Wish = Wish.UP) -> None:
        self._path = path
        self._initial = State(initial)
        self._last: State | None = None
        self._complaint = ""

    def current(self) -> tuple[State, bool]:
        """Give the state, and whether an administrator has set it."""
        try:
            self._last = read_state(self._path)
            self._complaint = ""
        except LbctlError as err:
            if str(err) != self._complaint:
                self._complaint = str(err)
                log.warning("%s", err)
        return self._last or self._initial, self._last is not None
