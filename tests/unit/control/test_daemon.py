"""The daemon around the controller: signals, systemd, logs, options."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import httpx
import pytest
from click.testing import CliRunner

from lbctl import __version__
from lbctl.control import daemon, host, logs, server
from lbctl.control.notify import notify
from lbctl.control.server import Events, Listener, serve
from lbctl.control.sockets import unix_socket
from lbctl.errors import Conflict
from tests.unit.control import fakes

if TYPE_CHECKING:
    from pathlib import Path


async def echo(_scope, _receive, send) -> None:
    """An application that always says yes."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"yes"})


def ask(path) -> str:
    """Ask at the Unix socket *path*."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
        return client.get("http://lbctl/").text


@pytest.fixture
def served(tmp_path):
    """Serve on two sockets while *client* works in a thread; returns what happened in order."""

    def run(client, number=signal.SIGTERM, app=echo, **hooks) -> list[str]:
        happened, paths = [], [tmp_path / "a.sock", tmp_path / "b.sock"]

        def work() -> None:
            try:
                happened.append(client(paths))
            finally:
                os.kill(os.getpid(), number)

        worker = threading.Thread(target=work)

        def ready() -> None:
            happened.append("ready")
            worker.start()

        with unix_socket(paths[0]) as one, unix_socket(paths[1]) as two:
            hooks = dict.fromkeys(("on_address", "on_hour"), lambda: None) | hooks
            events = Events(ready, lambda: happened.append("stopping"), **hooks)
            asyncio.run(serve([Listener(one, app), Listener(two, app)], events))
        worker.join()
        return happened

    return run


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_answers_on_every_socket_until_a_signal(served, number):
    """Ready, answers, stopping: in that order."""
    assert served(lambda paths: [ask(path) for path in paths], number) == [
        "ready",
        ["yes", "yes"],
        "stopping",
    ]


def test_a_request_under_way_is_finished(served):
    """A change is never cut off half-way."""
    begun, answers = threading.Event(), []

    async def slow(scope, receive, send) -> None:
        begun.set()
        await asyncio.sleep(0.05)
        await echo(scope, receive, send)

    def client(paths) -> str:
        asker = threading.Thread(target=lambda: answers.append(ask(paths[0])))
        asker.start()
        begun.wait(5)
        return "asked"

    assert served(client, app=slow) == ["ready", "asked", "stopping"]
    deadline = time.monotonic() + 5
    while not answers and time.monotonic() < deadline:
        time.sleep(0.01)
    assert answers == ["yes"]


def test_an_idle_server_sleeps(served, monkeypatch):
    """No timer wakes it up: an idle switch costs nothing."""
    woken = []
    run_once = asyncio.BaseEventLoop._run_once

    def counting(loop) -> None:
        woken.append(1)
        run_once(loop)

    monkeypatch.setattr(asyncio.BaseEventLoop, "_run_once", counting)

    def client(_paths) -> int:
        time.sleep(0.05)  # what belongs to the start
        before = len(woken)
        time.sleep(0.25)  # absence of events is what is to be seen
        return len(woken) - before

    assert served(client)[1] == 0


def test_addresses_are_looked_at_once_at_the_start(served):
    """Who knows what happened before anybody listened."""
    looked = []
    seen = threading.Event()

    def look() -> None:
        looked.append(threading.current_thread() is threading.main_thread())
        seen.set()

    served(lambda _: seen.wait(5), on_address=look)

    assert looked == [False]


def test_every_hour_somebody_is_told(served, monkeypatch):
    """More than once; the hours of this test are short."""
    monkeypatch.setattr(server, "HOUR", 0.01)
    hours = threading.Semaphore(0)

    def client(_paths) -> bool:
        return hours.acquire(timeout=5) and hours.acquire(timeout=5)

    assert served(client, on_hour=hours.release)[1]


def test_systemd_is_told(tmp_path, monkeypatch):
    """One datagram; without a manager nothing happens."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(1)
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify("READY=1")
        assert manager.recv(99) == b"READY=1"


