"""The scenario: which servers there are, what is asked of them, and what disturbs them when."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Self

from lbctl.errors import UsageError
from lbctl.model import Balance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TABLE_SIZE = 65537
HOG = re.compile(
    r"(?P<server>[^@]+)@(?P<start>\d+(\.\d+)?)-(?P<end>\d+(\.\d+)?)(:(?P<part>\d+(\.\d+)?)%)?",
    re.ASCII,
)
USUAL_HOG = 0.6


class Hog(NamedTuple):
    """Other work on a server: it takes *part* of the CPU from *start* to *end*, in seconds."""

    server: str
    start: float
    end: float
    part: float = USUAL_HOG

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``SERVER@FROM-TO`` or ``SERVER@FROM-TO:PART%``.  Raises ValueError with one line."""
        match = HOG.fullmatch(text)
        if not match:
            raise ValueError(f"{text!r} is not SERVER@FROM-TO[:PART%], such as a@60-120:80%")
        start, end = float(match["start"]), float(match["end"])
        part = float(match["part"]) / 100 if match["part"] else USUAL_HOG
        if end <= start:
            raise ValueError(f"{text!r}: the hog must end after it begins")
        if not 0 < part <= 1:
            raise ValueError(f"{text!r}: the part must be over 0 and at most 100%")
        return cls(match["server"], start, end, part)


class Sample(NamedTuple):
    """What a trace says of one server from a time on; None is "as before"."""

    time: float
    server: str | None  # None: of all of them, so only the rate can be meant
    cpu: float | None = None  # that other work takes
    memory: float | None = None
    rate: float | None = None  # requests a second, for all servers together


class Scenario(NamedTuple):
    """
    One story, told to each scheduler.

    *capacities* are requests a second by server, *rate* requests a second in all.
    """

    capacities: Mapping[str, float]
    weights: Mapping[str, int]
    rate: float
    seconds: float
    hogs: Sequence[Hog] = ()
    trace: Sequence[Sample] = ()
    seed: int = 1
    balance: Balance = Balance()

    def check(self) -> None:
        """Raise UsageError for names of servers that are none."""
        for what, name in [
            *(("the hog", hog.server) for hog in self.hogs),
            *(("the trace", sample.server) for sample in self.trace),
        ]:
            if name is not None and name not in self.capacities:
                raise UsageError(
                    f"{what} names server {name!r}; there are {', '.join(self.capacities)}"
                )

    def hog(self, server: str, now: float) -> float:
        """The part of its CPU that hogs take of *server*."""
        return min(
            1.0, sum(h.part for h in self.hogs if h.server == server and h.start <= now < h.end)
        )
