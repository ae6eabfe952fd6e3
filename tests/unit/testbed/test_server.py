"""
The server at work: it uses as much of its CPU as it is asked for, and refuses nonsense.
"""

from __future__ import annotations

import asyncio

import pytest

from lbctl.testbed import server
from lbctl.testbed.load import ports
from lbctl.testbed.request import Connection, Target
from lbctl.testbed.server import Server, work


def ask(path):
    """The outcome of one request to a server on the loopback."""

    async def request():
        listener = await asyncio.start_server(Server("server7").talk, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        target = Target.parse(f"http://127.0.0.1:{port}{path}")
        outcome = await Connection(target, ports(), 5.0).request(keep=False)
        listener.close()
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})
        return outcome

    return asyncio.run(request())


@pytest.fixture
def worked(monkeypatch):
    """How many milliseconds the server was made to work, instead of the work."""
    asked = []
    monkeypatch.setattr(server, "work", asked.append)
    return asked


def test_work_lasts_until_the_cpu_time_is_used_up():
    """
    By the clock that it is given, and no longer.
    """
    ticks = iter([10.0, 10.004, 10.019, 10.021, 10.03])

    work(20, lambda: next(ticks))

    assert [10.03] == list(ticks)


@pytest.mark.parametrize(
    ("query", "milliseconds"), [("", 0), ("?milliseconds=2.5", 2.5), ("?milliseconds=10000", 1e4)]
)
def test_a_request_for_work_is_answered_with_the_name(worked, query, milliseconds):
    """
    After the work that it asks for.
    """
    outcome = ask(f"/work{query}")

    assert ("server7", "") == (outcome.server, outcome.failure)
    assert [milliseconds] == worked


@pytest.mark.parametrize("milliseconds", ["x", "-1", "nan", "inf", "10001"])
def test_work_that_makes_no_sense_is_refused(worked, milliseconds):
    """
    Without doing any.
    """
    outcome = ask(f"/work?milliseconds={milliseconds}")

    assert "status HTTP/1.1 400 Bad Request" == outcome.failure
    assert [] == worked
