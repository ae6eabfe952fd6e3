"""
The transport: one request over the daemon's Unix socket, one answer, or the reason why not.

The only module that knows httpx; it is imported when there is something to send.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

from lbctl.errors import DaemonUnreachable, NotPermitted, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Call(NamedTuple):
    """What to ask, and of whom."""

    socket: str
    method: str
    path: str
    params: Mapping[str, str | list[str]]
    body: object
    headers: Mapping[str, str]
    patience: float  # seconds
    start: str  # what starts that daemon

    @property
    def changes(self) -> bool:
        """Whether the daemon may have changed something although no answer came."""
        return self.method != "GET"


class Answer(NamedTuple):
    """What came back."""

    status: int
    data: Any


def send(call: Call) -> Answer:
    """Send *call*.  Raises DaemonUnreachable, NotPermitted or UsageError."""
    _knock(call)
    # The socket's file permissions do here what TLS does elsewhere.
    transport = httpx.HTTPTransport(uds=call.socket, verify=False)
    try:
        with httpx.Client(transport=transport, timeout=call.patience, trust_env=False) as client:
            response = client.request(
                call.method,
                f"http://localhost{call.path}",
                params=dict(call.params),
                headers=dict(call.headers),
                json=call.body,
            )
        return Answer(response.status_code, response.json())
    except httpx.TimeoutException as err:
        problem = f"lbctld has not answered for {call.patience:g} s"
        raise _unanswered(call, problem) from err
    except httpx.TransportError as err:
        raise _unanswered(call, "lbctld ended before its answer was complete") from err
    except ValueError as err:
        raise DaemonUnreachable(
            f"{call.socket}: what answers there is not lbctld; check --socket"
        ) from err


def _knock(call: Call) -> None:
    """Find out whether somebody listens; httpx would hide the reason if not."""
    try:
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(call.patience)
            door.connect(call.socket)
    except PermissionError as err:
        raise NotPermitted(
            f"{call.socket}: permission denied; use sudo or join the group lbctl "
            f"(`sudo usermod -aG lbctl $USER`, then log in again)"
        ) from err
    except OSError as err:
        if err.errno is None:  # too long, says Python: the kernel was not even asked
            raise UsageError(f"{call.socket}: {err}; check --socket") from err
        raise DaemonUnreachable(
            f"no daemon answers on {call.socket}; start it with {call.start}"
        ) from err


def _unanswered(call: Call, problem: str) -> DaemonUnreachable:
    if call.changes:
        hint = "it may have made the change: look at `lbctl generations`"
    else:
        hint = "look at `journalctl -u lbctld`"
    return DaemonUnreachable(f"{call.socket}: {problem}; {hint}")
