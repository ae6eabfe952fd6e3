"""The hostile: whatever a connection brings, the broker answers the others."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lbctl.control.broker import reception
from tests.unit.control.broker.rig import VOIP, Client, Rig, until

WANTS = ("app", "bind", "resume", "route", "fax", None, 3)
NAMES = st.sampled_from(["voip", "", "fax", "../..", 7, None, "v" * 70]) | st.text(max_size=9)
ADDRESSES = st.sampled_from(["192.0.2.1", "::1", "", "x", 5, None]) | st.text(max_size=9)
REQUESTS = st.fixed_dictionaries(
    {"want": st.sampled_from(WANTS)}, optional={"name": NAMES, "address": ADDRESSES}
)
ANYTHING = st.one_of(
    st.binary(min_size=1, max_size=300),
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    ).map(lambda data: json.dumps(data).encode()),
    REQUESTS.map(lambda data: json.dumps(data).encode()),
)


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """A broker that is there for all examples."""
    with pytest.MonkeyPatch.context() as patch:
        rig = Rig(tmp_path_factory.mktemp("broker") / "x.apps", patch, VOIP)
        rig.routing.resolve = lambda addresses, _: dict.fromkeys(addresses, "there is no way")
        rig.dataplane.routing = type("Table", (), {"routes": dict})()
        with rig.started():
            yield rig


def serves(rig):
    """Claim as anybody else would."""
    one = Client(rig.path)
    try:
        return until(lambda: "app" in one.claim(), "nobody is served any more")
    finally:
        one.close()


def open_files():
    """How many this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(ANYTHING, st.integers(0, 3)), min_size=1, max_size=4))
def test_any_message_is_answered_by_one_line_or_the_end(busy, messages):
    """
    With descriptors that nobody asked for, too; none of them stays open.
    """
    one = Client(busy.path)
    one.ask({"want": "app", "name": "fax"})
    before = open_files()
    with (
        Path("/dev/null").open("rb") as nothing,
        contextlib.suppress(BrokenPipeError, ConnectionError),
    ):
        for data, count in messages:
            rights = struct.pack(f"{count}i", *[nothing.fileno()] * count)
            extra = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if count else []
            one.plug.sendmsg([data], extra)
            answer, descriptors, _, _ = one.plug.recvmsg(1 << 17, 1024)
            for _, _, raw in descriptors:
                for number in struct.unpack(f"{len(raw) // 4}i", raw):
                    os.close(number)
            if not answer:
                break
            told = json.loads(answer)
            assert "\n" not in told.get("error", "")
            assert told.keys() & {"error", "app"}
    one.close()
    until(lambda: open_files() <= before, "descriptors are left")
    assert serves(busy)


@pytest.mark.parametrize("size", [(1 << 17) + 2, 200_000])
def test_too_much_is_refused(busy, size):
    """
    And is the end of that connection.
    """
    one = Client(busy.path)
    one.plug.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    one.plug.send(b" " * size)

    assert "too long" in one.hear()["error"]
    assert one.ended()
    one.close()
    assert serves(busy)


def test_deep_nesting_is_refused(busy):
    """
    It does not exhaust the stack.
    """
    one = Client(busy.path)
    one.plug.send(b"[" * 100_000)

    assert "not JSON" in one.hear()["error"]
    one.close()
    assert serves(busy)


def test_who_does_not_read_is_not_waited_for(busy):
    """
    It asks and asks, and its connection ends.
    """
    one = Client(busy.path)
    one.plug.settimeout(0.2)
    with contextlib.suppress(OSError):
        while True:
            one.plug.send(b'{"want":"app","name":"fax"}')
    assert serves(busy)
    one.close()


def test_thousands_of_connections_leave_room_for_others(busy):
    """
    One after the other they are served, or refused when there are too many at once.
    """
    many = [until(lambda: connected(busy), "nobody is accepted") for _ in range(300)]
    last = until(lambda: connected(busy), "nobody is accepted")
    assert "app" in last.claim()
    last.close()
    for one in many:
        one.close()
    assert serves(busy)


def connected(rig):
    """A connection; None while too many others wait for theirs."""
    with contextlib.suppress(BlockingIOError):
        return Client(rig.path)
    return None


def test_without_descriptors_it_waits_and_goes_on(monkeypatch):
    """
    A connection that cannot be accepted is accepted later.
    """
    monkeypatch.setattr(reception, "REST", 0.01)
    served, done = [], asyncio.Event()

    class Listener:
        def __init__(self, plug):
            self.fileno = plug.fileno

        def accept(self):
            served.append(len(served))
            enough = len(served) == 3
            if enough:
                done.set()
            raise BlockingIOError if enough else OSError(errno.EMFILE, "Too many open files")

    async def scene():
        one, other = socket.socketpair()
        with one, other:
            other.send(b"somebody is there")
            desk = reception.Reception(Listener(one), None)
            desk.open()
            await done.wait()
            await desk.close()

    asyncio.run(scene())
    assert [0, 1, 2] == served[:3]
