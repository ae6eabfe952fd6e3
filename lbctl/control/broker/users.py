"""The users: say who may run an application.  It may take long: not in the event loop."""

from __future__ import annotations

import pwd
from contextlib import suppress
from typing import TYPE_CHECKING

from lbctl.errors import NotPermitted

if TYPE_CHECKING:
    from collections.abc import Collection

    from lbctl.control.broker.running import Peer
    from lbctl.model import App


def permit(app: App, peer: Peer) -> None:
    """Refuse everybody but the application's user, and root."""
    if not is_user(app, peer):
        raise NotPermitted(
            f"app {app.name!r}: only {app.user} and root may run it, and you are {peer.user}; "
            f"change it with `lbctl app set {app.name} --user {peer.user}`"
        )


def permit_any(apps: Collection[App], peer: Peer) -> None:
    """Refuse whoever may run no application at all."""
    if not any(is_user(app, peer) for app in apps):
        raise NotPermitted(f"{peer.user} may run no application of this switch; ask its root")


def is_user(app: App, peer: Peer) -> bool:
    """Whether it is the application's user, or root."""
    return peer.uid == 0 or peer.uid == _uid_of(app.user)


def _uid_of(user: str) -> int | None:
    """A user's number; None: there is no such user."""
    with suppress(KeyError):
        return pwd.getpwnam(user).pw_uid
    return int(user) if user.isascii() and user.isdecimal() else None
