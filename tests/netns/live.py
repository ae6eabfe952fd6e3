"""
The switch alive: a test bed, an lbctld of its own on it, and the command line as people type it.

Nothing here is lbctl's: the daemon and the commands are processes, traffic comes from sockets in
the clients' namespaces.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

import yaml

from lbctl.cli.client import connect as api
from lbctl.switching import pins
from lbctl.testbed import Testbed, namespaces
from lbctl.testbed.build import answers
from lbctl.testbed.crowd import Crowd
from lbctl.testbed.plan import VIPS4, VIPS6
from lbctl.testbed.processes import environment
from lbctl.testbed.stage import PINS

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 20.0  # seconds; for what takes a fraction of one, on a machine that has much to do
READY = " is ready: "  # what lbctld prints once
SMALL = ("--connections=65536",)  # tables that are made in no time


def until(condition, what):
    """Wait for something to become true and give it back; *what* is what did not happen."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} (waited {PATIENCE:g} s)"
        time.sleep(0.02)
    return found


def vip4(position):
    """A VIP of the test bed's prefix, as text."""
    return str(VIPS4[position])


def vip6(position):
    """The same for IPv6, in brackets, ending in the same digits."""
    return f"[{VIPS6[int(str(position), 16)]}]"


@contextlib.contextmanager
def network(**options) -> Iterator[Testbed]:
    """A test bed with a name of its own; nothing of it and of its switch is left."""
    bed = Testbed(f"lbl{uuid4().hex[:8]}", **options)
    try:
        with bed:
            yield bed
    finally:
        pins.remove(PINS / bed.plan.prefix)


@contextlib.contextmanager
def switch(**options) -> Iterator[Switch]:
    """A test bed with a daemon that is ready and has all NICs."""
    with network(**options) as bed:
        made = Switch(bed)
        made.start()
        made.lbctl("attach", *bed.plan.nics)
        yield made


class Switch:
    """One instance of lbctld on a test bed, which ends it at the latest."""

    def __init__(self, bed) -> None:
        self.bed = bed
        self.name = bed.plan.prefix
        self.socket = bed.folder / "lbctld.sock"
        self.state = bed.folder / "state"
        self.pin_dir = PINS / self.name
        self.log = bed.folder / "lbctld.log"
        self.daemon = None

    # -- the daemon ----------------------------------------------------------------------------

    def command(self, *options):
        """The command line of the daemon."""
        return [
            *(sys.executable, "-m", "lbctl.testbed.lbctld", "--name", self.name),
            *("--netns", self.bed.switch, "--socket", str(self.socket)),
            *("--state-dir", str(self.state), "--pin-dir", str(self.pin_dir)),
            *(options or SMALL),
        ]

    def start(self, *options):
        """Start the daemon, and wait until it says that it is ready."""
        self.launch(*options)
        self.wait_ready()

    def launch(self, *options):
        """Start the daemon."""
        self.bed.folder.mkdir(parents=True, exist_ok=True)
        self.told = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.daemon = self.bed.popen(None, self.command(*options), stdout=log, stderr=log)

    def wait_ready(self):
        """Wait until the daemon says so."""

        def ready():
            assert self.daemon.poll() is None, self.said()
            return READY in self.said()

        until(ready, "lbctld does not get ready")

    def said(self):
        """What the daemon wrote since it was started."""
        return self.log.read_bytes()[self.told :].decode(errors="replace")

    def end(self, number=signal.SIGTERM):
        """Send the daemon a signal that ends it; returns its exit status."""
        self.daemon.send_signal(number)
        return self.daemon.wait(PATIENCE)

    def kill(self):
        """Do to the daemon what the kernel does when memory runs out."""
        self.end(signal.SIGKILL)

    # -- commands ------------------------------------------------------------------------------

    def typed(self, *words, text=None, prefix=(), env=None):
        """Run lbctl as it is typed; returns the finished process."""
        command = [*prefix, sys.executable, "-m", "lbctl", *map(str, words)]
        places = {"LBCTL_SOCKET": str(self.socket), "LBCTL_NAME": self.name}
        return subprocess.run(
            command,
            env={**environment(), **places, **(env or {})},
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )

    def lbctl(self, *words, text=None):
        """Run lbctl, which must not fail; returns what it printed."""
        done = self.typed(*words, text=text)
        assert 0 == done.returncode, f"lbctl {words}: {done.stderr}\n{self.said()[-3000:]}"
        return done.stdout

    def typing(self, *words, text=""):
        """Start lbctl and do not wait for it; *text* is what it reads."""
        with tempfile.TemporaryFile("w+") as typed:
            typed.write(text)
            typed.seek(0)
            return self.bed.popen(
                None,
                [sys.executable, "-m", "lbctl", *map(str, words)],
                env={**environment(), "LBCTL_SOCKET": str(self.socket)},
                stdin=typed,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )

    def json(self, *words):
        """Run a command that prints data, and read it."""
        return json.loads(self.lbctl(*words, "-o", "json"))

    @property
    def api(self):
        """The daemon, asked without a command: for what a test looks at again and again."""
        return api(self.name, str(self.socket))

    def export(self):
        """The configuration as a file has it, read."""
        return self.api.configuration()

    def apply(self, configuration):
        """Make *configuration* the one of the switch."""
        return self.lbctl("apply", "-f", "-", text=yaml.safe_dump(configuration))

    def refused(self, status, *words, text=None, **options):
        """
        Run a command that must fail with that exit status and one line, and change nothing.

        Returns the line.
        """
        before = self.export(), self.generation
        done = self.typed(*words, text=text, **options)
        complaint = one_line(done, status)
        assert before == (self.export(), self.generation)
        return complaint

    def warnings(self):
        """What the switch itself finds wrong."""
        return self.api.status()["warnings"]

    @property
    def generation(self):
        """The generation that is active."""
        return self.api.status()["generation"]

    def verdicts(self):
        """How many packets had each verdict, on all NICs together."""
        return total(self.api.stats())

    def tags(self):
        """The tags of the programs on all NICs, and in which mode they are."""
        return {(nic["program_tag"], nic["mode"]) for nic in self.api.status()["nics"]}

    # -- pools ---------------------------------------------------------------------------------

    def backends(self, family=4, port=8080):
        """Addresses of all servers."""
        return [server_address(server, family, port) for server in self.bed.servers]

    def pool(self, name, vip, backends, *options):
        """Add a pool of one VIP."""
        members = [word for backend in backends for word in ("--backend", backend)]
        self.lbctl("pool", "add", name, "--vip", vip, *members, *options)

    # -- traffic -------------------------------------------------------------------------------

    def inside(self, role, function, *arguments):
        """Call a function in the namespace of a role; sockets that it makes stay there."""
        return namespaces.call(self.bed.plan.namespace(role), partial(function, *arguments))

    def curl(self, url, role="client0", *options):
        """Fetch a URL from a client; returns the finished process."""
        return self.bed.run(role, ["curl", "-sS", "-g", "--max-time", "20", *options, url])

    def crowd(self, *urls, options=("--rate=100",)):
        """Requests from all clients, until stopped."""
        return Crowd(self.bed, urls, "--interval=0.05", *options)

    def ip(self, role, line):
        """Have `ip` carry out a line in the namespace of a role."""
        namespaces.ip(self.bed.plan.namespace(role), [line])


