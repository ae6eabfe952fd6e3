"""The HTTP check against real servers on loopback, well and ill."""

from __future__ import annotations

import ssl
import subprocess

import pytest

from lbctl.control.health import stream
from lbctl.control.health.http import server_name
from lbctl.model import HttpCheck
from tests.unit.control.health import servers
from tests.unit.control.health.servers import (
    HOST,
    HOST6,
    dribbling,
    repeating,
    saying,
    seen,
    shortly,
)

PATIENT = {"interval": 20, "timeout": 20}
CHECK = HttpCheck(**PATIENT)
READY = HttpCheck(body="ready", **PATIENT)
HASTY = HttpCheck(body="ready", timeout=0.1)
SECURE = HttpCheck(check="https", host="www.example.com:8443", **PATIENT)
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for www.example.com: its file, and that of its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    names = ["-subj", "/CN=www.example.com", "-addext", "subjectAltName=DNS:www.example.com"]
    files = ["-keyout", key, "-out", cert]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    return cert, key


@pytest.fixture
def context(certificate):
    """The server's side of TLS; `names` has those that clients asked for."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(*certificate)
    made.names = []
    made.sni_callback = lambda _, name, context: context.names.append(name)
    return made


@pytest.mark.parametrize(
    ("check", "answer", "expected"),
    [
        (CHECK, OK + b"Content-Length: 0\r\n\r\n", (True, "200")),
        (CHECK, OK + b"\r\n", (True, "200")),
        (CHECK, b"HTTP/1.0 302 Found\r\nLocation: /login\r\n\r\n", (True, "302")),
        (CHECK, b"HTTP/1.1 503 Busy\r\n\r\n", (False, "status 503, wanted 200-399")),
        (HttpCheck(status="404,503", **PATIENT), b"HTTP/1.1 503 Busy\r\n\r\n", (True, "503")),
        (CHECK, b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK + b"\r\n", (True, "200")),
        (CHECK, b"HTTP/1.1 101 X\r\nUpgrade: x\r\n\r\nx", (False, "status 101, wanted 200-399")),
        (READY, OK + b"Content-Length: 12\r\n\r\nI am ready.\n", (True, "200")),
        (READY, OK + b"Content-Length: 5\r\n\r\nbusy\n", (False, "'ready' is not in the body")),
        (READY, OK + b"Content-Length: 5\r\n\r\nready surplus", (True, "200")),
        (READY, CHUNKED + b"2\r\nre\r\n3\r\nady\r\n0\r\n\r\n", (True, "200")),
        (READY, CHUNKED + b"4\r\nbusy\r\n0\r\n\r\n", (False, "'ready' is not in the body")),
        (CHECK, b"SSH-2.0-OpenSSH_9.2\r\n", (False, "the answer is not HTTP")),
        (CHECK, b"\x15\x03\x03\x00\x02\x02\x16", (False, "the answer is not HTTP")),
    ],
)
def test_answers_are_judged(check, answer, expected):
    """
    By the status, and by a text in the body; the server keeps the connection open.
    """
    assert expected == shortly(seen(check, saying(answer)))


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([], (False, "closed before an answer")),
        ([OK], (False, "closed in mid-answer")),
        ([OK, b"\r\nI am re", b"ady"], (True, "200")),
        ([OK, b"\r\nI am no", b"t rea"], (False, "'ready' is not in the body")),
        ([OK, b"Content-Length: 99\r\n\r\nrea"], (False, "'ready' is not in the body")),
    ],
)
def test_the_end_of_the_connection_ends_the_answer(parts, expected):
    """
    Whether that was all or not, more will not come.
    """
    assert expected == shortly(seen(READY, saying(*parts, end=servers.hanging_up)))


@pytest.mark.parametrize("host", [HOST, HOST6])
def test_the_request_is_complete(host):
    """
    Path, the address as the host, and that there will be only one.
    """
    requests = []

    async def talk(reader, writer):
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        port = writer.get_extra_info("sockname")[1]
        requests.append(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        writer.write(OK + b"\r\n")
        await writer.drain()

    seen(HttpCheck(path="/health?full=1", **PATIENT), talk, host)
    lines = requests[0].decode().split("\r\n")

    assert "GET /health?full=1 HTTP/1.1" == lines[0]
    assert {f"Host: {requests[1]}", "Connection: close"} <= set(lines)


def test_a_server_that_never_answers_costs_the_timeout():
    """
    That the connection was opened is said.
    """
    assert (False, "connected, but no answer in 100 ms") == shortly(seen(HASTY, servers.silent))


@pytest.mark.parametrize("head", [OK, OK + b"\r\n"], ids=["headers", "body"])
def test_a_byte_at_a_time_does_not_prolong_it(head):
    """
    The timeout is for the whole of it, and that some of it came is said.
    """
    outcome = seen(HASTY, dribbling(head))

    assert (False, "no whole answer in 100 ms") == shortly(outcome)


def test_an_endless_body_is_read_in_part():
    """
    64 KiB must be enough to find the text.
    """
    outcome = seen(READY, repeating(OK + b"\r\n", b"busy" * 1000))

    assert (False, "'ready' is not in the body") == shortly(outcome)


def test_an_endless_body_is_not_read_when_the_status_is_enough():
    """
    The check is over with the headers.
    """
    assert (True, "200") == shortly(seen(CHECK, repeating(OK + b"\r\n", b"busy" * 1000)))


def test_endless_headers_are_given_up():
    """
    Long before memory or time is.
    """
    outcome = seen(CHECK, repeating(OK, b"X-More: yes\r\n" * 100))

    assert (False, "no end of the headers in 64 KiB") == shortly(outcome)


def test_a_reset_in_the_middle_is_a_failure():
    """
    Of the server, and said as the kernel says it.
    """
    outcome = seen(READY, saying(OK, end=servers.resetting))

    assert (False, "connection reset by peer") == shortly(outcome)


def test_a_certificate_is_not_verified_unless_asked(context):
    """
    Most servers inside have one that nobody signed; the name is told to them without the port.
    """
    outcome = seen(SECURE, saying(OK + b"\r\n"), context=context)

    assert (True, "200") == shortly(outcome)
    assert ["www.example.com"] == context.names


def test_an_address_is_not_told_as_a_name(context):
    """
    RFC 6066: no literal addresses in SNI.
    """
    seen(SECURE.model_copy(update={"host": None}), saying(OK + b"\r\n"), context=context)

    assert [None] == context.names


def test_a_long_answer_in_tls_is_read_on(context):
    """
    Over several records, until the text comes.
    """
    check = SECURE.model_copy(update={"body": "ready"})
    outcome = seen(check, saying(OK + b"\r\n" + b"x" * 40_000, b"ready"), context=context)

    assert (True, "200") == shortly(outcome)


def test_an_answer_in_tls_ends_with_the_connection(context):
    """
    TLS has an end of its own.
    """
    check = SECURE.model_copy(update={"body": "ready"})
    outcome = seen(check, saying(OK + b"\r\nbusy", end=servers.hanging_up), context=context)

    assert (False, "'ready' is not in the body") == shortly(outcome)


def test_a_self_signed_certificate_is_refused_when_verified(context):
    """
    OpenSSL's words.
    """
    check = SECURE.model_copy(update={"verify": True})
    outcome = seen(check, saying(OK + b"\r\n"), context=context)

    assert (False, "TLS: self-signed certificate") == shortly(outcome)


@pytest.mark.parametrize(
    ("host", "expected"), [("www.example.com", True), ("www.example.org", False)]
)
def test_a_trusted_certificate_is_accepted_for_its_name(
    certificate, context, monkeypatch, host, expected
):
    """
    For no other.
    """
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    monkeypatch.setattr(stream, "_context", stream._context.__wrapped__)
    check = SECURE.model_copy(update={"verify": True, "host": host})

    outcome = seen(check, saying(OK + b"\r\n"), context=context)

    assert expected == outcome.ok, outcome
    assert expected or "www.example.org" in outcome.reason


@pytest.mark.parametrize(
    ("talk", "expected"),
    [
        (saying(b"SSH-2.0-OpenSSH_9.2\r\n"), "TLS: wrong version number"),
        (servers.closing, "TLS: closed during the handshake"),
        (servers.hanging_up, "TLS: closed during the handshake"),
    ],
    ids=["garbage", "reset", "end"],
)
def test_what_is_not_tls_fails(talk, expected):
    """
    Garbage, or a connection that ends.
    """
    assert (False, expected) == shortly(seen(SECURE, talk))


def test_a_handshake_that_is_never_answered_costs_the_timeout():
    """
    It is said that the handshake was missing.
    """
    check = SECURE.model_copy(update={"timeout": 0.1})
    expected = (False, "connected, but no TLS handshake in 100 ms")

    assert expected == shortly(seen(check, servers.silent))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("www.example.com", "www.example.com"),
        ("www.example.com:8443", "www.example.com"),
        ("192.0.2.1:443", "192.0.2.1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
def test_the_name_for_tls_has_no_port(host, expected):
    """
    However the header Host is written.
    """
    assert expected == server_name(host)
