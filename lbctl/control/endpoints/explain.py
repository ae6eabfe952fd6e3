"""The endpoints of explaining: what the switch would do with a packet, and why."""

from __future__ import annotations

import base64
from typing import Annotated

from fastapi import APIRouter
from pydantic import BeforeValidator, Discriminator, Field, Tag

from lbctl.control.endpoints.common import Control  # noqa: TC001 - FastAPI reads annotations
from lbctl.control.explaining.answer import Explanation  # noqa: TC001 - the same
from lbctl.control.explaining.explanation import explain, explain_frames
from lbctl.control.explaining.questions import IcmpError, Protocol, read_question
from lbctl.control.validation import ONE, SEVERAL
from lbctl.errors import UsageError
from lbctl.model import Model

router = APIRouter(tags=["explain"])

MOST = 1000  # frames in one request


def _bytes(value: object) -> object:
    """Read base64, and nothing that is not."""
    try:
        return base64.b64decode(value, validate=True) if isinstance(value, str) else value
    except ValueError as err:
        raise ValueError(f"is not base64: {err}") from None


FrameText = Annotated[bytes, BeforeValidator(_bytes)]


class Where(Model):
    """By which NIC it comes in, null: by which it would; and by which queue of that."""

    in_nic: str | None = None
    queue: int = Field(default=0, ge=0, le=0xFFFF)


class Words(Where):
    """
    A packet in words.

    `flags`: of TCP, as `SYN,ACK`; null: ACK of a connection that there is, else SYN.  `length`: of
    the IP packet; null: its headers alone.  `icmp`: an ICMP error about its connection instead.
    """

    protocol: Protocol
    source: str
    destination: str
    flags: str | None = None
    length: int | None = None
    ttl: int = Field(default=64, ge=1, le=255)
    icmp: IcmpError | None = None


class Replaced(Where):
    """How frames come in; `to_nic`: for the NIC's MAC, whatever MAC they were for."""

    to_nic: bool = False


class Frame(Replaced):
    """A whole Ethernet frame, in base64."""

    frame: FrameText


class Frames(Replaced):
    """Several of them; each is explained by itself."""

    frames: tuple[FrameText, ...] = Field(max_length=MOST)


def _form(body: object) -> str:
    return SEVERAL if isinstance(body, dict) and "frame" in body else ONE


Asked = Annotated[Annotated[Words, Tag(ONE)] | Annotated[Frame, Tag(SEVERAL)], Discriminator(_form)]


@router.post("/explain")
def explain_packet(control: Control, asked: Asked) -> Explanation:
    """What the switch would do with a packet now, stage by stage; nothing is changed by it."""
    if isinstance(asked, Words):
        question = read_question(
            asked.protocol,
            asked.source,
            asked.destination,
            flags=asked.flags,
            length=asked.length,
            ttl=asked.ttl,
            error=asked.icmp,
        )
        return explain(control, question, asked.in_nic, queue=asked.queue)
    told = explain_frames(
        control, [asked.frame], asked.in_nic, queue=asked.queue, to_nic=asked.to_nic
    )[0]
    if not told.verdict:
        raise UsageError(told.note)
    return told


@router.post("/explain/frames")
def explain_several(control: Control, asked: Frames) -> list[Explanation]:
    """The same for several frames, in their order; each against the tables as they are now."""
    return explain_frames(
        control, asked.frames, asked.in_nic, queue=asked.queue, to_nic=asked.to_nic
    )
