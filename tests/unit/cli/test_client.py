"""
The client against a real socket: what it asks, and what it makes of every kind of answer.
"""

from __future__ import annotations

import getpass
import os
import threading
from pathlib import Path

import pytest

from lbctl.cli.calls import who
from lbctl.cli.client import Client, connect
from lbctl.errors import (
    BY_EXIT_CODE,
    DaemonUnreachable,
    LbctlError,
    NotFound,
    NotPermitted,
    UsageError,
)


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.pool(""),
        lambda c: c.remove_pool(".."),
        lambda c: c.remove_pool("web/vips/203.0.113.10:80"),
        lambda c: c.attach([""], "auto"),
    ],
)
def test_names_never_address_something_else(client, daemon, call):
    """
    `pool remove web/vips/...` must not remove a VIP.
    """
    daemon.answers["POST", "/v1/nics"] = (400, {"error": "name: too short", "exit_code": 2})
    with pytest.raises(UsageError):
        call(client)

    assert [] == [path for _, path in daemon.asked if path.startswith("/v1/pools")]


def test_who_it_was(client, daemon, monkeypatch):
    """
    The person behind sudo, in letters that a header may have.
    """
    monkeypatch.setenv("SUDO_USER", "zo\N{LATIN SMALL LETTER E WITH DIAERESIS}\r\nX-Evil: 1")
    client.status()

    headers = daemon.requests[0].headers
    assert "zo???X-Evil: 1" == headers["X-Lbctl-Who"]
    assert "X-Evil" not in headers


def test_who_without_sudo(monkeypatch):
    """
    The login name, or the number of a user that has none.
    """
    monkeypatch.delenv("SUDO_USER", raising=False)
    assert getpass.getuser() == who()

    def nobody():
        raise KeyError("uid")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert f"uid {os.getuid()}" == who()


@pytest.mark.parametrize("code", BY_EXIT_CODE)
def test_errors_of_the_daemon(client, daemon, code):
    """
    They come back as what they were.
    """
    daemon.answers["GET", "/v1/pools/web"] = (422, {"error": "no; see x", "exit_code": code})
    with pytest.raises(BY_EXIT_CODE[code], match=r"^no; see x$") as caught:
        client.pool("web")

    assert type(caught.value) is BY_EXIT_CODE[code]


@pytest.mark.parametrize(
    ("status", "data", "said"),
    [
        (404, {"detail": "Not Found"}, "lbctld does not know GET /v1/status; compare"),
        (500, {"detail": "oh"}, r"GET /v1/status: lbctld failed \(500\); see `journalctl"),
        (500, ["oh"], r"GET /v1/status: lbctld failed \(500\); see `journalctl"),
        (422, {"error": "odd", "exit_code": 99}, "^odd$"),
    ],
)
def test_errors_of_another_form(client, daemon, status, data, said):
    """
    Another version's, or a bug's: still one line.
    """
    daemon.answers["GET", "/v1/status"] = (status, data)
    with pytest.raises(LbctlError, match=said) as caught:
        client.status()

    assert 1 == caught.value.exit_code


TORN = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"na'


@pytest.mark.parametrize("raw", [b"", TORN, TORN[:12]], ids=["nothing", "half", "first line"])
@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (lambda c: c.status(), "look at `journalctl -u lbctld`"),
        (
            lambda c: c.remove_pool("web"),
            "it may have made the change: look at `lbctl generations`",
        ),
    ],
    ids=["question", "change"],
)
def test_daemon_dies_in_the_middle(client, daemon, raw, call, hint):
    """
    Whether a change was made cannot be known, and that is said.
    """
    daemon.raw = raw
    with pytest.raises(DaemonUnreachable) as caught:
        call(client)

    said = "lbctld ended before its answer was complete"
    assert f"{daemon.socket}: {said}; {hint}" == str(caught.value)


