"""
The line way: connect, read one line, close; nothing is sent.

A plain socket and the loop's `add_reader` do: a transport and a task for each line would cost
twice the CPU.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import socket
from typing import TYPE_CHECKING

from lbctl.agent.wire import BadReport
from lbctl.control.resources.asking import Unanswered

if TYPE_CHECKING:
    from lbctl.control.resources.asking import OnEnd
    from lbctl.model import SocketAddress

MAX_LINE = 1024  # bytes
END = re.compile(rb"[\r\n]")


class LineAsker:
    """Reads one line of an agent, over a new connection each time."""

    def __init__(self, address: SocketAddress, on_end: OnEnd) -> None:
        self._family = socket.AF_INET6 if address.address.version == 6 else socket.AF_INET
        self._peer = str(address.address), address.port
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._received = b""

    def ask(self, _target: str) -> None:
        """Connect, and wait for a line; a connection that fails becomes readable too."""
        self._received = b""
        try:
            self._socket = socket.socket(self._family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            code = self._socket.connect_ex(self._peer)
        except OSError as err:  # no socket is left
            code = err.errno or errno.EIO
        if self._socket and code in (0, errno.EINPROGRESS):
            self._loop.add_reader(self._socket, self._read, self._socket)
        else:
            self._end(Unanswered(os.strerror(code)))

    def abort(self) -> None:
        """Give up."""
        if self._socket:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _read(self, connection: socket.socket) -> None:
        """Take the line when it is complete; its end is optional when the connection ends."""
        try:
            data = connection.recv(MAX_LINE + 1)
        except BlockingIOError:
            return
        except OSError as err:
            self._end(Unanswered(err.strerror or str(err)))
            return
        self._received += data
        line, *rest = END.split(self._received, maxsplit=1)
        if len(line) > MAX_LINE:
            self._end(BadReport(f"the line has more than {MAX_LINE} bytes"))
        elif rest or (line and not data):
            self._end(line)
        elif not data:
            self._end(Unanswered("the connection was closed before a line"))

    def _end(self, answer: bytes | Exception) -> None:
        self.abort()
        self._on_end(answer)
