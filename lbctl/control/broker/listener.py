"""The listener: where applications connect, and everybody may; each request is checked instead."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from lbctl.errors import Conflict, LbctlError

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
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _remove_stale(path)
        listener = _bound(path)
    except OSError as err:
        raise LbctlError(f"{path}: {err.strerror or err}; choose another --socket") from err
    with listener:
        inode = path.stat().st_ino
        try:
            yield listener
        finally:
            with suppress(OSError):
                if path.stat().st_ino == inode:
                    path.unlink()


def _bound(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        listener.setblocking(False)  # noqa: FBT003 - its only argument
        listener.bind(os.fspath(path))
        path.chmod(EVERYBODY)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _remove_stale(path: Path) -> None:
    """Remove a socket that nobody answers on, and nothing else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise Conflict(f"{path}: exists and is not a socket; choose another --socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        probe.setblocking(False)  # noqa: FBT003 - its only argument
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:  # somebody answers, and has much to do
            pass
    raise Conflict(f"{path}: another program answers there; stop it or choose another --socket")
