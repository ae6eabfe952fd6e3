"""The endpoints of captures: packets as they come and leave, streamed, and how to end that."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import Field

from lbctl.control.capturing import pcapng
from lbctl.control.capturing.answer import CaptureAnswer
from lbctl.control.capturing.forms import Lines
from lbctl.control.capturing.wanted import Wanted  # noqa: TC001 - FastAPI reads it
from lbctl.control.endpoints.common import Control, Who  # noqa: TC001 - the same
from lbctl.control.journal import iso
from lbctl.errors import LbctlError
from lbctl.model import Model

router = APIRouter(tags=["traffic"])

GLANCE, PATIENCE = 0.05, 5.0  # seconds: between two looks whether a capture has ended, and at most
STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The packets, as long as the connection is held.",
        "content": {
            pcapng.MEDIA: {"schema": {"type": "string", "format": "binary"}},
            Lines.media: {"schema": {"type": "object"}},
        },
    }
}


class Which(Model):
    """Which capture: the one of that number, or whichever runs."""

    number: int | None = Field(default=None, ge=1)


class Ended(Model):
    """A capture that has ended."""

    number: int
    who: str
    since: str
    captured: int
    missed: int


@router.get("/capture", response_class=Response, responses=STREAM)
async def capture(control: Control, who: Who, wanted: Annotated[Wanted, Query()]) -> Response:
    """Capture packets until the connection is closed, or enough are captured; one at a time."""
    return CaptureAnswer(control.capturing, wanted, who, lambda: control.leaving)


@router.delete("/capture")
async def stop(control: Control, who: Who, which: Annotated[Which, Query()]) -> Ended:
    """End the capture that runs; whoever reads it gets what is there."""
    session = control.capturing.stop(who, which.number)
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while control.capturing.current is session:
        if asyncio.get_running_loop().time() > deadline:
            raise LbctlError("the capture does not end; look at `journalctl -u lbctld`")
        await asyncio.sleep(GLANCE)
    return Ended(
        number=session.number,
        who=session.who,
        since=iso(session.since),
        captured=session.captured,
        missed=session.missed,
    )
