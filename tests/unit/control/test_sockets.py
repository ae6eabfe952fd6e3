"""Who may use the API: the mode of the Unix socket, and the token of a TCP listener."""

from __future__ import annotations

import asyncio
import grp
import os
import socket
import stat
from types import SimpleNamespace

import httpx
import pytest

from lbctl.control import sockets
from lbctl.errors import Conflict, LbctlError, NotPermitted, UsageError

TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def token_file(tmp_path):
    """A token that only its owner can read."""
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    return path


def mode_of(path) -> int:
    """Who may do what with a file."""
    return stat.S_IMODE(path.stat().st_mode)


def test_without_the_group_the_socket_is_the_owners(tmp_path, monkeypatch):
    """Nobody else may connect; it goes when the daemon goes."""
    monkeypatch.setattr(grp, "getgrnam", lambda name: {}[name])
    path = tmp_path / "run" / "default.sock"

    with sockets.unix_socket(path):
        assert mode_of(path) == 0o600
    assert not path.exists()


def test_the_group_may_connect(tmp_path, monkeypatch):
    """Mode 0660, group lbctl."""
    monkeypatch.setattr(grp, "getgrnam", lambda _: SimpleNamespace(gr_gid=os.getgid()))
    monkeypatch.setattr(os, "chown", lambda _, *ids: owners.append(ids))
    owners = []
    path = tmp_path / "default.sock"

    with sockets.unix_socket(path):
        assert mode_of(path) == 0o660
    assert owners == [(0, os.getgid())]


def test_a_stale_socket_is_replaced(tmp_path):
    """A killed daemon leaves one behind."""
    path = tmp_path / "default.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    with sockets.unix_socket(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_socket_in_use_is_left_alone(tmp_path):
    """Another program answers there."""
    path = tmp_path / "default.sock"
    with sockets.unix_socket(path):
        with pytest.raises(Conflict, match="another program answers"), sockets.unix_socket(path):
            pass
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_a_file_is_not_taken_for_a_socket(tmp_path):
    """Nothing but a socket is ever removed."""
    path = tmp_path / "precious"
    path.write_text("data")

    with pytest.raises(Conflict, match="is not a socket"), sockets.unix_socket(path):
        pass
    assert path.read_text() == "data"


def test_a_socket_that_was_replaced_is_not_removed(tmp_path):
    """It belongs to whoever came after."""
    path = tmp_path / "default.sock"
    with sockets.unix_socket(path):
        path.unlink()
        path.write_text("new")

    assert path.read_text() == "new"


def test_a_path_too_long_is_one_line(tmp_path):
    """The kernel takes 107 bytes."""
    long = sockets.unix_socket(tmp_path / ("x" * 120))

    with pytest.raises(LbctlError, match="AF_UNIX path too long; choose another --socket"), long:
        pass


def test_a_listener_on_loopback_needs_a_token_only(token_file):
    """Nobody can listen in."""
    tcp = sockets.tcp_listener("127.0.0.1:0", None, None, token_file)

    assert tcp == ("127.0.0.1", 0, TOKEN, None, None)
    with sockets.tcp_socket(tcp) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("listen", "with_token", "text"),
    [
        ("0.0.0.0:8080", True, "only a loopback address may go without TLS"),
        ("[2001:db8::1]:8080", True, "only a loopback address may go without TLS"),
        ("127.0.0.1:8080", False, "needs a --token-file"),
        ("localhost:8080", True, "is not ADDRESS:PORT, such as 127.0.0.1:8080"),
        ("127.0.0.1", True, "is not ADDRESS:PORT"),
        ("127.0.0.1:99999", True, "is not ADDRESS:PORT"),
    ],
)
def test_an_unsafe_listener_is_refused(token_file, listen, with_token, text):
    """Exit status 2, and what is missing."""
    with pytest.raises(UsageError, match=text):
        sockets.tcp_listener(listen, None, None, token_file if with_token else None)


def test_a_refusal_names_the_option_that_was_given(token_file):
    """There are several that make listeners."""
    with pytest.raises(UsageError, match=r"^--page-listen \S+:80: only a loopback address"):
        sockets.tcp_listener("192.0.2.1:80", None, None, token_file, option="--page-listen")


def test_a_certificate_without_key_is_refused(token_file):
    """They belong together."""
    with pytest.raises(UsageError, match="give both"):
        sockets.tcp_listener("127.0.0.1:0", token_file, None, token_file)


def test_a_certificate_that_is_none_is_refused(token_file):
    """Before the daemon touches the switch."""
    with pytest.raises(LbctlError, match="not a certificate with its key"):
        sockets.tcp_listener("0.0.0.0:0", token_file, token_file, token_file)


@pytest.mark.parametrize(
    ("content", "mode", "kind", "text"),
    [
        ("short", 0o600, UsageError, "openssl rand -hex 32"),
        (TOKEN, 0o644, NotPermitted, "everybody can read the token; run `chmod 600"),
    ],
)
def test_a_weak_token_is_refused(tmp_path, content, mode, kind, text):
    """One that can be guessed or read is none."""
    path = tmp_path / "token"
    path.write_text(content)
    path.chmod(mode)

    with pytest.raises(kind, match=text):
        sockets.tcp_listener("127.0.0.1:0", None, None, path)


def test_a_missing_token_file_is_named(tmp_path):
    """The system's own words."""
    with pytest.raises(LbctlError, match="token: No such file"):
        sockets.tcp_listener("127.0.0.1:0", None, None, tmp_path / "token")


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (None, 401),
        (TOKEN, 401),
        (f"Bearer {TOKEN[:-1]}", 401),
        ("é", 401),
    ],
)
def test_the_gate_opens_for_the_token_only(header, status):
    """And says how to knock."""

    async def app(_scope, _receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(sockets.TokenGate(app, TOKEN))
        headers = {"Authorization": header.encode("latin-1")} if header else {}
        async with httpx.AsyncClient(transport=transport, base_url="http://lbctl") as client:
            return await client.get("/v1/status", headers=headers)

    answer = asyncio.run(ask())

    assert answer.status_code == status
    if status == 401:
        assert answer.json()["exit_code"] == 6
        assert "Authorization: Bearer TOKEN" in answer.json()["error"]


@pytest.mark.parametrize("text", ["127.0.0.1:0", "[::1]:0"])
def test_pushed_load_comes_by_udp(text):
    """A socket that never blocks, closed afterwards."""
    with sockets.push_socket(sockets.place("--push-listen", text)) as plug:
        with socket.socket(plug.family, socket.SOCK_DGRAM) as agent:
            agent.sendto(b"load", plug.getsockname()[:2])
        assert (plug.getblocking(), plug.recv(99)) == (False, b"load")
    assert plug.fileno() == -1


def test_a_push_address_in_use_is_one_line():
    """With the option that named it."""
    with sockets.push_socket(sockets.Place("127.0.0.1", 0)) as plug:
        taken = sockets.Place(*plug.getsockname())
        with (
            pytest.raises(
                LbctlError, match=r"^--push-listen 127\.0\.0\.1 port \d+: Address already"
            ),
            sockets.push_socket(taken),
        ):
            pass


@pytest.mark.parametrize("text", ["here:80", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", "::1"])
def test_a_place_is_an_address_and_a_port(text):
    """The option is named."""
    with pytest.raises(UsageError, match=r"^--push-listen '.*' is not ADDRESS:PORT, such as"):
        sockets.place("--push-listen", text)
