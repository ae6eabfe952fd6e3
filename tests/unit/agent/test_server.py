"""The server: three answers over raw sockets, and clients that mean no good."""

from __future__ import annotations

import asyncio
import errno
import socket
from contextlib import asynccontextmanager, suppress

import pytest

from lbctl.agent import server as serving
from lbctl.agent.addresses import Address
from lbctl.agent.sampler import Sampler
from lbctl.agent.server import Server, Services
from lbctl.agent.state import StateFile
from lbctl.agent.teller import Teller
from lbctl.agent.wire import LoadReport, Wish, open_
from lbctl.errors import LbctlError
from tests.unit.agent.servers import FakeProbe, ask

KEY = b"a key that nobody knows"
NONCE = "0123456789abcdef"
LINE = b"75% up\n"
GET = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture
def agent(tmp_path):
    """Start an agent; give its address, as (host, port), and its teller."""

    @asynccontextmanager
    async def start(services=None, key=KEY, silence=0.02, patience=20.0, host="127.0.0.1"):
        sampler = Sampler([FakeProbe(LoadReport(cpu=0.25))])
        await sampler.look()
        teller = Teller(sampler, StateFile(tmp_path / "state"), key)
        server = Server(teller, silence, patience)
        (name,) = await server.listen(Address(host, 0), services or Services())
        try:
            yield (host, int(name.rpartition(":")[2])), teller
        finally:
            server.close()

    return start


def answer(agent, data=b"", *, end=False, **changes):
    """Start an agent, ask it once, and give the answer."""

    async def once():
        async with agent(**changes) as (address, _):
            return await ask(address, data, end=end)

    return asyncio.run(once())


def body(response):
    """Split a response; give its status line and body, which is as long as it says."""
    head, _, content = response.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(content)}".encode() in head.split(b"\r\n")
    return head.split(b"\r\n")[0].decode(), content


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_report_is_sealed_for_who_asks(agent, host):
    """
    With the nonce of the question, under the address that was asked.
    """

    async def once():
        async with agent(host=host) as (address, _):
            question = f"/report?nonce={NONCE}".encode()
            return address[1], await ask(address, LAST % question)

    port, response = asyncio.run(once())
    status, content = body(response)
    said = open_(KEY, content)

    assert "HTTP/1.1 200 OK" == status
    assert NONCE == said.nonce
    assert (f"[::1]:{port}" if ":" in host else f"127.0.0.1:{port}") == said.agent
    assert LoadReport(cpu=0.25, wish=Wish.UP) == said.report


def test_who_fetches_reports_keeps_the_connection(agent):
    """
    Report after report; anything else, such as a nonce that is none, ends it.
    """
    nonces = [f"{number:016x}" for number in range(3)]

    async def run():
        async with agent() as (address, _):
            reader, writer = await asyncio.open_connection(*address)
            said = []
            for nonce in nonces:
                writer.write(GET % f"/report?nonce={nonce}".encode())
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                assert "\r\nConnection: keep-alive\r\n" in head
                size = int(head.partition("Content-Length: ")[2].split("\r\n")[0])
                said.append(open_(KEY, await reader.readexactly(size)).nonce)
            writer.write(GET % b"/report?nonce=none")
            rest = await reader.read()
            writer.close()
            return said, rest

    said, rest = asyncio.run(run())

    assert nonces == said
    assert b"\r\nConnection: close\r\n" in rest


def test_who_keeps_a_connection_without_a_word_loses_it(agent, monkeypatch):
    """
    It is one of few.
    """
    monkeypatch.setattr(serving, "IDLE", 0.05)
    response = answer(agent, GET % f"/report?nonce={NONCE}".encode())

    assert b"\r\nConnection: keep-alive\r\n" in response


def test_without_a_key_a_report_is_refused(agent):
    """
    The answer says how to make one.
    """
    status, content = body(answer(agent, GET % f"/report?nonce={NONCE}".encode(), key=None))

    assert "HTTP/1.1 403 Forbidden" == status
    assert b"lbctl-agent key --output" in content


@pytest.mark.parametrize("query", ["", "?nonce=", "?nonce=xyz", "?nonce=0123", "?nonce=%0a%0d"])
def test_a_report_needs_a_nonce(agent, query):
    """
    Else it could be an old one that somebody has kept.
    """
    status, content = body(answer(agent, GET % f"/report{query}".encode()))

    assert "HTTP/1.1 400 Bad Request" == status
    assert b"/report?nonce=HEX" in content


def test_metrics_are_for_everybody(agent):
    """
    In the type that Prometheus asks for.
    """
    response = answer(agent, GET % b"/metrics", key=None)

    assert b"Content-Type: text/plain; version=0.0.4" in response
    assert b"\nlbctl_agent_cpu_ratio 0.25\n" in body(response)[1]


def test_head_has_no_body(agent):
    """
    Though it tells the length.
    """
    head, _, content = answer(agent, b"HEAD /metrics HTTP/1.1\r\n\r\n").partition(b"\r\n\r\n")

    assert b"" == content
    assert b"HTTP/1.1 200 OK" == head.split(b"\r\n")[0]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (GET % b"/", "404 Not Found"),
        (GET % b"/../../etc/passwd", "404 Not Found"),
        (GET % b"//[", "400 Bad Request"),
        (b"GET /metrics?a=1&b=1&c=1&d=1&e=1&f=1&g=1&h=1&i=1 HTTP/1.1\r\n\r\n", "400 Bad Request"),
        (b"POST /report HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
        (b"GET metrics HTTP/1.1\r\n\r\n", "400 Bad Request"),
        (b"GET /metrics HTTP/9\r\n\r\n", "400 Bad Request"),
        (b"GET \xff\xfe\r\n\r\n", "400 Bad Request"),
        (b"GET /\n\n", "400 Bad Request"),
    ],
)
def test_other_requests_are_refused(agent, request_, status):
    """
    With a status and a line that says why.
    """
    line, content = body(answer(agent, request_))

    assert f"HTTP/1.1 {status}" == line
    assert content.endswith(b"\n")


