"""The wire: what goes in comes out, with its descriptors, and nonsense does not."""

from __future__ import annotations

import json
import os
import socket
import struct
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbctl.errors import Conflict, LbctlError
from lbctl.netif import wire
from lbctl.netif.wire import BadMessage, Ended, Grant, PortGrant, Request, Route

SIZES = st.integers(1, 20).map(lambda power: 1 << power)
MACS = st.binary(min_size=6, max_size=6).map(lambda mac: mac.hex(":"))
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}", fullmatch=True)
PORTS = st.builds(
    PortGrant,
    nic=NAMES,
    ifindex=st.integers(1, 1 << 31),
    queue=st.integers(0, 4095),
    mac=MACS,
    mtu=st.integers(68, 65535),
    **dict.fromkeys(("rx", "tx", "fill", "completion"), SIZES),
    **dict.fromkeys(("zero_copy", "need_wakeup", "multi_buffer"), st.booleans()),
)
GRANTS = st.builds(
    Grant,
    name=NAMES,
    vips=st.lists(st.text(max_size=30)).map(tuple),
    frame_size=st.sampled_from([2048, 4096]),
    frames=st.integers(1, 1 << 24),
    ports=st.lists(PORTS, min_size=1, max_size=5).map(tuple),
    bound=st.booleans(),
)
ROUTES = st.builds(
    Route,
    nic=NAMES,
    destination_mac=MACS,
    source_mac=MACS,
    mtu=st.integers(68, 65535),
    queue=st.none() | st.integers(0, 63),
)
REQUESTS = st.builds(
    Request, st.sampled_from([wire.APP, wire.BIND, wire.RESUME]), name=NAMES
) | st.builds(Request, st.just(wire.ROUTE), address=st.ip_addresses().map(str))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
KINDS = {Grant: GRANTS, Route: ROUTES, Request: REQUESTS}


@pytest.fixture
def ends():
    """Both ends of a connection as applications have it."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with one, other:
        yield one, other


@settings(max_examples=50)
@given(GRANTS | ROUTES | REQUESTS)
def test_what_is_told_is_understood(said):
    """
    By way of JSON, and by a reader who does not know all of its keys.
    """
    message = json.loads(json.dumps({**said.encode(), "of tomorrow": 1}))

    assert said == type(said).decode(message)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=50)
@given(st.data())
def test_nonsense_is_refused(kind, data):
    """
    A wrong value anywhere is a BadMessage, or happens to be right.
    """
    message = data.draw(KINDS[kind]).encode()
    name = data.draw(st.sampled_from([field.name for field in fields(kind)]))
    message[name] = data.draw(JSON)

    with suppress(BadMessage):
        assert message[name] == kind.decode(message).encode().get(name, message[name])


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        ({}, "no 'want'"),
        ({"want": "money"}, "not one of app, bind, resume, route"),
        ({"want": "app"}, "'' is no name"),
        ({"want": "app", "name": "../etc"}, "is no name"),
        ({"want": "route", "address": "here"}, "'here' is no IP address"),
        ({"want": True}, "want is True"),
        ([], "a Request is a JSON object"),
    ],
)
def test_a_wrong_request_is_told_why(message, complaint):
    """
    One line that names the value.
    """
    with pytest.raises(BadMessage, match=complaint):
        Request.decode(message)


def test_descriptors_come_along(ends, tmp_path):
    """
    They are the same files, closed on exec, in their order.
    """
    one, other = ends
    paths = [tmp_path / name for name in "abc"]
    opened = [os.open(path, os.O_CREAT | os.O_RDWR) for path in paths]

    wire.send(one, {"want": "app"}, opened)
    wire.close(opened)
    message, got = wire.receive(other)

    assert {"want": "app"} == message
    assert [path.stat().st_ino for path in paths] == [os.fstat(number).st_ino for number in got]
    assert [False] * 3 == [os.get_inheritable(number) for number in got]
    wire.close(got)


@pytest.mark.parametrize("data", [b"[]", b"{", b"\xff", b"[" * 100_000, b"1", b"x" * 140_000])
def test_garbage_leaves_nothing_open(ends, data):
    """
    Neither JSON that is no object, nor what is none, nor what is too long.
    """
    one, other = ends
    before = len(list(Path("/proc/self/fd").iterdir()))
    rights = struct.pack("i", one.fileno())
    one.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])

    with pytest.raises(BadMessage):
        wire.receive(other)

    assert before == len(list(Path("/proc/self/fd").iterdir()))


def test_the_end_is_told(ends):
    """
    It is no message.
    """
    one, other = ends
    one.close()

    with pytest.raises(Ended):
        wire.receive(other)


def test_an_error_is_raised_as_its_kind():
    """
    The other side's one line, and its exit code.
    """
    with pytest.raises(Conflict, match=r"^app 'a' runs already$"):
        wire.answer(wire.failure(Conflict("app 'a' runs already")), "app")
    with pytest.raises(LbctlError, match="odd"):
        wire.answer({"error": "odd", "exit_code": "four"}, "app")
    with pytest.raises(BadMessage, match="no 'app' in the answer"):
        wire.answer({}, "app")


def test_the_largest_grant_is_a_message():
    """
    With as many ports as a message has descriptors for.
    """
    port = PortGrant("n" * 15, 1 << 31, 4095, "02:00:00:00:00:01", 65535, *[1 << 20] * 4)
    grant = Grant("a" * 63, ("203.0.113.10:65535/udp",) * 64, 2048, 64, (port,) * wire.MAX_PORTS)

    assert len(json.dumps({"app": grant.encode()})) < wire.MAX_BYTES