@pytest.mark.parametrize(
    "raw",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"SSH-2.0-OpenSSH_9.2\r\n"],
    ids=["no JSON", "no HTTP"],
)
def test_somebody_else_answers(client, daemon, raw):
    """
    A socket of another program.
    """
    daemon.raw = raw
    with pytest.raises(DaemonUnreachable, match=daemon.socket):
        client.status()


def test_daemon_hangs(daemon):
    """
    Patience ends.
    """
    daemon.silent = threading.Event()
    with pytest.raises(DaemonUnreachable, match=r"lbctld has not answered for 0\.1 s; look at"):
        Client(daemon.socket, start="", patience=0.1).status()


def test_stale_socket(tmp_path, daemon):
    """
    The file is there, the daemon is not: the same as without the file.
    """
    stale = tmp_path / "stale"
    stale.touch()
    for socket in (stale, tmp_path / "missing"):
        with pytest.raises(DaemonUnreachable, match=r"start it with `sudo lbctld`$"):
            Client(str(socket), start="`sudo lbctld`").status()
    assert [] == daemon.requests


def test_path_that_no_socket_can_have():
    """
    The kernel takes 107 characters.
    """
    with pytest.raises(UsageError, match="path too long; check --socket"):
        Client(f"/{'x' * 200}", start="").status()


@pytest.fixture
def unprivileged():
    """
    For a moment, be somebody whom the permissions of files concern.
    """
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_socket_of_others(client, daemon, request):
    """
    6, and the two ways to get in.
    """
    client.status()  # everything is imported
    Path(daemon.socket).chmod(0)
    request.getfixturevalue("unprivileged")
    with pytest.raises(NotPermitted, match="use sudo or join the group lbctl"):
        client.status()


def test_connect_chooses_the_socket():
    """
    By instance or by path; and how to start the default one.
    """
    default = connect("default", None)

    assert "/run/lbctl/default.sock" == default.socket
    assert "`sudo lbctld` or `sudo systemctl start lbctld`" == default.start
    assert "/run/lbctl/edge.sock" == connect("edge", None).socket
    assert "/tmp/x.sock" == connect("edge", "/tmp/x.sock").socket


CONFIGURED = {"nics": [{"name": "eth1", "mode": "generic"}]}
REFUSED = (404, {"error": "there is no NIC 'eth9' here", "exit_code": 3})


def test_attach(client, daemon):
    """
    Each NIC once, in the order given, all in one request: the daemon attaches all or none.
    """
    daemon.answers["POST", "/v1/nics"] = (200, [{"name": "a NIC"}])

    assert [{"name": "a NIC"}] == client.attach(["eth2", "eth3", "eth2"], "native")
    (request,) = daemon.requests
    assert {
        "nics": [{"name": "eth2", "mode": "native"}, {"name": "eth3", "mode": "native"}]
    } == request.body
    daemon.answers["POST", "/v1/nics"] = REFUSED
    with pytest.raises(NotFound, match="there is no NIC 'eth9' here"):
        client.attach(["eth1", "eth9"], "auto")
    assert 2 == len(daemon.requests)


def test_detach(client, daemon):
    """
    All in one request.
    """
    assert ["eth1", "eth2"] == client.detach(["eth1", "eth2", "eth1"])

    (request,) = daemon.requests
    assert ("DELETE", "/v1/nics") == (request.method, request.path)
    assert {"name": ["eth1", "eth2"]} == request.params


def test_detach_all(client, daemon):
    """
    Every NIC that is configured; none is no reason to ask.
    """
    daemon.answers["GET", "/v1/configuration"] = (200, CONFIGURED)

    assert ["eth1"] == client.detach(None)
    assert ("DELETE", "/v1/nics") == daemon.asked[-1]
    daemon.answers["GET", "/v1/configuration"] = (200, {"nics": []})
    assert [] == client.detach(None)
    assert ("GET", "/v1/configuration") == daemon.asked[-1]