@pytest.mark.parametrize(
    "data", [b"", b"hello\n", b"STATUS\n", b"\x16\x03\x01\x02", b"GE", b"get "]
)
def test_the_agent_check_is_one_line(agent, data):
    """
    For who says nothing, or anything that is no HTTP.
    """
    assert LINE == answer(agent, data)


def test_who_closes_its_half_has_its_line_at_once(agent):
    """
    Nothing more can come.
    """
    assert LINE == answer(agent, end=True, silence=1000.0)


def test_a_port_for_the_agent_check_answers_at_once(agent):
    """
    It need not find out what the client wants.
    """
    assert LINE == answer(agent, services=Services(http=False), silence=1000.0)


def test_http_in_pieces_is_http(agent):
    """
    The first letters decide, and they may come one by one.
    """

    async def once():
        async with agent(silence=20.0) as (address, _):
            reader, writer = await asyncio.open_connection(*address)
            for byte in GET % b"/metrics":
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0)
            response = await reader.read()
            writer.transport.abort()
            return response

    assert "HTTP/1.1 200 OK" == body(asyncio.run(once()))[0]


def test_what_is_turned_off_is_not_there(agent):
    """
    The metrics are no page any more, and silence is not answered.
    """
    services = Services(metrics=False, agent_check=False)
    status, content = body(answer(agent, GET % b"/metrics", services=services))
    silent = answer(agent, b"hello\n", services=services, patience=0.05)

    assert "HTTP/1.1 404 Not Found" == status
    assert b"there is only /report?nonce=HEX\n" == content
    assert b"" == silent


async def still_answers(address):
    """Ask an ordinary question; the answer must be the ordinary one."""
    assert LINE == await ask(address, b"\n")


async def misbehave(address, data, patience=20.0):
    """Send *data*, read to the end or the reset; give what came."""
    got = b""
    reader, writer = await asyncio.open_connection(*address)
    with suppress(OSError):
        async with asyncio.timeout(patience):
            writer.write(data)
            await writer.drain()
            while more := await reader.read(65536):
                got += more
    writer.transport.abort()
    return got


def test_a_large_header_ends_the_connection(agent):
    """
    A megabyte of it is not even read.
    """

    async def run():
        async with agent() as (address, teller):
            got = await misbehave(address, b"GET / HTTP/1.1\r\nX: " + b"x" * (1 << 20))
            await still_answers(address)
            return got, teller.told["refused"]

    got, refused = asyncio.run(run())
    assert 1 == refused
    assert b"" == got or b"431" in got  # the reset may overtake the answer


def test_a_slow_client_is_given_up(agent):
    """
    One that begins a request and never ends it.
    """

    async def run():
        async with agent(patience=0.05) as (address, _):
            got = await misbehave(address, b"GET /metrics HTTP/1.1\r\n")
            await still_answers(address)
            return got

    assert b"" == asyncio.run(run())


def test_a_client_that_resets_harms_nobody(agent, caplog):
    """
    Before or after it has asked; nothing is logged of it.
    """

    async def run():
        async with agent() as (address, _):
            for data in (b"", b"G", GET % b"/metrics"):
                with socket.create_connection(address) as client:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    client.send(data)
            await still_answers(address)

    asyncio.run(run())
    assert [] == caplog.records


def test_one_client_cannot_have_all_connections(agent):
    """
    Those over its share are closed unheard, and when the others end there is room again.
    """

    async def run():
        async with agent(silence=1000.0) as (address, teller):
            held = [await asyncio.open_connection(*address) for _ in range(serving.MAX_OF_ONE)]
            extra = await misbehave(address, b"")
            told = teller.told["refused"]
            for reader, writer in held:
                writer.write(b"\n")
                assert LINE == await reader.read()
                writer.transport.abort()
            await still_answers(address)
            return extra, told

    assert (b"", 1) == asyncio.run(run())


def test_all_clients_together_have_a_limit(agent, monkeypatch):
    """
    However many there are.
    """
    monkeypatch.setattr(serving, "MAX_CONNECTIONS", 2)

    async def run():
        async with agent(silence=1000.0) as (address, _):
            held = [await asyncio.open_connection(*address) for _ in range(2)]
            extra = await misbehave(address, b"\n")
            for _, writer in held:
                writer.transport.abort()
            return extra

    assert b"" == asyncio.run(run())


def test_a_bug_costs_one_answer(agent, caplog):
    """
    The log has it; the next client has its answer.
    """

    async def run():
        async with agent() as (address, teller):
            line, teller.check_line = teller.check_line, None
            got = await misbehave(address, b"\n")
            teller.check_line = line
            await still_answers(address)
            return got

    assert b"" == asyncio.run(run())
    assert ["a client of 127.0.0.1 got no answer"] == caplog.messages


def test_a_port_in_use_is_an_error(agent):
    """
    Which names the address and the option.
    """

    async def run():
        async with agent() as (address, teller):
            await Server(teller).listen(Address(*address), Services())

    with pytest.raises(LbctlError, match=r"127.0.0.1:\d+: cannot listen: .*--listen") as err:
        asyncio.run(run())
    assert str(errno.EADDRINUSE) in str(err.value) or "in use" in str(err.value)
