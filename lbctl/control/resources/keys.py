"""The keys: what agents and switch share; a file is read anew when it has changed."""

from __future__ import annotations

import os
from typing import NamedTuple

from lbctl.agent.wire import read_key


class _Held(NamedTuple):
    mark: tuple[int, int, int]
    key: bytes


class Keys:
    """The keys by file name."""

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}

    def key(self, path: str) -> bytes:
        """Give the key in the file *path*.  Raises LbctlError when it has none that is good."""
        try:
            status = os.stat(path)  # noqa: PTH116 - a Path for each question is dear
        except OSError:
            self._held.pop(path, None)
            return read_key(path)  # it says what is wrong
        mark = status.st_mtime_ns, status.st_ctime_ns, status.st_ino
        held = self._held.get(path)
        if held is None or held.mark != mark:
            self._held.pop(path, None)
            held = self._held[path] = _Held(mark, read_key(path))
        return held.key