def test_systemd_may_use_an_abstract_socket(monkeypatch):
    """Its name begins with @."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(1)
        manager.bind(f"\0lbctl-test-{os.getpid()}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@lbctl-test-{os.getpid()}")
        notify("STOPPING=1")
        assert manager.recv(99) == b"STOPPING=1"


def test_a_manager_that_is_gone_does_no_harm(tmp_path, monkeypatch, caplog):
    """A warning."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))

    notify("READY=1")

    assert "No such file" in caplog.text


def test_json_logs_are_one_object_a_line():
    """With the traceback inside."""
    record = logging.LogRecord("lbctl", logging.WARNING, "", 0, "NIC %s: vanished", ("eth0",), None)
    record.created = 0

    line = logs.JsonFormatter().format(record)

    assert json.loads(line) == {
        "time": "1970-01-01T00:00:00Z",
        "level": "warning",
        "logger": "lbctl",
        "message": "NIC eth0: vanished",
    }


# -- options -------------------------------------------------------------------------------


@pytest.fixture
def lbctld(monkeypatch):
    """The command, up to the point where it would begin: returns the result and the options."""
    monkeypatch.setattr(logs, "start_logging", lambda *_: None)
    monkeypatch.delenv("LBCTL_NAME", raising=False)
    seen = []
    monkeypatch.setattr(daemon, "run", seen.append)

    def invoke(*arguments, **environment):
        result = CliRunner().invoke(daemon.main, arguments, env=environment)
        return result, (seen[-1] if seen else None)

    return invoke


def test_every_place_follows_from_the_name(lbctld):
    """Socket, state, pins."""
    _, options = lbctld()
    assert [str(p) for p in (options.socket, options.state_dir, options.pin_dir)] == [
        "/run/lbctl/default.sock",
        "/var/lib/lbctl/default",
        "/sys/fs/bpf/lbctl/default",
    ]

    _, options = lbctld(LBCTL_NAME="blue")
    assert str(options.socket) == "/run/lbctl/blue.sock"

    _, options = lbctld("--name", "blue", "--socket", "/tmp/s", "--pin-dir", "/tmp/p")
    assert [str(p) for p in (options.socket, options.state_dir, options.pin_dir)] == [
        "/tmp/s",
        "/var/lib/lbctl/blue",
        "/tmp/p",
    ]


def test_sizes_are_options(lbctld):
    """The errors of full tables name them."""
    _, options = lbctld("--connections", "1000", "--next-hops", "77")

    assert (options.capacity.connections, options.capacity.next_hops) == (1000, 77)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--name", "../evil"], "use at most 63 letters"),
        (["--name", "edge.1"], "use no dot: the BPF file system"),
        (["--log-level", "loud"], "'loud' is not one of"),
        (["--slots", "0"], "0 is not in the range"),
        (["--listen", "0.0.0.0:80"], "needs a --token-file"),
        (["surplus"], "unexpected extra argument"),
    ],
)
def test_wrong_usage_is_exit_status_2(lbctld, arguments, text):
    """And nothing begins."""
    result, options = lbctld(*arguments)

    assert (result.exit_code, options) == (2, None)
    assert text in result.stderr


def test_an_error_is_one_line_and_its_exit_status(lbctld, monkeypatch):
    """On standard error."""

    def refuse(_options) -> None:
        raise Conflict("lbctld 'default' is running already (pid 7)")

    monkeypatch.setattr(daemon, "run", refuse)
    result, _ = lbctld()

    assert (result.exit_code, result.stdout) == (4, "")
    assert result.stderr == "Error: lbctld 'default' is running already (pid 7)\n"


def test_without_privileges_nothing_is_touched(monkeypatch, tmp_path):
    """Exit status 6 comes before any file is made."""
    monkeypatch.setattr(logs, "start_logging", lambda *_: None)
    status = tmp_path / "status"
    status.write_text("CapEff:\t0\n")
    require = host.require_privileges
    monkeypatch.setattr(host, "require_privileges", lambda: require(status))
    monkeypatch.setattr(os, "umask", lambda _: 0)

    result = CliRunner().invoke(daemon.main, ["--state-dir", str(tmp_path / "state")])

    assert (result.exit_code, (tmp_path / "state").exists()) == (6, False)


