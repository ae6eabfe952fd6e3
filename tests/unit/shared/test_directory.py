"""The directory: nobody collides, and strangers find nobody."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.errors import LbctlError
from lbctl.shared import directory

keys = st.tuples(
    st.binary(min_size=16, max_size=16), st.integers(0, 65535), st.sampled_from([0, 6, 17])
)
alike = st.tuples(  # what real configurations look like: addresses and ports side by side
    st.integers(0, 255).map(lambda n: bytes(10) + b"\xff\xff\xcb\0\x71" + bytes([n])),
    st.integers(0, 65535).map(lambda port: (port & 255) << 8 | port >> 8),
    st.sampled_from([0, 6, 17]),
)


def find(key, displacements, bits):
    """Look a key up as the program does: lb_directory_find, in other words."""
    mask = (1 << 64) - 1
    high, low = (int(word) for word in np.frombuffer(key[0], "=u8"))
    first = ((high ^ (key[1] << 16 | key[2])) * 0x9E3779B97F4A7C15) & mask
    first = ((first ^ first >> 29 ^ low) * 0xBF58476D1CE4E5B9) & mask
    first ^= first >> 32
    group = first >> (64 - (len(displacements) - 1).bit_length())
    second = ((first ^ int(displacements[group])) * 0x94D049BB133111EB) & mask
    return second >> (64 - bits)


@given(st.lists(keys | alike, unique=True, max_size=100))
def test_everybody_has_a_place_of_his_own(wanted):
    """
    And it is where the program looks.
    """
    displacements, places = directory.arrange(wanted, 7, 9)

    assert len(displacements) == 128
    assert len(set(places)) == len(wanted)
    assert places == [find(key, displacements, 9) for key in wanted]
    assert all(0 <= place < 512 for place in places)


def test_a_full_one_is_arranged_at_once():
    """
    As many as the default capacity allows: 4 places for each.
    """
    wanted = [
        (bytes(10) + b"\xff\xff\x0a" + n.to_bytes(3), port, 6)
        for n in range(1088)
        for port in (0, 1)
    ]
    displacements, places = directory.arrange(wanted, 12, 14)

    assert len(set(places)) == len(wanted)
    assert int(displacements.max()) < 1000


def test_too_many_for_the_places_there_are(monkeypatch):
    """
    Said in words, not by a search without end.
    """
    monkeypatch.setattr(directory, "_TRIES", 1000)
    wanted = [(n.to_bytes(16), 0, 6) for n in range(9)]

    with pytest.raises(LbctlError, match=r"directory of services is full; .* larger capacity$"):
        directory.arrange(wanted, 1, 3)


def test_nobody_at_all():
    """
    Nothing was published yet.
    """
    displacements, places = directory.arrange([], 4, 6)

    assert ([], 0) == (places, int(displacements.max()))
