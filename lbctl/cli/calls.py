"""
The calls: what asking the daemon has in common, whatever is asked.

Errors of the daemon come back as the classes of `lbctl.errors` that it raised.
"""

from __future__ import annotations

import getpass
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from lbctl import __version__
from lbctl.errors import BY_EXIT_CODE, LbctlError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lbctl.cli.transport import Call, Stream

    Row = dict[str, Any]

PATIENCE = 60.0  # seconds for an answer; a change compiles and may wait for neighbors


class Calls:
    """One daemon, behind its socket."""

    def __init__(self, socket: str, *, start: str, patience: float = PATIENCE) -> None:
        self.socket = socket
        self.start = start
        self.patience = patience

    def _row(self, method: str, path: str, body: Row | None = None, /, **params: object) -> Row:
        answer: Row = self._call(method, path, body, params)
        return answer

    def _rows(
        self, method: str, path: str, body: Row | None = None, /, **params: object
    ) -> list[Row]:
        answer: list[Row] = self._call(method, path, body, params)
        return answer

    def _call(
        self, method: str, path: str, body: Row | None, params: Row, *, longer: float = 0
    ) -> Any:  # noqa: ANN401
        from lbctl.cli.transport import send  # noqa: PLC0415 - httpx is slow to import

        answer = send(self._asked(method, path, body, params, longer))
        if answer.status >= 400:
            raise _error(method, path, answer.status, answer.data)
        return answer.data

    @contextmanager
    def _stream(self, path: str, params: Row) -> Iterator[Stream]:
        """Ask for what has no end of its own."""
        from lbctl.cli.transport import stream  # noqa: PLC0415

        with stream(self._asked("GET", path, None, params)) as answer:
            if answer.status >= 400:
                raise _error("GET", path, answer.status, answer.data)
            yield answer

    def _asked(
        self, method: str, path: str, body: Row | None, params: Row, longer: float = 0
    ) -> Call:
        from lbctl.cli.transport import Call  # noqa: PLC0415

        # A parameter that was not given, or is off, is not sent.
        given = {k: _text(v) for k, v in params.items() if v is not None and v is not False}
        headers = {"X-Lbctl-Who": who(), "User-Agent": f"lbctl/{__version__}"}
        patience = self.patience + longer
        return Call(self.socket, method, path, given, body, headers, patience, self.start)


def who() -> str:
    """Name the person for the history of generations; not a proof of identity."""
    try:
        name = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a user without an entry, as in containers
        name = f"uid {os.getuid()}"
    # What a header can carry.
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in name)


def path_of(*parts: str) -> str:
    """
    Make a path of names.

    The daemon takes %2F for a slash, and libraries take dots away: such a name would address
    another thing.
    """
    for part in parts:
        if not part.strip(".") or "/" in part:
            raise UsageError(f"{part!r} is not a name; use letters, digits, '.', '_' and '-'")
    return "/".join(["/v1", *(quote(part, safe="") for part in parts)])


def _text(value: object) -> str | list[str]:
    if isinstance(value, list):
        return [str(item) for item in value]
    return "true" if value is True else str(value)


def _error(method: str, path: str, status: int, data: object) -> LbctlError:
    """Make the error that the daemon raised; what is not its form is another version's."""
    if isinstance(data, dict) and isinstance(data.get("error"), str):
        kind = BY_EXIT_CODE.get(data.get("exit_code", 1), LbctlError)
        return kind(data["error"])
    if status in (404, 405):
        return LbctlError(
            f"lbctld does not know {method} {path}; "
            f"compare `lbctl --version` with `lbctl status` and restart lbctld"
        )
    return LbctlError(f"{method} {path}: lbctld failed ({status}); see `journalctl -u lbctld`")
