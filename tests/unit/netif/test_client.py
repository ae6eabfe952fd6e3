"""The client: what lbctld says is heard, what it does not say is survived."""

from __future__ import annotations

import os
import socket
import threading

import pytest

from lbctl.errors import DaemonUnreachable, NotFound
from lbctl.netif import client, wire
from lbctl.netif.client import Session
from lbctl.netif.wire import Route

ROUTE = Route("eth0", "02:00:00:00:00:09", "02:00:00:00:00:01", 1500)


@pytest.fixture
def broker(tmp_path):
    """A socket that listens where lbctld would."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as plug:
        plug.settimeout(20)
        plug.bind(str(tmp_path / "x.apps"))
        plug.listen()
        yield plug


@pytest.fixture
def session(tmp_path, monkeypatch):
    """A session that tries again at once, with two descriptors to show."""
    monkeypatch.setattr(client, "_AGAIN", 0)
    made = Session(tmp_path / "x.apps", "voip")
    made.keep(os.dup(1), os.dup(1), [])
    yield made
    made.close()


def accept(broker):
    """The next connection, which waits as the listener does."""
    plug = broker.accept()[0]
    plug.settimeout(20)
    return plug


def hear(plug):
    """One message; its descriptors are counted and closed."""
    message, descriptors = wire.receive(plug)
    wire.close(descriptors)
    return message, len(descriptors)


RESUME = ({"want": "resume", "name": "voip"}, 2)


def test_it_connects_again_and_asks_to_be_resumed(broker, session):
    """
    With all its descriptors; again when the connection ends, and not before.
    """
    session.step(evicted=False)
    with accept(broker) as plug:
        assert RESUME == hear(plug)
        wire.send(plug, {"resumed": True})
        session.step(evicted=False)
        session.step(evicted=False)
        plug.setblocking(False)  # noqa: FBT003 - its only argument
        with pytest.raises(BlockingIOError):
            wire.receive(plug)
    session.step(evicted=False)
    with accept(broker) as plug:
        assert RESUME == hear(plug)


def test_evicted_it_asks_once_until_it_is_answered(broker, session):
    """
    A refusal for now is no end: it asks again.
    """
    session.step(evicted=False)
    with accept(broker) as plug:
        assert RESUME == hear(plug)
        session.step(evicted=True)
        wire.send(plug, {"error": "not yet", "exit_code": 4})
        session.step(evicted=True)
        session.step(evicted=True)
        assert RESUME == hear(plug)
        plug.setblocking(False)  # noqa: FBT003 - its only argument
        with pytest.raises(BlockingIOError):
            wire.receive(plug)


def test_an_application_that_is_no_more_is_told(broker, session):
    """
    Lbctld will not change its mind about that.
    """
    session.step(evicted=False)
    with accept(broker) as plug:
        hear(plug)
        wire.send(plug, {"error": "app 'voip' was removed", "exit_code": 3})

        with pytest.raises(NotFound, match="app 'voip' was removed"):
            session.step(evicted=True)


def test_nobody_there_is_no_matter(tmp_path):
    """
    Packets flow without lbctld; only who asks something is told.
    """
    alone = Session(tmp_path / "none.apps", "voip")
    alone.step(evicted=False)

    with pytest.raises(DaemonUnreachable, match=r"none\.apps: no lbctld listens there"):
        alone.route("203.0.113.1")


def test_a_route_is_asked_for(broker, session):
    """
    An answer that is overdue comes first.
    """
    session.step(evicted=False)

    def serve():
        with accept(broker) as plug:
            hear(plug)
            wire.send(plug, {"resumed": True})
            asked.append(hear(plug))
            wire.send(plug, {"route": ROUTE.encode()})

    asked = []
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        assert ROUTE == session.route("203.0.113.1")
    finally:
        thread.join()
    assert [({"want": "route", "address": "203.0.113.1"}, 0)] == asked


def test_where_lbctld_listens(monkeypatch):
    """
    By the name of the switch.
    """
    monkeypatch.delenv("LBCTL_NAME", raising=False)
    assert "/run/lbctl/default.apps" == str(client.default_path())
    monkeypatch.setenv("LBCTL_NAME", "two")
    assert "/run/lbctl/two.apps" == str(client.default_path())
