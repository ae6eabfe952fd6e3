"""The listener: where applications connect, and everybody may; each request is checked instead."""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lbctl.control.local_socket import local_socket

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EVERYBODY = 0o666
BACKLOG = 128


def path_beside(api: Path) -> Path:
    """Where applications connect to the daemon whose API is at *api*: same path, suffix `.apps`."""
    return api.with_suffix(".apps") if api.suffix == ".sock" else api.with_name(f"{api.name}.apps")


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """
    A listening socket at *path*, which keeps messages and their descriptors together.

    It is removed afterwards.  Raises Conflict where somebody answers already, or LbctlError.
    """
    with local_socket(path, socket.SOCK_SEQPACKET, _bind_for_everybody) as listener:
        yield listener


def _bind_for_everybody(listener: socket.socket, path: Path) -> None:
    listener.setblocking(False)  # noqa: FBT003 - its only argument
    listener.bind(os.fspath(path))
    path.chmod(EVERYBODY)
    listener.listen(BACKLOG)
