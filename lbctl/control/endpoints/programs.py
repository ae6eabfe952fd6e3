"""The endpoints of programs on the switch: pseudo interfaces and network applications."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from lbctl.control import answers, program_answers, program_edits, program_views
from lbctl.control.endpoints.common import Control, Who, changed
from lbctl.control.program_checks import require_users
from lbctl.model import App, InterfaceText, Model, OnExit, Pseudo, VipText

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbctl.model import Configuration

    Edit = Callable[[Configuration], Configuration]

router = APIRouter(tags=["programs"])


class PseudoChange(Model):
    """
    What to change in a pseudo interface; what is left out stays.

    `addresses` stand in the place of all that it has.  Of `remove_addresses` the lengths do not
    matter.  `mtu` null: the smallest of the attached NICs.
    """

    addresses: tuple[InterfaceText, ...] | None = None
    add_addresses: tuple[InterfaceText, ...] = ()
    remove_addresses: tuple[InterfaceText, ...] = ()
    mtu: int | None = None


class AppChange(Model):
    """
    What to change in a network application; what is left out stays.

    `vips` stand in the place of all that it has.  An empty list stands for all attached `nics`, or
    all their `queues`.
    """

    vips: tuple[VipText, ...] | None = None
    add_vips: tuple[VipText, ...] = ()
    remove_vips: tuple[VipText, ...] = ()
    nics: tuple[Annotated[str, Field(max_length=15)], ...] | None = None
    queues: tuple[int, ...] | None = None
    user: str | None = None
    on_exit: OnExit | None = None
    frames: int | None = None
    frame_size: int | None = None
    hung_after: float | None = None


def _fields(change: Model, *nullable: str) -> dict[str, Any]:
    """What *change* gives of the fields of what is changed."""
    given = change.model_fields_set
    return {
        key: value
        for key, value in change
        if not key.startswith(("add_", "remove_"))
        and (value is not None or (key in given and key in nullable))
    }


def _with_users(edit: Edit) -> Edit:
    """The same edit; it refuses users whom this machine does not know."""

    def checked(old: Configuration) -> Configuration:
        new = edit(old)
        require_users(old, new)
        return new

    return checked


@router.get("/pseudo")
def pseudo(control: Control) -> tuple[program_answers.PseudoStatus, ...]:
    """All pseudo interfaces."""
    return program_views.pseudo(control)


@router.get("/pseudo/{name}")
def one_pseudo(control: Control, name: str) -> program_answers.PseudoStatus:
    """One pseudo interface."""
    return program_views.one_pseudo(control, name)


@router.post("/pseudo")
def add_pseudo(control: Control, who: Who, new: Pseudo) -> program_answers.PseudoStatus:
    """Make a pseudo interface for programs on the switch."""
    edit = partial(program_edits.add_pseudo, pseudo=new)
    control.change(f"pseudo add {new.name}", who, edit)
    return program_views.one_pseudo(control, new.name)


@router.patch("/pseudo/{name}")
def set_pseudo(
    control: Control, who: Who, name: str, change: PseudoChange
) -> program_answers.PseudoStatus:
    """Change what the body names."""
    edit = partial(
        program_edits.set_pseudo,
        name=name,
        fields=_fields(change, "mtu"),
        add=change.add_addresses,
        remove=change.remove_addresses,
    )
    control.change(f"pseudo set {name}", who, edit)
    return program_views.one_pseudo(control, name)


@router.delete("/pseudo/{name}")
def remove_pseudo(control: Control, who: Who, name: str) -> answers.Changed:
    """Remove a pseudo interface; programs lose its addresses."""
    edit = partial(program_edits.remove_pseudo, name=name)
    return changed(control.change(f"pseudo remove {name}", who, edit))


@router.get("/apps")
def apps(control: Control) -> tuple[program_answers.AppStatus, ...]:
    """All network applications."""
    return program_views.apps(control)


@router.get("/apps/{name}")
def app(control: Control, name: str) -> program_answers.AppStatus:
    """One network application."""
    return program_views.one_app(control, name)


@router.post("/apps")
def add_app(control: Control, who: Who, new: App) -> program_answers.AppStatus:
    """Give VIPs to a network application, which need not run yet."""
    edit = _with_users(partial(program_edits.add_app, app=new))
    control.change(f"app add {new.name}", who, edit)
    return program_views.one_app(control, new.name)


@router.patch("/apps/{name}")
def set_app(control: Control, who: Who, name: str, change: AppChange) -> program_answers.AppStatus:
    """
    Change what the body names.

    But for `on_exit` and `hung_after` that takes its buffers from it, and it has to open them anew.
    """
    edit = _with_users(
        partial(
            program_edits.set_app,
            name=name,
            fields=_fields(change),
            add=change.add_vips,
            remove=change.remove_vips,
        )
    )
    control.change(f"app set {name}", who, edit)
    return program_views.one_app(control, name)


@router.delete("/apps/{name}")
def remove_app(control: Control, who: Who, name: str) -> answers.Changed:
    """Take the VIPs from a network application, and forget it."""
    edit = partial(program_edits.remove_app, name=name)
    return changed(control.change(f"app remove {name}", who, edit))
