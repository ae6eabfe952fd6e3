"""
The target: one back-end to be checked, and what a kind of check can say of it.

What the kinds and those who ask them have in common; it does no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from lbctl.model import AnyCheck, IPAddress, SocketAddress, Vip


class Target(NamedTuple):
    """
    One back-end, and how it is checked.

    With *vip* the check goes to the VIP; *mark* is then the mark of packets that the kernel sends
    to this very server, 0 while there is none.  See `lbctl.control.health.dsr`.
    """

    pool: str
    address: SocketAddress
    check: AnyCheck
    vip: Vip | None = None
    mark: int = 0

    @property
    def host(self) -> IPAddress:
        """The address that packets of the check are sent to."""
        return self.vip.address if self.vip else self.address.address

    @property
    def port(self) -> int:
        """The port that packets of the check are sent to."""
        return self.check.port or self.address.port

    @property
    def authority(self) -> str:
        """Host and port as they stand in a URL."""
        return str(self.address._replace(address=self.host, port=self.port))


class Outcome(NamedTuple):
    """
    What one check found.

    *reason* is one short phrase: "connection refused", "200 in 3 ms".  An outcome that is not
    *conclusive* says nothing of the server: this switch could not ask.
    """

    ok: bool
    reason: str
    seconds: float
    conclusive: bool = True


class CheckFailed(Exception):
    """The server is not well; the message is the reason."""


class CannotCheck(Exception):
    """It could not even be asked, whatever the server is like; the message is the reason."""


class Progress:
    """
    How far a check has come: what to say if its time is up now.

    *missing* is what has not come yet: "no answer".  *silence_is_well*: that nothing came is what
    was hoped for.
    """

    __slots__ = ("missing", "silence_is_well")

    def __init__(self) -> None:
        self.missing = "no answer"
        self.silence_is_well = False
