"""
The pseudo keeper: see to it that every pseudo interface is there, and served by the switch.

Whoever calls holds the controller's lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from lbctl.pseudo import device

if TYPE_CHECKING:
    from lbctl.model import Configuration
    from lbctl.switching.dataplane import Dataplane


class Interfaces(Protocol):
    """Whoever makes the devices, and leads packets of programs to them: the interface daemon."""

    def ensure(self, configuration: Configuration) -> None:
        """Have all devices of *configuration*; others stay."""

    def refresh(self, configuration: Configuration) -> None:
        """Have the rules and neighbors that *configuration* needs, and no others of ours."""

    def remove_all_but(self, configuration: Configuration) -> None:
        """Remove our devices that *configuration* does not have."""

    def warnings(self, configuration: Configuration) -> list[str]:
        """What keeps others from finding the addresses of pseudo interfaces, each in a line."""


class NoInterfaces:
    """Where there is no interface daemon."""

    def ensure(self, configuration: Configuration) -> None:
        """Make none."""

    def refresh(self, configuration: Configuration) -> None:
        """Change nothing."""

    def remove_all_but(self, configuration: Configuration) -> None:
        """Remove none."""

    def warnings(self, configuration: Configuration) -> list[str]:
        """Nothing to warn of."""
        del configuration
        return []


class PseudoKeeper:
    """Has devices made, attaches the switch's ends, and lets go of what nobody wants any more."""

    def __init__(self, owner: str, dataplane: Dataplane) -> None:
        self._owner, self._dataplane = owner, dataplane
        self.interfaces: Interfaces = NoInterfaces()  # whoever has one puts it there

    def ensure(self, configuration: Configuration) -> None:
        """Have each pseudo interface of *configuration* made and attached.  Raises LbctlError."""
        self.interfaces.ensure(configuration)
        for pseudo in configuration.pseudo:
            if found := device.find(self._owner, pseudo.name):
                self._detach_former(found.inner.name, found.inner.ifindex)
                self._dataplane.attach_pseudo(found.inner.name)
        self.interfaces.refresh(configuration)

    def trim(self, configuration: Configuration) -> None:
        """Let go of all pseudo interfaces that *configuration* does not have."""
        wanted = {device.inner_name(pseudo.name) for pseudo in configuration.pseudo}
        for nic in self._dataplane.attached():
            if nic.is_pseudo and nic.name not in wanted:
                self._dataplane.detach(nic.name)
        self.interfaces.remove_all_but(configuration)

    def put_back(self, configuration: Configuration) -> None:
        """Have what *configuration* has, and nothing else."""
        self.ensure(configuration)
        self.trim(configuration)

    def concerns(self, name: str, configuration: Configuration) -> bool:
        """Whether the NIC *name* is an end of a pseudo interface."""
        names = {pseudo.name for pseudo in configuration.pseudo}
        return name in names | {device.inner_name(each) for each in names}

    def refresh(self, configuration: Configuration) -> None:
        """Follow NICs, addresses and neighbors that changed."""
        self.interfaces.refresh(configuration)

    def _detach_former(self, name: str, ifindex: int) -> None:
        """Let go of a switch's end that was made anew under the same name."""
        for nic in self._dataplane.attached():
            if nic.name == name and nic.ifindex != ifindex:
                self._dataplane.detach(name)
