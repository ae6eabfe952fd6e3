"""What people call NICs and pseudo interfaces."""

from __future__ import annotations

import pytest

from lbctl.control.nic_names import is_called, shown
from lbctl.shared import abi
from lbctl.switching.nics import AttachedNic


def nic(name, slot):
    """An attached NIC."""
    return AttachedNic(name, 2, "native", "", slot, bytes(6))


@pytest.mark.parametrize(
    ("name", "slot", "expected"),
    [
        ("eth0", 0, "eth0"),
        ("eth0-s", 0, "eth0-s"),
        ("lb0-s", abi.PSEUDO_FIRST, "lb0"),
        ("lb-s-s", abi.PSEUDO_FIRST, "lb-s"),
    ],
)
def test_names(name, slot, expected):
    """
    Of a pseudo interface people know the programs' end, and either name means it.
    """
    one = nic(name, slot)

    assert expected == shown(one)
    assert is_called(one, name)
    assert is_called(one, expected)
    assert not is_called(one, "eth1")
