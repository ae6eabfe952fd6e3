"""
The NIC names: what people call the NICs that packets come and leave by.

Of a pseudo interface the switch has one end, and people know the other.  Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbctl.pseudo.device import inner_name

if TYPE_CHECKING:
    from lbctl.switching.nics import AttachedNic


def shown(nic: AttachedNic) -> str:
    """The name of a NIC; of the switch's end of a pseudo interface that of the interface."""
    return nic.name.removesuffix(inner_name("")) if nic.is_pseudo else nic.name


def is_called(nic: AttachedNic, name: str) -> bool:
    """Whether *name* means that NIC: either end of a pseudo interface does."""
    return name in (nic.name, shown(nic))
