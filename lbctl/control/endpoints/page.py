"""The endpoint that pages need besides those of the command line: what each verdict means."""

from __future__ import annotations

from fastapi import APIRouter

from lbctl.control.views import is_drop
from lbctl.model import Model
from lbctl.shared.abi import VERDICT_NOTES

router = APIRouter(tags=["traffic"])


class VerdictNote(Model):
    """A verdict: its name, its cause and cure, and whether such packets are discarded."""

    name: str
    note: str
    is_drop: bool


VERDICTS = tuple(
    VerdictNote(name=verdict.name, note=" ".join(note.split()), is_drop=is_drop(verdict))
    for verdict, note in VERDICT_NOTES.items()
)


# A coroutine: a plain function would cost a change of threads.
@router.get("/verdicts")
async def verdicts() -> tuple[VerdictNote, ...]:
    """All that can become of a packet, and what it means."""
    return VERDICTS
