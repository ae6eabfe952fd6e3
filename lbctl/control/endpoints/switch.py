"""The endpoints of the switch as a whole: status, NICs, the configuration and its history."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from lbctl.control import answers, views
from lbctl.control.endpoints.common import Control, Force, Forced, Who, changed
from lbctl.errors import NotFound
from lbctl.model import Configuration, Nic  # noqa: TC001 - FastAPI reads annotations

router = APIRouter(tags=["switch"])


class ApplyOptions(Force):
    """How to apply a configuration."""

    dry_run: bool = False


@router.get("/status")
def status(control: Control) -> answers.Status:
    """The switch at a glance, and what is wrong with it."""
    return views.status(control)


@router.get("/nics")
def nics(control: Control) -> tuple[answers.NicStatus, ...]:
    """The NICs of the switch."""
    return views.nics(control)


@router.post("/nics")
def attach(control: Control, who: Who, nic: Nic) -> answers.NicStatus:
    """Give a NIC a switching processor."""
    control.attach(nic, who)
    for found in views.nics(control):
        if found.name == nic.name:
            return found
    raise NotFound(f"NIC {nic.name!r} was detached meanwhile; see `lbctl generations`")


@router.delete("/nics/{name}")
def detach(control: Control, who: Who, name: str) -> answers.Changed:
    """Take the switching processor from a NIC."""
    return changed(control.detach(name, who))


@router.get("/configuration")
def configuration(control: Control) -> Configuration:
    """Everything that is wanted of the switch."""
    return control.configuration


@router.post("/configuration")
def apply(
    control: Control, who: Who, wanted: Configuration, options: Annotated[ApplyOptions, Query()]
) -> answers.Changed:
    """Make the switch do what the body says: all of it or nothing."""
    if options.dry_run:
        return changed(control.diff(wanted))
    return changed(control.apply(wanted, who, force=options.force))


@router.post("/configuration/diff")
def diff(control: Control, wanted: Configuration) -> answers.Changes:
    """What would change if the body were applied."""
    return answers.Changes(changes=control.diff(wanted).changes)


@router.get("/generations")
def generations(control: Control) -> list[answers.GenerationStatus]:
    """The history, newest first."""
    return views.generations(control)


@router.get("/generations/{number}")
def generation(control: Control, number: int) -> answers.GenerationContent:
    """One generation and all it held."""
    return views.generation(control, number)


@router.post("/generations/{number}/rollback")
def rollback(control: Control, who: Who, number: int, options: Forced) -> answers.Changed:
    """Make a new generation with the content of an old one."""
    return changed(control.rollback(number, who, force=options.force))
