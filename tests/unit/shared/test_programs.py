"""The programs on the switch: their numbers, which last."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.errors import LbctlError
from lbctl.model import OnExit, Vip
from lbctl.shared import abi
from lbctl.shared.programs import AppService, Programs

VIPS = [Vip.parse(f"203.0.113.10:{port}/udp") for port in range(1, abi.APPS_MAX + 2)]
# Applications of up to three VIPs, none of which two of them have.
lists = st.lists(st.integers(0, 5), min_size=len(VIPS) - 1, max_size=len(VIPS) - 1).map(
    lambda owners: tuple(of(*chosen(owners, n)) for n in range(6) if chosen(owners, n))
)


def chosen(owners, number):
    """The VIPs of one owner."""
    return [vip for vip, owner in zip(VIPS, owners, strict=False) if owner == number]


def of(*vips):
    """Make an application that has these VIPs."""
    return AppService(vips, OnExit.RESET)


@given(lists, lists)
def test_numbers(before, after):
    """
    One for each application, whose VIPs agree on it; the first to come keeps the one it had.
    """
    old = Programs(before).numbers({})
    new = Programs(after).numbers(old)

    found = [{new[vip] for vip in app.vips} for app in after]
    assert all(len(numbers) == 1 for numbers in found)
    assert len(after) == len(set.union(set(), *found))
    assert all(0 <= number < abi.APPS_MAX for number in new.values())
    assert set(new) == {vip for app in after for vip in app.vips}
    if after:
        assert new[after[0].vips[0]] == old.get(after[0].vips[0], new[after[0].vips[0]])


def test_the_same_again():
    """
    Whatever the order, nobody's number changes.
    """
    apps = [of(*VIPS[start : start + 3]) for start in range(0, 12, 3)]
    numbers = Programs(tuple(apps)).numbers({})

    assert numbers == Programs(tuple(reversed(apps))).numbers(numbers)


def test_more_applications_than_fit():
    """
    They are refused by name.
    """
    apps = tuple(map(of, VIPS))

    assert [*range(abi.APPS_MAX)] == sorted(Programs(apps[:-1]).numbers({}).values())
    with pytest.raises(LbctlError, match=r"^apps: at most 32; remove one with `lbctl app remove`"):
        Programs(apps).numbers({})