def one_line(done, status):
    """Check that a command failed as it should, in one line; returns the line."""
    assert status == done.returncode, done.stderr
    assert re.fullmatch(r"Error: [^\n]+\n", done.stderr), done.stderr
    assert not done.stdout
    return done.stderr


def server_address(server, family=4, port=8080):
    """A server's address as a back-end."""
    return f"{server.ipv4}:{port}" if family == 4 else f"[{server.ipv6}]:{port}"


def total(stats):
    """Packets by verdict of all NICs together, from `stats -o json`."""
    found = {}
    for nic in stats["nics"]:
        for verdict, tally in nic["verdicts"].items():
            found[verdict] = found.get(verdict, 0) + tally["packets"]
    return found


def grown(before, after):
    """What has been counted in between, by verdict."""
    return {name: new for name in after if (new := after[name] - before.get(name, 0))}


def connect(address, port, timeout=10):
    """A TCP connection from the calling thread's namespace."""
    return socket.create_connection((address.strip("[]"), port), timeout)


def datagrams(family=4, port=0):
    """A UDP socket with a source port, in the calling thread's namespace."""
    plug = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    plug.settimeout(10)
    plug.bind(("", port))
    return plug


def ask(plug, path="/"):
    """Make one request on an open connection and read the whole answer; returns the body."""
    plug.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return read_answer(plug)


def read_answer(plug):
    """Read a whole answer from a connection; returns the body."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += receive(plug)
    head, _, body = data.partition(b"\r\n\r\n")
    size = int(re.search(rb"Content-Length: (\d+)", head)[1])
    while len(body) < size:
        body += receive(plug)
    return body


def receive(plug):
    """What comes next; the end of the connection is not expected."""
    data = plug.recv(1 << 16)
    assert data, "closed early"
    return data


def going(crowd, more=20):
    """Wait until the clients have had some more answers."""
    before = crowd.progress().ok
    until(lambda: crowd.progress().ok >= before + more, "no request is answered")


def none_failed(crowd):
    """Stop the clients and check that every request was answered; returns the account."""
    crowd.stop()
    tally = crowd.finish()
    assert {} == dict(tally.failures), tally.first_failures
    assert tally.ok
    return tally


def kill_server(live, number):
    """End a server's process, and no other."""
    (process,) = [
        one
        for one in live.bed.processes()
        if one.role == f"server{number}" and one.name == "lbctl.testbed.server"
    ]
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: not process.is_alive(), "it does not die")


def start_server(live, number):
    """Start it again, and wait until it answers."""
    host = live.bed.servers[number]
    command = [sys.executable, "-m", "lbctl.testbed.server", "--name", host.role]
    with (live.bed.folder / f"{host.role}.again.log").open("wb") as log:
        live.bed.popen(host.role, [*command, "--port=80", "--port=8080"], stdout=log, stderr=log)
    until(lambda: answers(host.namespace, 8080), f"{host.role} does not answer")
