"""The endpoints of processors: who has which CPU, and how that is made so and undone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query, Request

from lbctl.control.endpoints.common import Control, Who  # noqa: TC001 - FastAPI reads annotations
from lbctl.control.processors.answers import Done, Planned  # noqa: TC001 - the same
from lbctl.control.processors.keeper import Processors
from lbctl.model import Model

if TYPE_CHECKING:
    from lbctl.control.controller import Controller

router = APIRouter(tags=["cpu"])


class Chosen(Model):
    """
    Which processors, and how far.

    *proposed*: those that would suit the machine, whatever is configured.  *only_own*: leave alone
    what is not the switch's.
    """

    proposed: bool = False
    only_own: bool = False


async def _processors(request: Request) -> Processors:
    processors: Processors = request.app.state.processors
    return processors


Keeper = Annotated[Processors, Depends(_processors)]


@router.get("/cpu")
def plan(control: Control, keeper: Keeper, chosen: Annotated[Chosen, Query()]) -> Planned:
    """Who has which CPU, and what would change; changes nothing."""
    return keeper.plan(
        control.configuration,
        _attached(control),
        proposed=chosen.proposed,
        only_own=chosen.only_own,
    )


@router.post("/cpu/apply")
def apply(control: Control, keeper: Keeper, who: Who, chosen: Annotated[Chosen, Query()]) -> Done:
    """Give CPUs their tasks; what does not go is told and ends nothing."""
    done = keeper.apply(
        control.configuration,
        _attached(control),
        who,
        proposed=chosen.proposed,
        only_own=chosen.only_own,
    )
    for app in control.configuration.apps:  # that run already
        if (state := control.programs.running(app.name)) and state.pid:
            keeper.admit(app.name, state.pid)
    return done


@router.post("/cpu/restore")
def restore(keeper: Keeper, who: Who) -> Done:
    """Set everything to what it was before the first `apply`."""
    return keeper.restore(who)


def _attached(control: Controller) -> list[str]:
    return [nic.name for nic in control.dataplane.attached()]
