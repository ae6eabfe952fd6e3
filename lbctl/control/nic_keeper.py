"""
The NIC keeper: see to it that every configured NIC has its switching processor.

NICs come, go and change their names while the switch works.  Whoever calls holds the controller's
lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbctl.control.supervision.announcements import Announcement
from lbctl.errors import LbctlError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbctl.control.links import Links
    from lbctl.control.pseudo_keeper import PseudoKeeper
    from lbctl.model import Configuration, Nic
    from lbctl.switching.dataplane import Dataplane

    Tell = Callable[[list[Announcement]], None]

PSEUDO = "pseudo"  # under this name stands why pseudo interfaces could not be had


class NicKeeper:
    """Attaches what is missing; *refusals* says why a configured NIC could not be attached."""

    def __init__(
        self, dataplane: Dataplane, links: Links, pseudo: PseudoKeeper, tell: Tell
    ) -> None:
        self._dataplane, self.links, self.pseudo, self._tell = dataplane, links, pseudo, tell
        self.refusals: dict[str, str] = {}

    def start(self, configuration: Configuration) -> None:
        """Attach what is configured, and nothing else; a NIC that cannot be had is a warning."""
        for nic in configuration.nics:
            self.attach_or_warn(nic, configuration)
        self._detach_strangers(configuration)
        self._have_pseudo(configuration)
        self.pseudo.trim(configuration)

    def follow(self, name: str, configuration: Configuration) -> None:
        """Deal with a change of the NIC *name*."""
        for vanished in self._dataplane.refresh_nics():
            self._tell([Announcement("nic", vanished, "vanished")])
        for nic in configuration.nics:
            if nic.name == name and self.is_missing(name, configuration):
                self.attach_or_warn(nic, configuration)
        self._have_pseudo(configuration)

    def concerns(self, name: str, configuration: Configuration) -> bool:
        """Whether a change of the NIC *name* is any of our business."""
        attached = self._dataplane.attached()
        ours = {nic.name for nic in configuration.nics} | {nic.name for nic in attached}
        renamed = self.links.index(name) in {nic.ifindex for nic in attached}
        return name in ours or renamed or self.pseudo.concerns(name, configuration)

    def is_missing(self, name: str, configuration: Configuration) -> bool:
        """Whether a NIC is configured and exists, but has no switching processor."""
        index = self.links.index(name)
        wanted = any(nic.name == name for nic in configuration.nics)
        if not wanted or index is None:
            return False
        found = self._dataplane.attached()
        return not any((nic.name, nic.ifindex) == (name, index) for nic in found)

    def attach_or_warn(self, nic: Nic, configuration: Configuration) -> None:
        """Attach *nic*; when that fails, an event and `refusals` say why."""
        missing = self.is_missing(nic.name, configuration)
        try:
            self.attach(nic)
            if missing:
                self._tell([Announcement("nic", nic.name, "attached")])
        except LbctlError as err:
            if self.refusals.get(nic.name) != str(err):  # the same, link event after link event
                self._tell([Announcement("nic", nic.name, f"not attached: {err}")])
            self.refusals[nic.name] = str(err)

    def attach(self, nic: Nic) -> None:
        """Attach *nic*, which may be a new one under the name of one that vanished."""
        for other in self._dataplane.attached():
            if other.name == nic.name and other.ifindex != self.links.index(nic.name):
                self._dataplane.detach(nic.name)
        self._dataplane.attach(nic)
        self.refusals.pop(nic.name, None)

    def forget_all_but(self, configuration: Configuration) -> None:
        """Forget the refusals of NICs that are not configured any more."""
        names = {nic.name for nic in configuration.nics}
        self.refusals = {name: why for name, why in self.refusals.items() if name in names}

    def _detach_strangers(self, configuration: Configuration) -> None:
        """Detach what a change that never ended has left attached."""
        wanted = {nic.name for nic in configuration.nics}
        for nic in self._dataplane.attached():
            if nic.name not in wanted and not nic.is_pseudo:
                self._dataplane.detach(nic.name)

    def _have_pseudo(self, configuration: Configuration) -> None:
        """Have the pseudo interfaces; when that fails, an event and `refusals` say why."""
        try:
            self.pseudo.ensure(configuration)
            self.refusals.pop(PSEUDO, None)
        except LbctlError as err:
            if self.refusals.get(PSEUDO) != str(err):
                self._tell([Announcement("nic", PSEUDO, str(err))])
            self.refusals[PSEUDO] = str(err)
