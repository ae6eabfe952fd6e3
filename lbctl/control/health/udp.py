r"""
The UDP check: send one datagram, and judge what comes back.

With `expect` the answer must contain it; with `send` alone any answer will do.  With neither, an
empty datagram asks only whether the port is closed: silence counts as well, for few servers answer
that.  A host that is dead is silent too, so give `send` wherever the server answers something.
"""

from __future__ import annotations

import asyncio
import re
import socket
from typing import TYPE_CHECKING

from lbctl.control.health.stream import open_socket, place
from lbctl.control.health.target import CheckFailed

if TYPE_CHECKING:
    from lbctl.control.health.target import Progress, Target
    from lbctl.model import UdpCheck

LARGEST = 1 << 16
ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|[nrt0\\])")
MEANING = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}


async def ask(target: Target, check: UdpCheck, progress: Progress) -> str:
    """Succeed when an answer comes that has what the check expects."""
    if not check.send and check.expect is None:
        progress.missing, progress.silence_is_well = "not refused", True
    loop = asyncio.get_running_loop()
    with open_socket(target, socket.SOCK_DGRAM) as sock:
        sock.connect(place(target))  # then a port unreachable is told, and only the server is heard
        sock.send(unescape(check.send))
        answer = await loop.sock_recv(sock, LARGEST)
    if unescape(check.expect or "") not in answer:
        raise CheckFailed(f"an answer without {check.expect!r}")
    return "answered"


def unescape(text: str) -> bytes:
    r"""The bytes that *text* means: UTF-8, but for ``\xNN \n \r \t \0 \\``."""
    return ESCAPE.sub(_meaning, text.encode())


def _meaning(match: re.Match[bytes]) -> bytes:
    found = match[1]
    return MEANING[found] if found in MEANING else bytes.fromhex(found[1:].decode())
