"""The indices: names that last, for services and back-ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from lbctl.errors import LbctlError
from lbctl.model import Vip
from lbctl.shared.records import BackendRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

Key = TypeVar("Key", Vip, BackendRecord)


def fill(kept: dict[Key, int], wanted: Sequence[Key], room: int, what: str) -> dict[Key, int]:
    """Add what is wanted to what is kept, each with the lowest free index."""
    filled = dict(kept)
    taken = set(kept.values())
    free = (index for index in range(room) if index not in taken)
    for key in wanted:
        if key not in filled:
            try:
                filled[key] = next(free)
            except StopIteration:
                raise LbctlError(
                    f"{what}: no room for {key}, {room} are in use (removed ones count while "
                    f"they have connections); start lbctld with a larger --{what}"
                ) from None
    return filled
