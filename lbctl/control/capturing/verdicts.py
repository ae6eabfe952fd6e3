"""The verdict names: read them as people type them."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from lbctl.errors import UsageError
from lbctl.shared.abi import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

DROPS = "drop"  # all of them
NAMES = tuple(v.name for v in Verdict if v not in (Verdict.CONTINUE, Verdict.VERDICT_MAX))


def named(words: Iterable[str]) -> tuple[Verdict, ...]:
    """
    The verdicts of these names; `drop` is every DROP_..., and case does not matter.

    Raises UsageError that tells the nearest name.
    """
    found = {verdict for word in words for verdict in _named(word)}
    return tuple(sorted(found))


def _named(word: str) -> tuple[Verdict, ...]:
    name = word.upper().replace("-", "_")
    if name == DROPS.upper():
        return tuple(Verdict[each] for each in NAMES if each.startswith("DROP_"))
    if name in NAMES:
        return (Verdict[name],)
    near = get_close_matches(name, NAMES, n=1, cutoff=0.4)
    hint = f"the nearest is {near[0]}" if near else "see `lbctl stats` for their names"
    raise UsageError(f"verdict {word!r} is unknown; {hint}")
