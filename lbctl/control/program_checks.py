"""
The program checks: refuse pseudo interfaces and network applications that cannot be.

What a configuration alone shows is refused by `check`, of any configuration; what only this
machine knows by `require_users`, of what is new: users come and go without asking lbctld.
"""

from __future__ import annotations

import pwd
from typing import TYPE_CHECKING

from lbctl.errors import LbctlError
from lbctl.pseudo.device import inner_name
from lbctl.shared import abi

if TYPE_CHECKING:
    from lbctl.model import Configuration

PSEUDO_MAX = abi.NICS_MAX - abi.PSEUDO_FIRST


def ends(configuration: Configuration) -> dict[str, str]:
    """Both ends of all pseudo interfaces: the name of each, and of its pseudo interface."""
    names = [pseudo.name for pseudo in configuration.pseudo]
    return {end: name for name in names for end in (name, inner_name(name))}


def check(configuration: Configuration) -> None:
    """Refuse what each value allows but the switch cannot do.  Raises LbctlError."""
    if len(configuration.pseudo) > PSEUDO_MAX:
        raise LbctlError(
            f"pseudo interfaces: at most {PSEUDO_MAX}; one of them can have several addresses"
        )
    _check_ends(configuration)
    attached = {nic.name for nic in configuration.nics}
    for app in configuration.apps:
        for name in app.nics:
            if name not in attached:
                raise LbctlError(
                    f"app {app.name!r}: NIC {name!r} is not attached; run `lbctl attach {name}` "
                    f"first"
                )


def require_users(old: Configuration, new: Configuration) -> None:
    """Refuse a user who is new in *new* and whom this machine does not know."""
    known = {app.user for app in old.apps}
    for app in new.apps:
        if app.user not in known and not is_user(app.user):
            raise LbctlError(
                f"app {app.name!r}: there is no user {app.user!r} here; "
                f"see `getent passwd`, or give the number"
            )


def is_user(name: str) -> bool:
    """Whether this machine has that user; a number may be anybody's."""
    if name.isascii() and name.isdecimal():
        return True
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _check_ends(configuration: Configuration) -> None:
    """Refuse a name that the switch's own end of a pseudo interface has."""
    others = {nic.name: f"NIC {nic.name!r}" for nic in configuration.nics}
    others |= {p.name: f"pseudo interface {p.name!r}" for p in configuration.pseudo}
    for pseudo in configuration.pseudo:
        if other := others.get(inner_name(pseudo.name)):
            raise LbctlError(
                f"{other} has the name of an end of pseudo interface {pseudo.name!r}; "
                f"give the pseudo interface another name"
            )
