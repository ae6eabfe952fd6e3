"""
The push: send the sealed statement to switches by UDP, again and again.

Nobody answers and nothing is sent twice: a lost datagram is made good by the next.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from typing import TYPE_CHECKING, NamedTuple

from lbctl.agent.wire import new_nonce

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbctl.agent.addresses import Address
    from lbctl.agent.teller import Teller

REMEMBER = 60.0  # seconds that the address of a name is believed

log = logging.getLogger(__name__)


class Target(NamedTuple):
    """A switch's address as the system has it, and until when to believe that."""

    family: int
    address: tuple[str, int]
    until: float


class Pusher:
    """One switch that is told."""

    def __init__(
        self,
        to: Address,
        teller: Teller,
        key: bytes,
        name: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._to = to
        self._teller = teller
        self._key = key
        self._name = name
        self._clock = clock
        self._target: Target | None = None
        self._complaint = ""

    async def run(self, interval: float) -> None:
        """Tell it every *interval* seconds, for ever."""
        while True:
            await self.push()
            await asyncio.sleep(interval)

    async def push(self) -> None:
        """Send one statement; what does not work is logged once."""
        try:
            target = await self._resolved()
            data = self._teller.statement(self._key, new_nonce(), self._name)
            with socket.socket(target.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as out:
                out.sendto(data, target.address)
            self._teller.told["push"] += 1
            self._complaint = ""
        except OSError as err:
            self._target = None
            self._complain(f"{self._to}: cannot push: {err.strerror or err}")
        except Exception:  # a bug; the agent must go on answering
            if not self._complaint:
                log.exception("%s: cannot push", self._to)
            self._complaint = "bug"

    def _complain(self, why: str) -> None:
        if why != self._complaint:
            log.warning("%s", why)
        self._complaint = why

    async def _resolved(self) -> Target:
        """Look a name up now and then; a numeric address costs nothing."""
        if self._target is None or self._clock() > self._target.until:
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(self._to.host, self._to.port, type=socket.SOCK_DGRAM)
            family, *_, address = found[0]
            self._target = Target(family, address, self._clock() + REMEMBER)  # type: ignore[arg-type]
        return self._target
