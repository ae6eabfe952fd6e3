"""The gRPC check against a real HTTP/2 server on loopback."""

from __future__ import annotations

import asyncio

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, RequestReceived, StreamEnded
from hypothesis import given
from hypothesis import strategies as st

from lbctl.control.health import grpc
from lbctl.control.health.check import look
from lbctl.control.health.target import CheckFailed
from lbctl.model import GrpcCheck
from tests.unit.control.health import servers
from tests.unit.control.health.servers import HOST, HOST6, saying, shortly, target

PATIENT = {"interval": 20, "timeout": 20}
CHECK = GrpcCheck(service="shop.Cart", **PATIENT)
OK = [(":status", "200"), ("content-type", "application/grpc")]
SETTINGS = bytes.fromhex("000000 04 00 00000000")  # an empty frame of that type
DONE = [("grpc-status", "0")]


def message(status):
    """A HealthCheckResponse of that status, with gRPC's prefix."""
    return b"\0\0\0\0\2\x08" + bytes([status])


def talking(answer, heard=None):
    """A conversation in HTTP/2: *answer* is called with the connection when the call is whole."""

    async def talk(reader, writer):
        http = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        http.initiate_connection()
        writer.write(http.data_to_send())
        while data := await reader.read(65536):
            for event in http.receive_data(data):
                if isinstance(event, RequestReceived) and heard is not None:
                    heard.append(dict(event.headers))
                if isinstance(event, DataReceived) and heard is not None:
                    heard.append(event.data)
                if isinstance(event, StreamEnded):
                    answer(http)
            writer.write(http.data_to_send())

    return talk


def answering(headers, data=b"", trailers=None):
    """Answer with these, in as many frames as there are parts."""

    def answer(http):
        http.send_headers(1, headers, end_stream=not data and trailers is None)
        if data:
            http.send_data(1, data, end_stream=trailers is None)
        if trailers is not None:
            http.send_headers(1, trailers, end_stream=True)

    return answer


@pytest.mark.parametrize("host", [HOST, HOST6])
def test_a_service_that_is_serving_is_well(host):
    """
    It was asked for by its name, by the protocol of the health service.
    """
    heard = []
    talk = talking(answering(OK, message(1), DONE), heard)

    outcome = servers.seen(CHECK, talk, host)
    headers, request = heard

    assert (True, "SERVING") == shortly(outcome)
    assert b"\0\0\0\0\x0b\x0a\x09shop.Cart" == request
    assert "/grpc.health.v1.Health/Check" == headers[":path"]
    assert ("POST", "trailers") == (headers[":method"], headers["te"])  # codespell:ignore te


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (answering(OK, message(2), DONE), "NOT_SERVING"),
        (answering(OK, message(0), DONE), "UNKNOWN"),
        (answering(OK, b"\0\0\0\0\0", DONE), "UNKNOWN"),
        (answering(OK, message(9), DONE), "unknown status 9"),
        (
            answering([*OK, ("grpc-status", "12")]),
            "the server has no health service (UNIMPLEMENTED)",
        ),
        (
            answering(OK, trailers=[("grpc-status", "5")]),
            "the server knows no service 'shop.Cart' (NOT_FOUND)",
        ),
        (
            answering([*OK, ("grpc-status", "14"), ("grpc-message", "too%20busy")]),
            "gRPC status 14: too busy",
        ),
        (answering(OK, message(1)), "gRPC status missing"),
        (answering([(":status", "404")]), "HTTP status 404, wanted 200"),
        (answering(OK, b"x", DONE), "the answer is not a gRPC message"),
        (answering(OK, b"\1\0\0\0\2\x08\1", DONE), "the answer is not a gRPC message"),
        (answering(OK, b"\0\0\0\0\2\x12\1", DONE), "the answer is not a HealthCheckResponse"),
        (answering(OK, bytes(16384), DONE), "the answer is not a gRPC message"),
        (lambda http: http.reset_stream(1, ErrorCodes.REFUSED_STREAM), "HTTP/2 error 7"),
        (lambda http: http.close_connection(ErrorCodes.ENHANCE_YOUR_CALM), "HTTP/2 error 11"),
    ],
)
def test_all_else_is_a_failure_with_its_reason(answer, reason):
    """
    gRPC's, HTTP/2's, or what is wrong with the message.
    """
    assert (False, reason) == shortly(servers.seen(CHECK, talking(answer)))


@pytest.mark.parametrize(
    ("talk", "reason"),
    [
        (saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "the answer is not HTTP/2"),
        (saying(b"\x15\x03\x03\x00\x02\x02\x16" * 10), "the answer is not HTTP/2"),
        (saying(SETTINGS, bytes.fromhex("000001 00 00 00000000 78")), "the answer is not HTTP/2"),
        (saying(end=servers.hanging_up), "closed before an answer"),
        (saying(end=servers.resetting), "connection reset by peer"),
    ],
)
def test_what_does_not_speak_http2_fails(talk, reason):
    """
    At once, not when the time is up.
    """
    assert (False, reason) == shortly(servers.seen(CHECK, talk))


def test_an_endless_answer_is_given_up():
    """
    Pings are no answer, and cost memory and time.
    """
    ping = bytes.fromhex("000008 06 01 00000000") + bytes(8)

    outcome = servers.seen(CHECK, servers.repeating(SETTINGS, ping * 100))

    assert (False, "an answer of more than 64 KiB") == shortly(outcome)


def test_a_server_that_never_answers_costs_the_timeout():
    """
    That the connection was opened is said.
    """
    outcome = servers.seen(GrpcCheck(timeout=0.1), servers.silent)

    assert (False, "connected, but no answer in 100 ms") == shortly(outcome)


def test_a_closed_port_is_refused():
    """
    As for every check by TCP.
    """
    with servers.closed_port() as port:
        outcome = asyncio.run(look(target(CHECK, port)))

    assert (False, "connection refused") == shortly(outcome)


def test_the_server_as_a_whole_has_no_name():
    """
    A field that is empty is left out.
    """
    assert bytes(5) == grpc.encode_request("")


@given(st.integers(0, 1 << 64))
def test_a_varint_has_the_number_in_groups_of_seven_bits(number):
    """
    The lowest first; all but the last have the high bit.
    """
    groups = list(grpc.varint(number))

    assert number == sum((group & 127) << 7 * place for place, group in enumerate(groups))
    assert [True] * (len(groups) - 1) + [False] == [group > 127 for group in groups]


@given(st.binary(max_size=20))
def test_no_message_is_too_strange(data):
    """
    It has a status, or it is refused.
    """
    try:
        status = grpc.decode_status(data)
    except CheckFailed:
        return
    assert status in range(128)