def test_help_ends_with_an_example(lbctld):
    """As every command's does."""
    result, _ = lbctld("--help")

    assert result.stdout.endswith("Example:\n    $ sudo lbctld --name default --log-format json\n")
    assert lbctld("--version")[0].stdout.split()[-1] == __version__


# -- the whole -----------------------------------------------------------------------------


class Switchless:
    """The daemon over a switch without a kernel, and the service manager above it."""

    def __init__(self, folder: Path, manager: socket.socket) -> None:
        self.plane = fakes.Dataplane(fakes.Links())
        self.places = ["--state-dir", str(folder / "state"), "--socket", str(folder / "s.sock")]
        self.manager = manager

    def run(self, *arguments: str, during=lambda: None):
        """Run it until *during* is over; returns the result, and what was told and done."""
        told = []

        def work() -> None:
            told.append(self.manager.recv(99))
            try:
                told.append(during())
            finally:
                os.kill(os.getpid(), signal.SIGTERM)

        worker = threading.Thread(target=work)
        worker.start()
        result = CliRunner().invoke(daemon.main, [*self.places, *arguments])
        worker.join()
        told.append(self.manager.recv(99))
        return result, told


@pytest.fixture
def switchless(monkeypatch, tmp_path):
    """A daemon that needs no privilege."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(5)
        manager.bind(str(tmp_path / "notify"))
        rig = Switchless(tmp_path, manager)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        for name in ("require_privileges", "require_bpffs", "limit_heaps"):
            monkeypatch.setattr(host, name, lambda *_: None)
        monkeypatch.setattr(os, "umask", lambda _: 0)
        monkeypatch.setattr(daemon, "Dataplane", SimpleNamespace(open=lambda *_: rig.plane))
        monkeypatch.setattr(daemon, "RoutingDaemon", lambda *_: fakes.Routing())
        monkeypatch.setattr(daemon, "InterfaceDaemon", lambda *_: fakes.Interfaces())
        monkeypatch.setattr(logs, "start_logging", lambda *_: None)
        yield rig


def status_of(path) -> int:
    """Ask the daemon at *path* for the generation of its switch."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
        return client.get("http://lbctl/v1/status").json()["generation"]


def test_the_daemon_says_ready_serves_and_leaves_the_switch_working(switchless, tmp_path):
    """READY=1 only when it answers; nothing is detached at the end."""
    result, told = switchless.run(during=lambda: status_of(tmp_path / "s.sock"))

    assert told == [b"READY=1", 0, b"STOPPING=1"]
    assert result.exit_code == 0
    assert result.stdout == (
        "lbctld 'default' is ready: generation 0, NICs: 0, pools: 0, "
        f"socket: {tmp_path / 's.sock'}\n"
    )
    assert switchless.plane.calls == ["ensure", "close"]
    assert not (tmp_path / "s.sock").exists()


def test_the_switch_goes_only_when_asked(switchless):
    """--detach-on-exit."""
    switchless.run("--detach-on-exit")

    assert switchless.plane.calls == ["ensure", "destroy"]


def test_a_second_daemon_is_refused_before_it_touches_anything(switchless, tmp_path):
    """Exit status 4; the switch and the socket are the first one's."""
    with host.only_one(tmp_path / "state", "default"):
        result = CliRunner().invoke(daemon.main, switchless.places)

    assert result.exit_code == 4
    assert result.stderr.startswith("Error: lbctld 'default' is running already (pid ")
    assert switchless.plane.calls == []
    assert not (tmp_path / "s.sock").exists()


@pytest.mark.parametrize("option", ["--listen", "--page-listen"])
def test_a_token_opens_the_tcp_listener(switchless, tmp_path, option):
    """The same API as on the Unix socket, but for who may use it."""
    token, port = "t" * 32, free_port()
    (tmp_path / "token").write_text(token)
    (tmp_path / "token").chmod(0o600)

    def ask_both() -> list[int]:
        url = f"http://127.0.0.1:{port}/v1/status"
        headers = ({}, {"Authorization": f"Bearer {token}"})
        return [httpx.get(url, headers=h).status_code for h in headers]

    listener = [option, f"127.0.0.1:{port}", "--token-file", str(tmp_path / "token")]
    assert switchless.run(*listener, during=ask_both)[1][1] == [401, 200]


def free_port() -> int:
    """A TCP port that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]
