"""The application sources: JSON files and sockets, stub status, and HTTP within bounds."""

from __future__ import annotations

import asyncio
import os

import pytest

from lbctl.agent import fetch as fetching
from lbctl.agent.applications import JsonFileProbe, JsonSocketProbe, StubStatusProbe
from lbctl.agent.fetch import Url, fetch
from lbctl.agent.readings import SourceError
from lbctl.agent.wire import LoadReport, Wish
from lbctl.errors import UsageError
from tests.unit.agent.servers import OK, Clock, answering, serving

FIGURES = '{"clients": 7, "utilization": 0.5, "wish": "drain", "reason": "cold", "other": 1}'
REPORT = LoadReport(clients=7, utilization=0.5, wish=Wish.DRAIN, reason="cold")
STUB = """\
Active connections: 291\x20
server accepts handled requests
 16630948 16630948 {}\x20
Reading: 6 Writing: 179 Waiting: 106\x20
"""


def test_a_file_tells_figures_by_name(tmp_path):
    """
    Those of a report; others are ignored.
    """
    path = tmp_path / "figures.json"
    path.write_text(FIGURES)

    assert REPORT == asyncio.run(JsonFileProbe(path, 1.0, 10).sample())


def test_a_file_that_nobody_writes_any_more_is_not_believed(tmp_path):
    """
    The application has died: its last figures are no figures.
    """
    path = tmp_path / "figures.json"
    path.write_text(FIGURES)
    os.utime(path, (1000, 1000))

    assert REPORT == asyncio.run(JsonFileProbe(path, 1.0, 10, Clock(1010)).sample())
    with pytest.raises(SourceError, match="11 s ago"):
        asyncio.run(JsonFileProbe(path, 1.0, 10, Clock(1011)).sample())


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 9000, "not JSON"),
        (b"[]", "object"),
        (b'{"cpu": NaN}', "cpu"),
        (b'{"clients": "many"}', "clients"),
        (b" " * 20000, "more than"),
    ],
)
def test_a_file_of_something_else_is_an_error(tmp_path, content, why):
    """
    Which names the file and what is wrong.
    """
    path = tmp_path / "figures.json"
    path.write_bytes(content)

    with pytest.raises(SourceError, match=why) as err:
        asyncio.run(JsonFileProbe(path, 1.0, 10).sample())
    assert str(path) in str(err.value)


def test_a_missing_file_is_an_error(tmp_path):
    """
    The application may not have started.
    """
    with pytest.raises(SourceError, match="No such file"):
        asyncio.run(JsonFileProbe(tmp_path / "none", 1.0, 10).sample())


async def socket_sample(path, answer, *, close=True):
    """Look at a Unix socket whose server writes *answer*."""

    async def talk(reader, writer):
        writer.write(answer)
        if not close:
            await reader.read()

    async with serving(lambda serve: asyncio.start_unix_server(serve, path), talk):
        return await JsonSocketProbe(path, 1.0).sample()


def test_a_socket_tells_figures_by_name(tmp_path):
    """
    The same as a file.
    """
    assert REPORT == asyncio.run(socket_sample(tmp_path / "s", FIGURES.encode()))


def test_a_socket_that_floods_is_an_error(tmp_path):
    """
    The agent does not grow with it.
    """
    with pytest.raises(SourceError, match="more than 16384"):
        asyncio.run(socket_sample(tmp_path / "s", b" " * 100_000, close=False))


def test_a_socket_that_never_ends_is_an_error(tmp_path):
    """
    The agent does not wait for ever.
    """
    with pytest.raises(SourceError, match="no answer within"):
        asyncio.run(socket_sample(tmp_path / "s", b"{", close=False))


def test_a_socket_without_a_server_is_an_error(tmp_path):
    """
    The application may not have started.
    """
    with pytest.raises(SourceError, match="No such file"):
        asyncio.run(JsonSocketProbe(tmp_path / "s", 1.0).sample())


def test_stub_status_tells_connections_and_requests():
    """
    The rate with the second look.
    """

    async def look():
        clock = Clock()
        async with answering(OK + STUB.format(1000), OK + STUB.format(1300)) as url:
            probe = StubStatusProbe(url, 1.0, clock)
            first = await probe.sample()
            clock.now += 3
            return first, await probe.sample()

    expected = LoadReport(clients=291), LoadReport(clients=291, requests_per_second=100)
    assert expected == asyncio.run(look())


def test_another_page_is_no_stub_status():
    """
    The error says how to look at it.
    """

    async def look():
        async with answering(f"{OK}<html>") as url:
            await StubStatusProbe(url, 1.0).sample()

    with pytest.raises(SourceError, match="curl"):
        asyncio.run(look())


async def fetched(answer, patience=20.0, *, wait=False):
    """Fetch from a server that says *answer*."""
    async with answering(answer, wait=wait) as url:
        return await fetch(url, patience)


@pytest.mark.parametrize(
    "answer",
    [
        f"{OK}body",
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody and more",
    ],
)
def test_the_body_is_what_comes_after_the_header(answer):
    """
    To the end, or as much as was announced.
    """
    assert answer.split("\r\n\r\n")[1].removesuffix(" and more") == asyncio.run(fetched(answer))[:4]


def test_a_kept_connection_is_not_waited_for():
    """
    When the length is told, that is the end.
    """
    answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"

    assert "body" == asyncio.run(fetched(answer, wait=True))


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("HTTP/1.0 404 Not Found\r\n\r\n", "status 404"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody", "chunks"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbody", "4 of 9"),
        ("SSH-2.0-OpenSSH\r\n\r\n", "not HTTP"),
        ("HTTP/1.0 200 OK\r\n", "read on a total of"),
        ("x" * 100_000, "limit"),
        (OK + "x" * 70_000, "more than 65536"),
    ],
)
def test_other_answers_are_errors(monkeypatch, answer, why):
    """
    Which name the URL and what is wrong.
    """
    monkeypatch.setattr(fetching, "MAX_BODY", 65536)

    with pytest.raises(SourceError, match=why) as err:
        asyncio.run(fetched(answer))
    assert "http://127.0.0.1" in str(err.value)


def test_a_server_that_drips_is_an_error():
    """
    The time is for all of the answer.
    """
    with pytest.raises(SourceError, match=r"no answer within 0\.05 s"):
        asyncio.run(fetched("HTTP/1.0 200 OK\r\n", 0.05, wait=True))


def test_nobody_there_is_an_error():
    """
    As the system says it.
    """

    async def look():
        async with answering(OK) as url:
            pass
        await fetch(url)

    with pytest.raises(SourceError, match=r"127\.0\.0\.1"):
        asyncio.run(look())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://127.0.0.1:9100/metrics?a=b", ("127.0.0.1", 9100, "/metrics?a=b", False)),
        ("https://localhost", ("localhost", 443, "/", True)),
        ("http://[::1]/x", ("::1", 80, "/x", False)),
    ],
)
def test_urls_are_read(text, expected):
    """
    With the ports that go without saying.
    """
    assert (text, *expected) == Url.parse(text)


@pytest.mark.parametrize(
    "text", ["", "127.0.0.1:9100", "ftp://a/", "http://", "http://a b/", "http://a:99999/", "//a"]
)
def test_what_is_no_url_is_refused(text):
    """
    The error shows how one looks.
    """
    with pytest.raises(UsageError, match=r"http://127\.0\.0\.1:9100/metrics"):
        Url.parse(text)
