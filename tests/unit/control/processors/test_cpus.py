"""
Sets of CPUs, as the kernel writes them.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.control.processors import cpus

SETS = st.frozensets(st.integers(0, 200))


@given(SETS)
def test_what_is_written_is_read(some):
    """
    In both forms.
    """
    assert some == cpus.from_list(cpus.to_list(some))
    assert some == cpus.from_mask(cpus.to_mask(some))


@pytest.mark.parametrize(
    ("some", "as_list", "as_mask"),
    [
        ((), "", "0"),
        ((0,), "0", "1"),
        ((3, 1, 0), "0-1,3", "b"),
        ((32,), "32", "1,00000000"),
        (range(40), "0-39", "ff,ffffffff"),
    ],
)
def test_forms(some, as_list, as_mask):
    """
    Runs have a dash, words a comma.
    """
    assert (as_list, as_mask) == (cpus.to_list(some), cpus.to_mask(some))


def test_the_kernel_fills_up_with_zeros():
    """
    On a machine that could have many CPUs.
    """
    assert {1} == cpus.from_mask("00000000,00000000,00000002\n")
    assert set() == cpus.from_list("\n")
