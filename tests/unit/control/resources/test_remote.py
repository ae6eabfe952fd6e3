"""The resource manager on another computer, and what it sends to the switch."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from click.testing import CliRunner

from lbctl.agent.wire import decode_report
from lbctl.control.resources.command import Switch, main
from lbctl.control.resources.remote import Remote
from lbctl.errors import LbctlError
from lbctl.model import AgentKind, SocketAddress
from tests.unit.control.resources.servers import (
    DEADLINE,
    REPORT,
    Watched,
    agent,
    http,
    key_file,
    sealed,
    serving,
)

ALICE = SocketAddress.parse("192.0.2.11:9000")
TOKEN = "a token of twenty-three"


class Api:
    """The part of the switch's API that is used here."""

    def __init__(self, *agents):
        self.agents = [each.model_dump(mode="json") for each in agents]
        self.status = 200
        self.sent, self.refused = asyncio.Queue(), asyncio.Queue()
        self.headers = []

    async def handle(self, reader, writer):
        """Answer the requests of a connection."""
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            self.headers.append(head)
            length = int(head.partition("content-length: ")[2].split("\r\n")[0] or 0)
            body = await reader.readexactly(length)
            if head.startswith("post /v1/agents/readings "):
                (self.sent if self.status == 200 else self.refused).put_nowait(json.loads(body))
            writer.write(http(json.dumps(self.agents).encode(), status=self.status))
            await writer.drain()


@pytest.fixture
def alice(tmp_path):
    """An agent that pushes: it is the only kind that can be far away in a test."""
    return agent(ALICE, AgentKind.PUSH, key_file=key_file(tmp_path))


@pytest.fixture
def token(tmp_path):
    """The file with the API's token."""
    return Path(key_file(tmp_path, TOKEN, "token"))


@pytest.fixture
def door():
    """Where pushed datagrams arrive."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.bind(("127.0.0.1", 0))
        yield door


def push(door, later):
    """Send what an agent says *later* seconds from now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(sealed(ALICE, "ab" * 16, at=time.time() + later), door.getsockname())


def client_of(address, token):
    """Make what sends requests to the API."""
    return Switch.at(f"http://{address}", token, None).client()


@asynccontextmanager
async def working(api_address, token, door, manager):
    """Run the remote meanwhile."""
    async with client_of(api_address, token) as client, asyncio.timeout(DEADLINE):
        task = asyncio.create_task(Remote(client, manager, 0.1).run(door))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def test_what_agents_told_is_sent_once(alice, token, door):
    """
    With its age, and under the token; nothing is sent when there is nothing new.
    """

    async def run():
        api, manager = Api(alice), Watched()
        async with serving(api.handle) as address, working(address, token, door, manager):
            await manager.until_followed(1)
            push(door, 1)
            first = await api.sent.get()
            push(door, 2)
            second = await api.sent.get()
            return first, second, api.headers

    first, second, headers = asyncio.run(run())

    for message in (first, second):
        (reading,) = message["readings"]
        assert {"agent", "report", "age_seconds"} == set(reading)
        assert (str(ALICE), REPORT) == (reading["agent"], decode_report(reading["report"]))
        assert 0 <= reading["age_seconds"] < DEADLINE
    assert all(f"authorization: bearer {TOKEN}" in head for head in headers)


def test_it_goes_on_while_the_api_does_not_answer(alice, token, door, caplog):
    """
    It says so once, and once more when the API is back; the last word arrives then.
    """
    caplog.set_level(logging.INFO, "lbctl.control.resources.remote")

    async def run():
        api, manager = Api(alice), Watched()
        async with serving(api.handle) as address, working(address, token, door, manager):
            await manager.until_followed(1)
            api.status = 503
            push(door, 1)
            assert await api.refused.get()
            assert await api.refused.get()
            api.status = 200
            assert await api.sent.get()
            push(door, 2)
            assert await api.sent.get()  # so the answer to the first has been read
            return [record.getMessage().partition("/v1/")[2] for record in caplog.records]

    said = asyncio.run(run())

    assert 1 == said.count("agents/readings: status 503; trying on")
    assert 1 == said.count("agents/readings: answers again")


