"""
The answer: send what is captured as long as somebody reads it, and then put everything back.

It ends when the reader hangs up, when it is asked to, when there is enough, or with the daemon.
The loop only waits and sends: the packets are read in another thread.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from starlette.responses import Response

from lbctl.control.capturing.session import GLANCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from lbctl.control.capturing.session import Capturing, Session
    from lbctl.control.capturing.wanted import Wanted

NUMBER = "x-lbctl-capture"  # the header that says which capture this is
GATHER = 0.02  # seconds in which packets gather: many at once cost less
PATIENCE = 2.0  # seconds for a reader that does not read, once the capture is over


class CaptureAnswer(Response):
    """An answer without an end of its own."""

    def __init__(
        self, capturing: Capturing, wanted: Wanted, who: str, leaving: Callable[[], bool]
    ) -> None:
        super().__init__()
        self._capturing, self._wanted, self._who = capturing, wanted, who
        self._leaving = leaving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Start the capture, which may be refused; stream it; end it."""
        del scope
        session = await asyncio.to_thread(self._capturing.begin, self._wanted, self._who)
        gone = asyncio.create_task(_hung_up(receive))
        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": 200,
                    "headers": [
                        (b"content-type", session.media.encode()),
                        (NUMBER.encode(), str(session.number).encode()),
                    ],
                }
            )
            await self._stream(session, send, gone)
        finally:
            lost = gone.done()
            gone.cancel()
            last = await asyncio.shield(asyncio.to_thread(self._capturing.end, session))
        if not lost:
            with suppress(TimeoutError):
                await asyncio.wait_for(send(_body(last, more=False)), PATIENCE)

    async def _stream(self, session: Session, send: Send, gone: asyncio.Task[None]) -> None:
        """Send packets until it is over, then what the ring still has."""
        pump = asyncio.create_task(_pump(session, send))
        try:
            while not (gone.done() or pump.done() or session.over()):
                if self._leaving():
                    session.reason = "lbctld is stopping"
                await asyncio.wait(
                    {gone, pump}, timeout=GLANCE, return_when=asyncio.FIRST_COMPLETED
                )
            await asyncio.to_thread(session.stop)
            if gone.done():
                session.reason = session.reason or "its reader hung up"
            else:
                await asyncio.wait(
                    {gone, pump}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED
                )
        finally:
            pump.cancel()
            await asyncio.wait({pump})
        if not pump.cancelled():
            pump.result()  # a mistake of ours should be seen


async def _pump(session: Session, send: Send) -> None:
    """Send packets, until all are sent that there can be."""
    await send(_body(session.head()))
    while not session.full:
        stopped = session.stopped  # before the look, or what came between would be lost
        data = await asyncio.to_thread(session.read)
        if data:
            await send(_body(data))
        if stopped and not data:
            return
        if not data:
            await _readable(session.descriptor, GLANCE)
        elif not (stopped or session.behind):
            await asyncio.sleep(GATHER)


async def _readable(descriptor: int, seconds: float) -> None:
    """Wait until there is something to read, but not for long."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        with suppress(TimeoutError):
            await asyncio.wait_for(ready.wait(), seconds)
    finally:
        loop.remove_reader(descriptor)


async def _hung_up(receive: Receive) -> None:
    """Wait until the reader has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _body(data: bytes, *, more: bool = True) -> dict[str, object]:
    return {"type": "http.response.body", "body": data, "more_body": more}
