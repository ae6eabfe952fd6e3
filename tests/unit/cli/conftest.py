"""What the tests of the command line share: a client that is none, a daemon that is none."""

from __future__ import annotations

import copy
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingMixIn, UnixStreamServer
from unittest.mock import create_autospec
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner

from lbctl.cli import cli
from lbctl.cli.client import Client
from tests.unit.cli.answers import ANSWERS


@pytest.fixture(scope="session")
def one_fake():
    """
    A client without a daemon, for all tests: it takes its time to make.
    """
    return create_autospec(Client, instance=True, spec_set=True)


@pytest.fixture
def fake(one_fake):
    """
    A client without a daemon: knows the methods of the real one, and remembers its calls.
    """
    client = one_fake
    client.reset_mock(return_value=True, side_effect=True)
    for name, answer in copy.deepcopy(ANSWERS).items():
        getattr(client, name).return_value = answer
    return client


@pytest.fixture
def run(fake):
    """
    Run `lbctl` with the words given, against the fake client; standard output is no terminal.
    """

    def run_words(*words, stdin=None):
        return CliRunner().invoke(cli, words, obj=fake, prog_name="lbctl", input=stdin)

    return run_words


@dataclass
class Request:
    """What the daemon was asked."""

    method: str
    path: str  # as it came, still quoted
    params: dict[str, str | list[str]]
    headers: dict[str, str]
    body: object


@dataclass
class Daemon:
    """An HTTP server on a Unix socket that answers what it is told to."""

    socket: str
    requests: list[Request] = field(default_factory=list)
    answers: dict[tuple[str, str], tuple[int, object]] = field(default_factory=dict)
    raw: bytes | None = None  # send exactly this and hang up
    silent: threading.Event | None = None  # say nothing until it is set

    @property
    def asked(self):
        """
        Method and path of every request.
        """
        return [(request.method, request.path) for request in self.requests]


def handler_of(daemon):
    """Make the handler class of one daemon."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            daemon.requests.append(
                Request(
                    self.command,
                    parts.path,
                    {k: v if v[1:] else v[0] for k, v in parse_qs(parts.query).items()},
                    dict(self.headers),
                    json.loads(body) if body else None,
                )
            )
            if daemon.silent:
                daemon.silent.wait(timeout=10)
                return
            if daemon.raw is not None:
                self.wfile.write(daemon.raw)
                return
            status, data = daemon.answers.get((self.command, parts.path), (200, {}))
            answer = json.dumps(data).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815 - names of the base class

        def log_message(self, *_):
            pass

    return Handler


class Server(ThreadingMixIn, UnixStreamServer):
    """Answers each connection in a thread of its own."""

    daemon_threads = True


@pytest.fixture
def daemon(tmp_path):
    """
    A daemon that answers {} to everything until told otherwise.
    """
    told = Daemon(str(tmp_path / "lbctl.sock"))
    with Server(told.socket, handler_of(told)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield told
        if told.silent:
            told.silent.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def client(daemon):
    """
    A client of the scripted daemon.
    """
    return Client(daemon.socket, start="`sudo lbctld`", patience=5)
