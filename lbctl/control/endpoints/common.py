"""What the endpoints share: who asks, of which controller, and how addresses are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Header, Query, Request

from lbctl.control import answers
from lbctl.control.controller import Controller
from lbctl.errors import UsageError
from lbctl.model import Model, SocketAddress, Vip

if TYPE_CHECKING:
    from lbctl.control.transition import Change

WHO = 64  # characters of a name that are kept


# The dependencies are coroutines: plain functions would each cost a change of threads.
async def _controller(request: Request) -> Controller:
    controller: Controller = request.app.state.controller
    return controller


async def _who(x_lbctl_who: Annotated[str, Header()] = "unknown") -> str:
    return "".join(c for c in x_lbctl_who[:WHO] if c.isprintable()) or "unknown"


class Force(Model):
    """Whether to go ahead without proof that new back-ends can be reached."""

    force: bool = False


Control = Annotated[Controller, Depends(_controller)]
Who = Annotated[str, Depends(_who)]
Forced = Annotated[Force, Query()]


def vip_of(text: str) -> Vip:
    """A VIP of a path.  Raises UsageError."""
    try:
        return Vip.parse(text)
    except ValueError as err:
        raise UsageError(f"vip: {err}") from err


def address_of(text: str, what: str = "back-end") -> SocketAddress:
    """The address of *what* in a path or query.  Raises UsageError."""
    try:
        return SocketAddress.parse(text)
    except ValueError as err:
        raise UsageError(f"{what}: {err}") from err


def changed(change: Change) -> answers.Changed:
    """What a request led to."""
    return answers.Changed(generation=change.generation, changes=change.changes)
