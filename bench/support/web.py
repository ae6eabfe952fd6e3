"""A web server and a load of requests that cost as little as Python can make them cost."""

from __future__ import annotations

import multiprocessing
import select
import socket
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lbctl.errors import LbctlError
from lbctl.testbed import namespaces

if TYPE_CHECKING:
    from collections.abc import Iterator

_BACKLOG = 4096
_REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
_LAST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
_PATIENCE = 5.0
_FORK = multiprocessing.get_context("fork")


def _serve(port: int) -> None:
    """Answer until killed; close where the request says so."""
    listener = socket.create_server(("", port), backlog=_BACKLOG)
    listener.setblocking(False)  # noqa: FBT003 - its only argument
    poll, plugs = select.epoll(), {}
    poll.register(listener, select.EPOLLIN)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == listener.fileno():
                plug, _ = listener.accept()
                plugs[plug.fileno()] = plug
                poll.register(plug, select.EPOLLIN)
                continue
            plug = plugs[descriptor]
            try:
                data = plug.recv(4096)
                if data:
                    plug.send(_ANSWER)
            except OSError:
                data = b""
            if not data or data == _LAST:
                del plugs[descriptor]
                plug.close()


def _serve_in(namespace: str, port: int) -> None:
    namespaces.enter(namespace)
    _serve(port)


@contextmanager
def server(namespace: str, port: int) -> Iterator[int]:
    """Serve in a namespace, from a process of its own; yields its number."""
    child = _FORK.Process(target=_serve_in, args=(namespace, port), daemon=True)
    child.start()
    try:
        yield child.pid or 0
    finally:
        child.terminate()
        child.join()


def _cpu_seconds(pid: int) -> float:
    """CPU time so far of a process of one thread."""
    return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9


def load(
    namespace: str, address: tuple[str, int], seconds: float, *, keep: bool, pid: int
) -> float:
    """
    Requests in a second of CPU time, the client's and that of the server *pid*, from a namespace.

    Raises LbctlError if one of them fails.
    """

    def there() -> float:
        before = time.thread_time() + _cpu_seconds(pid)
        done = _Load(address, keep=keep).run(seconds)
        return done / (time.thread_time() + _cpu_seconds(pid) - before)

    return namespaces.call(namespace, there)


class _Load:
    """Always as many requests under way as *width*."""

    width = 32

    def __init__(self, to: tuple[str, int], *, keep: bool) -> None:
        self._to, self._keep = to, keep
        self._poll = select.epoll()
        self._plugs: dict[int, socket.socket] = {}
        self._done = 0

    def run(self, seconds: float) -> int:
        """Do it; returns how many were answered."""
        for _ in range(self.width):
            self._connect()
        started = time.perf_counter()
        while time.perf_counter() - started < seconds:
            events = self._poll.poll(_PATIENCE)
            if not events:
                raise LbctlError(f"no answer from {self._to[0]} in {_PATIENCE:g} s")
            for descriptor, event in events:
                self._go_on(self._plugs[descriptor], event)
        for plug in self._plugs.values():
            plug.close()
        self._poll.close()
        return self._done

    def _connect(self) -> None:
        plug = socket.socket()
        plug.setblocking(False)  # noqa: FBT003 - its only argument
        plug.connect_ex(self._to)
        self._plugs[plug.fileno()] = plug
        self._poll.register(plug, select.EPOLLOUT)

    def _go_on(self, plug: socket.socket, event: int) -> None:
        """Ask when it is connected; after the answer ask again, or connect anew."""
        if event & select.EPOLLOUT:
            plug.send(_REQUEST if self._keep else _LAST)
            self._poll.modify(plug, select.EPOLLIN)
            return
        if plug.recv(4096) != _ANSWER:
            raise LbctlError(f"a connection to {self._to[0]} broke")
        self._done += 1
        if self._keep:
            plug.send(_REQUEST)
            return
        del self._plugs[plug.fileno()]
        plug.close()
        self._connect()
