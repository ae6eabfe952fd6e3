"""The local socket: be the only one who listens at a path, and leave nothing there."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from lbctl.errors import Conflict, LbctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def local_socket(
    path: Path, kind: socket.SocketKind, bind: Callable[[socket.socket, Path], None]
) -> Iterator[socket.socket]:
    """
    A listening Unix socket of that *kind*, removed afterwards.

    *bind* binds it, says who may connect, and has it listen.  Raises Conflict where somebody
    answers already, or LbctlError.
    """
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _remove_stale(path, kind)
        listener = socket.socket(socket.AF_UNIX, kind)
        try:
            bind(listener, path)
        except BaseException:
            listener.close()
            raise
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


def _remove_stale(path: Path, kind: socket.SocketKind) -> None:
    """Remove a socket that nobody answers on, and nothing else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise Conflict(f"{path}: exists and is not a socket; choose another --socket")
    with socket.socket(socket.AF_UNIX, kind) as probe:
        probe.setblocking(False)  # noqa: FBT003 - its only argument
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:  # somebody answers, and has much to do
            pass
    raise Conflict(f"{path}: another program answers there; stop it or choose another --socket")
