"""
The errors: what failed, which one, and the next thing to type.

    LbctlError                     1  it failed, nothing was changed
    ├── UsageError                 2  the words are wrong
    ├── NotFound                   3  no such thing
    ├── Conflict                   4  it exists already or is in use
    ├── DaemonUnreachable          5  nobody answers on the socket
    └── NotPermitted               6  only root or the group lbctl may

The number is the exit status of the command line.  A message is one line: the object first,
both values of a mismatch, and at the end what to do.
"""

from __future__ import annotations


class LbctlError(Exception):
    """Base of all errors that a user can cause or mend; anything else is a bug."""

    exit_code = 1


class UsageError(LbctlError):
    """A value that cannot be right whatever the state of the switch."""

    exit_code = 2


class NotFound(LbctlError):
    """The named pool, back-end, VIP, NIC or generation does not exist."""

    exit_code = 3


class Conflict(LbctlError):
    """It exists already, or somebody else uses it."""

    exit_code = 4


class DaemonUnreachable(LbctlError):
    """No daemon answers on the socket."""

    exit_code = 5


class NotPermitted(LbctlError):
    """The user may not do this."""

    exit_code = 6


BY_EXIT_CODE: dict[int, type[LbctlError]] = {
    error.exit_code: error
    for error in (LbctlError, UsageError, NotFound, Conflict, DaemonUnreachable, NotPermitted)
}
