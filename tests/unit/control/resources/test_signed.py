"""lbctl's own agents: only the sealed answer to this very question counts."""

from __future__ import annotations

import asyncio
import json
import os
import time

import pytest

from lbctl.agent import wire
from tests.unit.control.resources.servers import (
    KEY,
    REPORT,
    Watched,
    agent,
    answering,
    http,
    key_file,
    local,
    never,
    nonce_of,
    request,
    sealed,
    serving,
)


def forged(name, nonce, report):
    """Seal a report that our own agents would not make."""
    fields = {"agent": str(name), "time": time.time(), "nonce": nonce, "report": report}
    body = json.dumps(fields).encode()
    return wire.sign(KEY.encode(), body).encode() + b"\n" + body


def state_after(key, condition, answer):
    """
    Follow one agent until *condition*(state); *answer*(address, nonce) makes the body.

    Returns the state and the events.
    """

    async def run():
        manager = Watched()
        async with (
            serving(handle) as address,
            manager.running(agent(address, key_file=key)),
        ):
            await manager.until(lambda: condition(manager.only))
            return manager.only, manager.events

    async def handle(reader, writer):
        address = local(writer.get_extra_info("sockname")[1])
        await answering(lambda path: http(answer(address, nonce_of(path))))(reader, writer)

    return asyncio.run(run())


def test_a_sealed_answer_counts(tmp_path):
    """
    With the report that was sealed, and no problem.
    """
    state, events = state_after(key_file(tmp_path), lambda state: state.answers > 2, sealed)

    assert (REPORT, None) == (state.reading.report, state.problem)
    assert (0, 0, []) == (state.failures, state.refused, events)


def test_each_question_has_its_nonce(tmp_path):
    """
    Also with a path of the agent's own that has a query already.
    """
    asked = []

    def answer(path):
        asked.append(path)
        return http()

    async def run():
        manager = Watched()
        async with serving(answering(answer)) as address:
            one = agent(address, key_file=key_file(tmp_path), path="/x?y=1")
            async with manager.running(one):
                await manager.until(lambda: manager.only.refused > 2)

    asyncio.run(run())

    assert all(path.startswith("/x?y=1&nonce=") for path in asked)
    assert len(asked) == len({nonce_of(path) for path in asked})


BAD = {
    "wrong key": (lambda a, n: sealed(a, n, key="another key, as long"), "signature"),
    "wrong nonce": (lambda a, _: sealed(a, "0" * 32), "another nonce"),
    "wrong name": (lambda _, n: sealed("192.0.2.1:80", n), "by '192.0.2.1:80', not by 127.0.0.1"),
    "not a number": (lambda a, n: forged(a, n, {"cpu": float("nan")}), "not JSON"),
    "infinite": (lambda a, n: forged(a, n, {"cpu": float("inf")}), "not JSON"),
    "negative": (lambda a, n: forged(a, n, {"clients": -1}), "clients is not a whole number"),
    "huge": (lambda a, n: forged(a, n, {"clients": 10**4000}), "clients is not a whole number"),
    "no report": (lambda a, n: forged(a, n, None), "not a JSON object"),
    "too big": (lambda _a, _n: b"x" * (wire.MAX_BYTES + 1), "more than 16384 bytes"),
    "empty": (lambda _a, _n: b"", "not a signature"),
}


@pytest.mark.parametrize(("answer", "reason"), BAD.values(), ids=BAD)
def test_anything_else_is_refused(tmp_path, answer, reason):
    """
    It is counted each time, told once, in one line, and nothing of it counts.
    """
    state, events = state_after(key_file(tmp_path), lambda state: state.refused > 2, answer)

    assert (None, 0) == (state.reading, state.answers)
    assert reason in state.problem
    assert "\n" not in state.problem
    assert [("refused", state.problem)] == [(event.kind, event.text) for event in events]


def test_a_replayed_statement_is_refused(tmp_path):
    """
    A true answer to an earlier question does not answer this one; the earlier report stays.
    """
    first = []

    def answer(address, nonce):
        first[:] = first or [sealed(address, nonce)]
        return first[0]

    state, _ = state_after(key_file(tmp_path), lambda state: state.refused, answer)

    assert (REPORT, 1) == (state.reading.report, state.answers)
    assert "another nonce" in state.problem


@pytest.mark.parametrize(
    ("mode", "text", "reason"),
    [(0o644, KEY, "chmod 600"), (0o600, "short", "16"), (None, "", "no such key")],
)
def test_without_a_good_key_nobody_is_asked(tmp_path, mode, text, reason):
    """
    The state says what is wrong with the file.
    """
    path = tmp_path / "key"
    if mode:
        key_file(tmp_path, text)
        path.chmod(mode)
    asked = []

    state, _ = state_after(
        str(path), lambda state: state.failures > 1, lambda *_: asked.append(1) or b""
    )

    assert [] == asked
    assert reason in state.problem


def test_a_changed_key_is_read_anew(tmp_path):
    """
    The agent has a new key first, and the switch a moment later.
    """
    new = "a new key, just as long"
    path = key_file(tmp_path)

    def condition(state):
        if state.refused == 1:
            key_file(tmp_path, new, "new")
            os.replace(tmp_path / "new", path)  # noqa: PTH105 - as an administrator would
        return state.answers

    state, _ = state_after(path, condition, lambda a, n: sealed(a, n, key=new))

    assert REPORT == state.reading.report


async def dripping(reader, writer):
    """Answer a byte at a time, slowly, for ever."""
    await request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("handle", [never, dripping])
def test_an_answer_that_never_ends_ends_at_the_timeout(tmp_path, handle):
    """
    Whether nothing comes or a byte now and then; it is asked again afterwards.
    """

    async def run():
        manager = Watched()
        async with serving(handle) as address:
            slow = agent(address, key_file=key_file(tmp_path), timeout=0.05)
            async with manager.running(slow):
                await manager.until(lambda: manager.only.failures > 1)
                return manager.only

    state = asyncio.run(run())

    assert ("no answer within 0.05 s", 0) == (state.problem, state.answers)
