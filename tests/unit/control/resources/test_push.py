"""Agents that send by themselves: what counts, and what is refused."""

from __future__ import annotations

import asyncio
import socket

import pytest

from lbctl.agent import wire
from lbctl.control.resources import push
from lbctl.model import AgentKind, SocketAddress
from tests.unit.control.resources.servers import KEY, REPORT, Watched, agent, key_file, sealed

ALICE, BOB = SocketAddress.parse("192.0.2.11:9000"), SocketAddress.parse("192.0.2.12:9000")
NONCE = "ab" * 16
HOUR = 3600
LAST = wire.LoadReport(cpu=0.99)


class Wall:
    """The time of day, as the test wants it."""

    def __init__(self):
        self.now = 1_700_000_000.0

    def __call__(self):
        """Tell it."""
        return self.now


@pytest.fixture
def wall():
    """A clock that stands still."""
    return Wall()


@pytest.fixture
def alice(tmp_path):
    """An agent that pushes."""
    return agent(ALICE, AgentKind.PUSH, key_file=key_file(tmp_path))


def statement(wall, seconds, report=REPORT, name=ALICE, key=KEY):
    """Seal what an agent says *seconds* after the receiver has started."""
    return sealed(name, NONCE, report, key, wall.now + seconds)


def pushed(wall, agents, *datagrams):
    """Send datagrams, and one of the agent BOB as the last; returns the states by address."""

    async def run():
        door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with door, sender:
            door.bind(("127.0.0.1", 0))
            bob = agent(BOB, AgentKind.PUSH, key_file=agents[0].key_file)
            manager = Watched(wall=wall)
            async with manager.running(*agents, bob, push=door):
                await asyncio.sleep(0)  # it listens from now on
                for datagram in (*datagrams, statement(wall, 1, LAST, BOB)):
                    sender.sendto(datagram, door.getsockname())
                states = {}

                def all_heard():
                    states.update({state.agent.address: state for state in manager.states()})
                    return states[BOB].answers

                await manager.until(all_heard)
                return states

    return asyncio.run(run())


def test_the_latest_counts(wall, alice):
    """
    Each statement that is later than the one before.
    """
    later = wire.LoadReport(clients=9)
    states = pushed(wall, [alice], statement(wall, 1), statement(wall, 2, later))

    assert (later, 2, 0) == (
        states[ALICE].reading.report,
        states[ALICE].answers,
        states[ALICE].refused,
    )


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda wall: statement(wall, 1, key="another key, as long"), "signature"),
        (lambda wall: statement(wall, 31), "+31 s off"),
        (lambda wall: statement(wall, -31), "-31 s off"),
        (lambda wall: statement(wall, HOUR), "off"),
        (lambda wall: statement(wall, 0), "not later"),
        (lambda wall: statement(wall, -5), "not later"),
        (lambda wall: statement(wall, 1) + b" ", "signature"),
        (lambda wall: statement(wall, 1) + b" " * wire.MAX_BYTES, "16384"),
        (lambda _wall: f'"agent":"{ALICE}"'.encode(), "not a signature"),
    ],
)
def test_what_does_not_count_is_refused(wall, alice, make, reason):
    """
    By key, by time, or because nobody sealed it.
    """
    state = pushed(wall, [alice], make(wall))[ALICE]

    assert (None, 0, 1) == (state.reading, state.answers, state.refused)
    assert reason in state.problem


def test_a_copy_is_refused(wall, alice):
    """
    The same datagram counts once, and an older one not at all.
    """
    old, new = statement(wall, 1), statement(wall, 2, wire.LoadReport(clients=9))
    state = pushed(wall, [alice], new, new, old)[ALICE]

    assert (wire.LoadReport(clients=9), 1, 2) == (
        state.reading.report,
        state.answers,
        state.refused,
    )


def test_an_agent_removed_and_added_does_not_open_the_door_to_copies(wall, alice):
    """
    What was sealed before it was added does not count.
    """
    manager = Watched(wall=wall)
    manager.follow([alice])
    wall.now += 10
    manager.follow([])
    manager.follow([alice])

    assert wall.now == manager._tellers.agents[ALICE].sealed_after


def test_others_are_not_heard(wall, alice):
    """
    Unknown agents, agents of another kind, and noise; all without a trace.
    """
    stranger = SocketAddress.parse("192.0.2.99:9000")
    pulled = agent(stranger, AgentKind.HAPROXY, interval=HOUR)
    noise = [b"", b"\xff" * 1000, b'"agent":"' + b"x" * 2000, b'"agent":"192.0.2.98:1"']
    states = pushed(wall, [alice, pulled], *noise, statement(wall, 1, name=stranger))

    assert (0, 0, 0) == states[stranger][-3:]
    assert (0, 0, 0) == states[ALICE][-3:]


def test_a_name_in_front_does_not_borrow_a_key(wall, alice):
    """
    Bob's statement, sealed with the key he shares with Alice, is not hers.
    """
    reason = wire.LoadReport(wish=wire.Wish.DOWN, reason=f'"agent":"{ALICE}"')
    body = sealed(BOB, NONCE, reason, at=wall.now + 0.5).partition(b"\n")[2]
    body = b'{"x":{"agent":"' + str(ALICE).encode() + b'"},' + body[1:]
    states = pushed(wall, [alice], wire.sign(KEY.encode(), body).encode() + b"\n" + body)

    assert (0, 0, 1) == states[ALICE][-3:]
    assert "not 192.0.2.11:9000" in states[ALICE].problem


def test_a_flood_leaves_room_for_others(wall, alice, monkeypatch):
    """
    After some datagrams there is a pause, and none is lost by it.
    """
    monkeypatch.setattr(push, "BATCH", 3)
    flood = [statement(wall, 1 + n / 100) for n in range(20)]
    state = pushed(wall, [alice], *flood)[ALICE]

    assert (20, 0) == (state.answers, state.refused)


def test_a_key_that_is_gone_is_said(wall, alice, tmp_path):
    """
    It is not the agent's fault.
    """
    other = alice.model_copy(update={"key_file": str(tmp_path / "none")})
    one = agent(SocketAddress.parse("192.0.2.13:1"), AgentKind.PUSH, key_file=alice.key_file)
    state = pushed(wall, [one, other], statement(wall, 1))[ALICE]

    assert (0, 1, 0) == state[-3:]
    assert "no such key" in state.problem
