"""Virtual time: an event loop whose clock jumps to the next timer instead of waiting for it."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

Result = TypeVar("Result")


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that begins at 0 and never waits for the time; for threads it does."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_Hasty(self))

    def time(self) -> float:
        """The virtual time."""
        return self.now


class _Hasty(selectors.EpollSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None):
        found = super().select(timeout if timeout is None else 0)
        if not found and timeout:
            self._loop.now += timeout
        return found


def simulate(main: Coroutine[object, object, Result]) -> Result:
    """Run *main* in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