def test_no_connection_is_said_once(token, caplog):
    """
    Whatever was to be asked.
    """

    async def run():
        manager = Watched()
        async with serving(Api().handle) as address:
            pass
        async with client_of(address, token) as client:
            far = Remote(client, manager, 0.1)
            await far.fetch()
            await far.fetch()

    asyncio.run(run())

    assert 1 == len(caplog.records)
    assert "trying on" in caplog.text


@pytest.mark.parametrize("agents", [[{"address": "nonsense"}], {"agents": []}, "x"])
def test_a_configuration_that_is_none_changes_nothing(alice, token, caplog, agents):
    """
    The agents of before are followed on.
    """

    async def run():
        api, manager = Api(alice), Watched()
        async with serving(api.handle) as address, client_of(address, token) as client:
            far = Remote(client, manager, 0.1)
            await far.fetch()
            api.agents = agents
            await far.fetch()
            return [state.agent for state in manager.states()]

    assert [alice] == asyncio.run(run())
    assert "not a list of agents" in caplog.text


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--remote", "http://192.0.2.1:80"], "only loopback may go without TLS"),
        (["--remote", "http://localhost.example:80"], "only loopback may go without TLS"),
        (["--remote", "ftp://192.0.2.1"], "is not https://HOST:PORT"),
        (["--remote", "192.0.2.1:8443"], "is not https://HOST:PORT"),
        (["--remote", "https://192.0.2.1:8443/v1"], "is not https://HOST:PORT"),
        (["--remote", "https://192.0.2.1:x"], "is not https://HOST:PORT"),
        (["--remote", "https://192.0.2.1", "--ca", "/dev/null"], "no certificates"),
        (["--remote", "http://127.0.0.1:1", "--push-listen", "nowhere"], "is not ADDRESS:PORT"),
        (["--remote", "http://127.0.0.1:1", "--push-listen", "127.0.0.1:x"], "ADDRESS:PORT"),
        (["--remote", "http://127.0.0.1:1", "--push-listen", "127.0.0.1:65536"], "ADDRESS:PORT"),
    ],
)
def test_options_that_cannot_be_right(token, words, reason):
    """
    One line says why.
    """
    result = CliRunner().invoke(main, [*words, "--token-file", str(token)])

    assert 2 == result.exit_code
    assert reason in result.output
    assert 1 == len(result.output.splitlines())


@pytest.mark.parametrize(
    ("mode", "text"), [(0o644, TOKEN), (0o600, "short"), (0o600, "not äscii, but long"), (None, "")]
)
def test_a_token_that_is_no_secret(tmp_path, mode, text):
    """
    Readable by others, too short, not ASCII, or not there.
    """
    path = tmp_path / "token"
    if mode:
        path.write_text(text)
        path.chmod(mode)

    with pytest.raises(LbctlError, match=str(path)):
        Switch.at("http://127.0.0.1:1", path, None)


def test_https_is_verified(token):
    """
    By the system's certificates unless others are named.
    """
    trust = Switch.at("https://192.0.2.1:8443", token, None).trust

    assert (True, ssl.CERT_REQUIRED) == (trust.check_hostname, trust.verify_mode)


def test_the_command_tells_systemd_and_ends_cleanly(token, tmp_path):
    """
    READY although the API does not answer, and no traceback at SIGTERM.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(DEADLINE)
        manager.bind(str(tmp_path / "notify"))
        words = ["--remote", "http://127.0.0.1:9", "--push-listen", "127.0.0.1:0"]
        code = "from lbctl.control.resources.command import main; main()"
        with subprocess.Popen(
            [sys.executable, "-c", code, *words, "--token-file", str(token)],
            env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")},
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert b"READY=1" == manager.recv(100)
                process.send_signal(signal.SIGTERM)
                assert b"STOPPING=1" == manager.recv(100)
                _, errors = process.communicate(timeout=DEADLINE)
            finally:
                process.kill()

    assert 0 == process.returncode
    assert "SIGTERM: stopping" in errors
    assert "Traceback" not in errors
