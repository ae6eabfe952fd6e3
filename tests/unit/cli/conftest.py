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

BACKENDS = [
    {
        "address": "10.0.1.11:8080",
        "weight": 1,
        "state": "active",
        "share": 0.333,
        "connections": 5,
    },
    {
        "address": "10.0.1.12:8080",
        "weight": 2,
        "state": "draining",
        "share": 0.0,
        "connections": 1234,
    },
]
POOL = {
    "name": "web",
    "vips": ["203.0.113.10:80/tcp", "203.0.113.10:443/tcp"],
    "forward": "nat",
    "scheduler": "maglev",
    "on_unknown": "reset",
    "table_size": 65537,
    "backends": BACKENDS,
}
CONFIGURATION = {
    "version": 1,
    "nics": [{"name": "eth1", "mode": "auto"}],
    "pools": [
        {
            "name": "web",
            "vips": ["203.0.113.10:80/tcp"],
            "forward": "nat",
            "scheduler": "maglev",
            "on_unknown": "reset",
            "table_size": 65537,
            "backends": [{"address": "10.0.1.11:8080", "weight": 1, "state": "active"}],
        },
        {
            "name": "web6",
            "vips": ["[2001:db8::1]:*/tcp"],
            "forward": "dsr",
            "scheduler": "rr",
            "on_unknown": "hash",
            "table_size": 251,
            "backends": [],
        },
    ],
    "settings": {
        "timeouts": {
            "half_open": 10,
            "established": 3600,
            "closing": 120,
            "closed": 10,
            "udp": 60,
        },
    },
}
CHANGED = {"generation": 8, "changes": ["+ pool web", "~ settings: timeout udp 60 -> 30"]}
ANSWERS = {
    "status": {
        "name": "default",
        "version": "0.1.0",
        "generation": 7,
        "active_buffer": "B",
        "nics": [
            {
                "name": "eth1",
                "mode": "native",
                "program_tag": "938c70b5e007bfbb",
                "packets": 1234567,
                "drops": 3,
            },
            {"name": "eth2", "mode": "detached", "program_tag": "", "packets": 0, "drops": 0},
        ],
        "connections": {"used": 12, "size": 65536},
        "pools": 1,
        "backends": {"active": 1, "draining": 1, "down": 0},
        "warnings": ["NIC eth2 is not attached; run `lbctl attach eth2`"],
    },
    "attach": [{"name": "eth1", "mode": "native", "program_tag": "938c70b5e007bfbb"}],
    "detach": ["eth1"],
    "pools": [POOL],
    "pool": POOL,
    "add_pool": POOL,
    "set_pool": POOL,
    "remove_pool": None,
    "vips": [{"vip": "203.0.113.10:80/tcp", "pool": "web", "connections": 5}],
    "add_vip": None,
    "remove_vip": None,
    "backends": [{**backend, "pool": "web"} for backend in BACKENDS],
    "add_backend": {**BACKENDS[0], "pool": "web"},
    "set_backend": {**BACKENDS[0], "pool": "web"},
    "remove_backend": None,
    "configuration": CONFIGURATION,
    "apply": CHANGED,
    "diff": {"changes": CHANGED["changes"]},
    "rollback": CHANGED,
    "generations": [
        {
            "generation": 8,
            "time": "2025-01-02T03:04:05Z",
            "who": "alice",
            "what": "pool add web",
            "active": True,
        },
        {
            "generation": 7,
            "time": "2025-01-02T03:00:00Z",
            "who": "lbctld",
            "what": "new, empty",
            "active": False,
        },
    ],
    "routes": [
        {
            "prefix": "10.0.1.0/24",
            "next_hop": "",
            "nic": "eth2",
            "mac": "",
            "state": "resolved",
        },
        {
            "prefix": "::/0",
            "next_hop": "2001:db8::ff",
            "nic": "eth1",
            "mac": "02:00:00:00:00:01",
            "state": "unresolved",
        },
    ],
    "neighbors": [
        {
            "address": "10.0.1.11",
            "nic": "eth2",
            "mac": "02:00:00:00:01:0b",
            "state": "reachable",
            "used_by": ["pool web", "10.0.2.0/24"],
        },
    ],
    "connections": [
        {
            "protocol": "tcp",
            "client": "198.51.100.7:40000",
            "vip": "203.0.113.10:80/tcp",
            "backend": "10.0.1.11:8080",
            "state": "established",
            "idle_seconds": 1.25,
            "pool": "web",
        },
    ],
    "count_connections": {"count": 42},
    "flush_connections": {"flushed": 3},
    "stats": {
        "nics": [
            {
                "name": "eth1",
                "verdicts": {
                    "TO_BACKEND": {"packets": 100, "bytes": 6400},
                    "TO_KERNEL": {"packets": 7, "bytes": 420},
                },
            },
        ],
        "backends": [
            {
                "pool": "web",
                "address": "10.0.1.11:8080",
                "vip": "203.0.113.10:80/tcp",
                "packets_in": 100,
                "bytes_in": 6400,
                "packets_out": 90,
                "bytes_out": 90000,
            },
        ],
    },
    "drops": [{"reason": "DROP_MALFORMED", "packets": 3, "bytes": 180, "nic": "eth1"}],
}


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
