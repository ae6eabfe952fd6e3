"""The verifier: how much of its patience the programs need."""

from __future__ import annotations

import pytest

from lbctl.shared import syscall
from tests.support.features import Feature, require
from tests.support.progrun import ALL

# The kernel follows a million instructions, then it refuses the program.  Later compilers make it
# follow three to four times as many as clang 14 does, and other kernels count otherwise.
LIMIT = 1_000_000
LOADED = [("nat",), ("dsr",), ("nat", "ipv6"), ALL]


@pytest.mark.parametrize("which", LOADED, ids=" ".join)
def test_there_is_room_for_more(machines, which):
    """
    With any features a fifth at least is left, for compilers and kernels to come.
    """
    verified = syscall.prog_info(machines(which).program).verified
    require(Feature("a count of verified instructions", (5, 16), lambda: bool(verified)))

    assert 1000 < verified < LIMIT * 4 // 5
