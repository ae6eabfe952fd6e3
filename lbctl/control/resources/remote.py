"""
The remote: be the resource manager of a switch on another computer.

It fetches the agents from the switch's API, and sends what they told in one request an interval.
While the API does not answer it goes on asking the agents; what is sent afterwards has its age.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

import httpx
from pydantic import TypeAdapter, ValidationError

from lbctl.agent.wire import encode_report
from lbctl.model import Agent

if TYPE_CHECKING:
    import socket

    from lbctl.control.resource_manager import ResourceManager
    from lbctl.model import SocketAddress

API, CONFIGURATION, READINGS = "/", "/v1/agents/configuration", "/v1/agents/readings"
FETCH = 10.0  # seconds between two looks at the configuration

AGENTS = TypeAdapter(list[Agent])

log = logging.getLogger(__name__)


class Remote:
    """Keeps the switch informed while `run` runs."""

    def __init__(
        self, client: httpx.AsyncClient, manager: ResourceManager, interval: float
    ) -> None:
        self._client = client
        self._manager = manager
        self._interval = interval
        self._problem: dict[str, str] = {}  # by path, while it lasts
        self._sent: dict[SocketAddress, float] = {}  # agent -> when what was sent last had come

    async def run(self, push: socket.socket | None = None) -> None:
        """Ask the agents and tell the switch, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._manager.run(push))
            group.create_task(self._fetch_for_ever())
            group.create_task(self._send_for_ever())

    async def fetch(self) -> None:
        """Follow the agents of the switch's configuration; without an answer, those of before."""
        answer = await self._request("GET", CONFIGURATION)
        if answer is None:
            return
        try:
            agents = AGENTS.validate_json(answer.content)
        except ValidationError as err:
            first = err.errors()[0]
            self._note(CONFIGURATION, f"not a list of agents: {first['loc']}: {first['msg']}")
        else:
            self._note(CONFIGURATION, None)
            self._manager.follow(agents)

    async def send(self) -> None:
        """Send what is new since it was last sent."""
        now = time.monotonic()
        last = {s.agent.address: s.reading for s in self._manager.states() if s.reading}
        readings = [
            {
                "agent": str(address),
                "report": encode_report(reading.report),
                "age_seconds": max(0.0, now - reading.at),
            }
            for address, reading in last.items()
            if reading.at > self._sent.get(address, 0)
        ]
        if readings and await self._request("POST", READINGS, {"readings": readings}):
            self._note(READINGS, None)
            self._sent = {address: reading.at for address, reading in last.items()}

    async def _fetch_for_ever(self) -> None:
        while True:
            await self.fetch()
            await asyncio.sleep(FETCH)

    async def _send_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + self._interval, loop.time())
            await asyncio.sleep(due - loop.time())
            await self.send()

    async def _request(self, method: str, path: str, body: Any = None) -> httpx.Response | None:  # noqa: ANN401 - JSON
        """Ask the API; None, and once a line in the log, when it does not do it."""
        try:
            answer = await self._client.request(method, path, json=body)
        except httpx.HTTPError as err:
            self._note(API, str(err) or type(err).__name__)
            return None
        self._note(API, None)
        if answer.is_success:
            return answer
        hint = "; check --token-file" if answer.status_code in (401, 403) else ""
        self._note(path, f"status {answer.status_code}{hint}")
        return None

    def _note(self, path: str, problem: str | None) -> None:
        """Log the beginning and the end of a problem."""
        where = f"{str(self._client.base_url).rstrip('/')}{path}"
        if problem and path not in self._problem:
            log.warning("%s: %s; trying on", where, problem)
        elif problem is None and path in self._problem:
            log.info("%s: answers again", where)
        if problem:
            self._problem[path] = problem
        else:
            self._problem.pop(path, None)
