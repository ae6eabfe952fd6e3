"""The CPUs: sets of them as the kernel writes them, lists and masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

WORD = 32  # bits between two commas of a mask


def to_list(cpus: Iterable[int]) -> str:
    """Write a list: "0,2-5"; empty for none."""
    runs: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if runs and runs[-1][-1] == cpu - 1:
            runs[-1][1:] = [cpu]
        else:
            runs.append([cpu])
    return ",".join("-".join(map(str, run)) for run in runs)


def from_list(text: str) -> frozenset[int]:
    """Read a list.  Raises ValueError."""
    found: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return frozenset(found)


def to_mask(cpus: Iterable[int]) -> str:
    """Write a mask: hexadecimal words of 32 bits, the highest first; "0" for none."""
    bits, words = sum(1 << cpu for cpu in set(cpus)), []
    while bits >> WORD:
        words.append(f"{bits & (1 << WORD) - 1:08x}")
        bits >>= WORD
    return ",".join([f"{bits:x}", *reversed(words)])


def from_mask(text: str) -> frozenset[int]:
    """Read a mask.  Raises ValueError."""
    bits = int(text.strip().replace(",", "") or "0", 16)
    return frozenset(cpu for cpu in range(bits.bit_length()) if bits >> cpu & 1)
