"""The endpoints of the switch as a whole: status, NICs, the configuration and its history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query
from pydantic import Discriminator, Field, Tag

from lbctl.control import answers, views
from lbctl.control.endpoints.common import Control, Force, Forced, Who, changed
from lbctl.control.program_checks import require_users
from lbctl.control.validation import ONE, SEVERAL
from lbctl.errors import NotFound
from lbctl.model import Configuration, Model, Nic

if TYPE_CHECKING:
    from lbctl.control.controller import Controller

router = APIRouter(tags=["switch"])


class ApplyOptions(Force):
    """How to apply a configuration."""

    dry_run: bool = False


class NewNics(Model):
    """NICs to attach together."""

    nics: tuple[Nic, ...] = Field(min_length=1)


class Names(Model):
    """Which NICs."""

    name: list[str] = Field(min_length=1)


def _form(body: object) -> str:
    return SEVERAL if isinstance(body, dict) and "nics" in body else ONE


OneOrSeveral = Annotated[
    Annotated[Nic, Tag(ONE)] | Annotated[NewNics, Tag(SEVERAL)], Discriminator(_form)
]


@router.get("/status")
def status(control: Control) -> answers.Status:
    """The switch at a glance, and what is wrong with it."""
    return views.status(control)


@router.get("/nics")
def nics(control: Control) -> tuple[answers.NicStatus, ...]:
    """The NICs of the switch."""
    return views.nics(control)


@router.post("/nics")
def attach(
    control: Control, who: Who, new: OneOrSeveral
) -> answers.NicStatus | tuple[answers.NicStatus, ...]:
    """Give a NIC a switching processor; or several at once, all of them or none."""
    if isinstance(new, Nic):
        return _attached(control, who, (new,))[0]
    return _attached(control, who, new.nics)


def _attached(
    control: Controller, who: str, nics: tuple[Nic, ...]
) -> tuple[answers.NicStatus, ...]:
    control.attach(nics, who)
    found = {nic.name: nic for nic in views.nics(control)}
    for nic in nics:
        if nic.name not in found:
            raise NotFound(f"NIC {nic.name!r} was detached meanwhile; see `lbctl generations`")
    return tuple(found[nic.name] for nic in nics)


@router.delete("/nics")
def detach_several(
    control: Control, who: Who, chosen: Annotated[Names, Query()]
) -> answers.Changed:
    """Take the switching processors from several NICs at once: from all of them or none."""
    return changed(control.detach(chosen.name, who))


@router.delete("/nics/{name}")
def detach(control: Control, who: Who, name: str) -> answers.Changed:
    """Take the switching processor from a NIC."""
    return changed(control.detach([name], who))


@router.get("/configuration")
def configuration(control: Control) -> Configuration:
    """Everything that is wanted of the switch."""
    return control.configuration


@router.post("/configuration")
def apply(
    control: Control, who: Who, wanted: Configuration, options: Annotated[ApplyOptions, Query()]
) -> answers.Changed:
    """Make the switch do what the body says: all of it or nothing."""
    if not options.force:
        require_users(control.configuration, wanted)
    if options.dry_run:
        return changed(control.diff(wanted))
    return changed(control.apply(wanted, who, force=options.force))


@router.post("/configuration/diff")
def diff(control: Control, wanted: Configuration) -> answers.Changes:
    """What would change if the body were applied."""
    require_users(control.configuration, wanted)
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
