"""
The sockets: where the API is served, and who may use it.

On the Unix socket the file's owner and mode decide: root and the group lbctl.  A TCP listener
asks every request for a token, and for TLS unless it listens on loopback.
"""

from __future__ import annotations

import grp
import hmac
import os
import socket
import ssl
import stat
from contextlib import contextmanager, suppress
from http import HTTPStatus
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from starlette.datastructures import Headers

from lbctl.control.api import problem
from lbctl.control.local_socket import local_socket
from lbctl.errors import LbctlError, NotPermitted, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.types import ASGIApp, Receive, Scope, Send

GROUP = "lbctl"
PORTS = range(1 << 16)  # 0: the kernel chooses
TOKEN_MIN = 16  # characters; fewer can be guessed


class Place(NamedTuple):
    """Where to listen; port 0: the kernel chooses."""

    host: str
    port: int


class Tcp(NamedTuple):
    """A TCP listener that the administrator turned on."""

    host: str
    port: int
    token: str
    cert: Path | None
    key: Path | None


@contextmanager
def unix_socket(path: Path) -> Iterator[socket.socket]:
    """A listening socket at *path* for root and the group lbctl; removed afterwards."""
    with local_socket(path, socket.SOCK_STREAM, _bind_for_group) as listener:
        yield listener


def _bind_for_group(listener: socket.socket, path: Path) -> None:
    before = os.umask(0o177)  # nobody else may connect, not even before the mode is set
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    with suppress(KeyError):  # without that group: root only
        os.chown(path, 0, grp.getgrnam(GROUP).gr_gid)
        path.chmod(0o660)
    listener.listen()


def tcp_listener(
    listen: str,
    cert: Path | None,
    key: Path | None,
    token_file: Path | None,
    option: str = "--listen",
) -> Tcp:
    """Read the options of a TCP listener.  Raises UsageError when they would not be safe."""
    host, port = place(option, listen)
    if token_file is None:
        raise UsageError(f"{option} {listen}: a listener needs a --token-file")
    if bool(cert) != bool(key):
        raise UsageError("--tls-cert and --tls-key belong together; give both")
    if cert is None and not ip_address(host).is_loopback:
        raise UsageError(
            f"{option} {listen}: only a loopback address may go without TLS; "
            f"give --tls-cert and --tls-key"
        )
    if cert and key:
        _check_certificate(cert, key)
    return Tcp(host, port, _token(token_file), cert, key)


@contextmanager
def tcp_socket(tcp: Tcp, option: str = "--listen") -> Iterator[socket.socket]:
    """A listening TCP socket."""
    with open_socket(option, Place(tcp.host, tcp.port)) as listener:
        yield listener


@contextmanager
def open_socket(option: str, where: Place) -> Iterator[socket.socket]:
    """A listening TCP socket at the place that *option* names."""
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    try:
        listener = socket.create_server(where, family=family)
    except OSError as err:
        raise LbctlError(f"{option} {where.host} port {where.port}: {err.strerror}") from err
    with listener:
        yield listener


class TokenGate:
    """The API behind a token: ``Authorization: Bearer TOKEN``."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer that it is not permitted."""
        given = Headers(scope=scope).get("authorization", "").encode("latin-1")
        if hmac.compare_digest(given, self._expected):
            await self._app(scope, receive, send)
            return
        refusal = NotPermitted("the token is missing or wrong; send Authorization: Bearer TOKEN")
        await problem(refusal, HTTPStatus.UNAUTHORIZED)(scope, receive, send)


def place(option: str, text: str) -> Place:
    """Read ADDRESS:PORT of *option*.  Raises UsageError."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    with suppress(ValueError):
        address, number = ip_address(host), int(port)
        if number in PORTS:
            return Place(str(address), number)
    raise UsageError(f"{option} {text!r} is not ADDRESS:PORT, such as 127.0.0.1:8080")


@contextmanager
def push_socket(where: Place) -> Iterator[socket.socket]:
    """A UDP socket for what load agents send by themselves; each datagram proves who sent it."""
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as plug:
        plug.setblocking(False)  # noqa: FBT003 - its only argument
        try:
            plug.bind(where)
        except OSError as err:
            raise LbctlError(
                f"--push-listen {where.host} port {where.port}: {err.strerror}"
            ) from err
        yield plug


def _token(path: Path) -> str:
    try:
        if path.stat().st_mode & stat.S_IROTH:
            raise NotPermitted(f"{path}: everybody can read the token; run `chmod 600 {path}`")
        token = path.read_text().strip()
    except OSError as err:
        raise LbctlError(f"{path}: {err.strerror}") from err
    if len(token) < TOKEN_MIN or not token.isascii():
        raise UsageError(
            f"{path}: a token has at least {TOKEN_MIN} ASCII characters; "
            f"make one with `openssl rand -hex 32`"
        )
    return token


def _check_certificate(cert: Path, key: Path) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as err:
        raise LbctlError(f"{cert}, {key}: not a certificate with its key ({err})") from err
