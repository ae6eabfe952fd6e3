"""
The transport: one request over the daemon's Unix socket, one answer, or the reason why not.

The only module that knows httpx; it is imported when there is something to send.
"""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

from lbctl.errors import DaemonUnreachable, NotPermitted, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


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


class Stream(NamedTuple):
    """An answer that comes bit by bit; *data* instead, where it is a refusal."""

    status: int
    headers: Mapping[str, str]
    parts: Iterator[bytes]
    data: Any = None


def send(call: Call) -> Answer:
    """Send *call*.  Raises DaemonUnreachable, NotPermitted or UsageError."""
    _knock(call)
    with _problems(call), _client(call, call.patience) as client:
        response = client.send(_request(client, call))
        return Answer(response.status_code, response.json())


@contextmanager
def stream(call: Call) -> Iterator[Stream]:
    """
    Send *call*; its answer comes as it is made, and leaving the context hangs up.

    Raises as `send` does, also while the parts come: then there is no daemon any more.
    """
    _knock(call)
    with _client(call, None) as client:
        with _problems(call):
            response = client.send(_request(client, call), stream=True)
        try:
            if response.is_success:
                yield Stream(response.status_code, response.headers, _parts(call, response))
            else:
                with _problems(call):
                    response.read()
                    data = response.json()
                yield Stream(response.status_code, response.headers, iter(()), data)
        finally:
            response.close()


def _parts(call: Call, response: httpx.Response) -> Iterator[bytes]:
    with _problems(call):
        yield from response.iter_raw()


def _client(call: Call, patience: float | None) -> httpx.Client:
    # The socket's file permissions do here what TLS does elsewhere.
    transport = httpx.HTTPTransport(uds=call.socket, verify=False)
    return httpx.Client(transport=transport, timeout=patience, trust_env=False)


def _request(client: httpx.Client, call: Call) -> httpx.Request:
    return client.build_request(
        call.method,
        f"http://localhost{call.path}",
        params=dict(call.params),
        headers=dict(call.headers),
        json=call.body,
    )


@contextmanager
def _problems(call: Call) -> Iterator[None]:
    """Say in our words what can go wrong on the way."""
    try:
        yield
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
