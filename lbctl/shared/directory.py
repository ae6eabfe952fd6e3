"""
The directory: place the services so that no two collide; see bpf_src/lb/directory.h.

Perfect hashing by hash and displace (Belazzougui, Botelho, Dietzfelbinger: "Hash, displace, and
compress", ESA 2009): the largest groups are placed first, each with the first displacement that
puts all of its keys on free places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lbctl.errors import LbctlError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lbctl.shared.arrays import Array

_MASK = (1 << 64) - 1
_TRIES = 1 << 20


def _hash(key: bytes, port: int, protocol: int) -> int:
    """lb_directory_hash; *port* as it lies in memory."""
    high, low = (int(word) for word in np.frombuffer(key, "=u8"))
    value = ((high ^ (port << 16 | protocol)) * 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 29) ^ low) * 0xBF58476D1CE4E5B9) & _MASK
    return value ^ (value >> 32)


def _place(value: int, displacement: int, bits: int) -> int:
    return (((value ^ displacement) * 0x94D049BB133111EB) & _MASK) >> (64 - bits)


def arrange(
    keys: Sequence[tuple[bytes, int, int]], group_bits: int, directory_bits: int
) -> tuple[Array, list[int]]:
    """
    Find displacements under which *keys* (address, port as in memory, protocol) do not collide.

    Returns the displacements, uint64[2**group_bits], and each key's place.  Raises LbctlError if
    there is no room.
    """
    hashes = [_hash(*key) for key in keys]
    groups: dict[int, list[int]] = {}
    for index, value in enumerate(hashes):
        groups.setdefault(value >> (64 - group_bits), []).append(index)
    displacements = np.zeros(1 << group_bits, np.uint64)
    places = [0] * len(keys)
    taken: set[int] = set()
    for group, members in sorted(groups.items(), key=lambda item: -len(item[1])):
        for displacement in range(_TRIES):
            wanted = {_place(hashes[i], displacement, directory_bits) for i in members}
            if len(wanted) == len(members) and taken.isdisjoint(wanted):
                break
        else:
            raise LbctlError("the directory of services is full; give lbctld a larger capacity")
        taken |= wanted
        displacements[group] = displacement
        for i in members:
            places[i] = _place(hashes[i], displacement, directory_bits)
    return displacements, places
