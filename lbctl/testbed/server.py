r"""
The server: a small HTTP and UDP server that says its name.

    GET /               "server0\n", so that a client can tell who served it
    GET /big?bytes=N    N bytes that any server makes alike, and their SHA-256 in a header
    GET /slow?bytes=N&seconds=S    the same in ten parts over S seconds
    GET /work?milliseconds=N       its name, after as much CPU time; others wait meanwhile
    a UDP datagram      is answered with the name and the datagram

Started as `python -m lbctl.testbed.server --name server0 --port 8080`.  No framework: a test bed
must not be what breaks.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import signal
import socket
import time
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Query = Mapping[str, Sequence[str]]
    Content = tuple[int, bytes, str, float]  # status, body, digest, seconds to take over it

BIGGEST = 1 << 26
LONGEST = 10_000.0  # milliseconds of work
IPV6_FREEBIND = 78  # of <linux/in6.h>; Python has no name for it
PARTS = 10
BLOCK = bytes(range(251)) * 261  # 251 is prime: a lost or doubled segment shows
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}


@lru_cache(maxsize=8)
def content(size: int) -> tuple[bytes, str]:
    """*size* bytes that are the same everywhere, and their SHA-256."""
    body = (BLOCK * (size // len(BLOCK) + 1))[:size]
    return body, hashlib.sha256(body).hexdigest()


def work(milliseconds: float, clock: Callable[[], float] = time.thread_time) -> None:
    """Use up CPU time of the calling thread; *clock* tells it in seconds."""
    end = clock() + milliseconds / 1000
    while clock() < end:
        pass


class Server:
    """One server with its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._answer(reader, writer):
                pass
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; returns whether another may follow."""
        head = await reader.readuntil(b"\r\n\r\n")
        request, *lines = head.decode("latin-1").split("\r\n")
        method, target, version = (*request.split(" "), "", "")[:3]
        headers = {
            key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)
        }
        keep = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
        status, body, digest, seconds = self._content(method, target)
        extra = f"X-Sha256: {digest}\r\n" if digest else ""
        writer.write(
            f"HTTP/1.1 {status} {REASONS[status]}\r\n"
            f"X-Server: {self.name}\r\n"
            f"Content-Length: {len(body)}\r\n"
            f"Content-Type: {'application/octet-stream' if digest else 'text/plain'}\r\n"
            f"{extra}Connection: {'keep-alive' if keep else 'close'}\r\n\r\n".encode()
        )
        parts = PARTS if seconds else 1
        step = -(-len(body) // parts) or 1
        for start in range(0, len(body), step):
            writer.write(body[start : start + step])
            await writer.drain()
            await asyncio.sleep(seconds / parts)
        await writer.drain()
        return keep

    def _content(self, method: str, target: str) -> Content:
        """What is said, and the seconds to take over it."""
        url, name = urlsplit(target), f"{self.name}\n".encode()
        query = parse_qs(url.query)
        if method != "GET":
            return 405, b"only GET\n", "", 0
        if url.path == "/":
            return 200, name, "", 0
        if url.path == "/work":
            return _worked(name, query)
        if url.path in ("/big", "/slow"):
            return _big(query, slowly=url.path == "/slow")
        return 404, b"only /, /big, /slow and /work\n", "", 0


def _big(query: Query, *, slowly: bool) -> Content:
    """As many bytes as *query* says."""
    try:
        size = int(query.get("bytes", ["0"])[0])
        seconds = float(query.get("seconds", ["0"])[0]) if slowly else 0.0
    except ValueError:
        return 400, b"bytes and seconds are numbers\n", "", 0
    if not 0 <= size <= BIGGEST or not 0 <= seconds <= 600:
        return 400, f"0 to {BIGGEST} bytes, 0 to 600 seconds\n".encode(), "", 0
    return 200, *content(size), seconds


def _worked(name: bytes, query: Query) -> Content:
    """Work as long as *query* says, then say the name."""
    try:
        milliseconds = float(query.get("milliseconds", ["0"])[0])
    except ValueError:
        return 400, b"milliseconds are a number\n", "", 0
    if not 0 <= milliseconds <= LONGEST:
        return 400, f"0 to {LONGEST:g} milliseconds\n".encode(), "", 0
    work(milliseconds)
    return 200, name, "", 0


def open_echo(port: int) -> socket.socket:
    """A UDP socket for both families that tells to which of our addresses a datagram went."""
    echo = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    echo.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    echo.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    # with DSR a VIP is a local route, not an address, and is to be answered from all the same
    echo.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
    echo.setblocking(False)  # noqa: FBT003 - its only argument
    echo.bind(("::", port))
    return echo


def answer_datagrams(echo: socket.socket, name: bytes) -> None:
    """Answer all that wait, each from the address that it was sent to: with DSR that is a VIP."""
    with contextlib.suppress(BlockingIOError):
        while True:
            data, to, _, client = echo.recvmsg(65536, 256)
            with contextlib.suppress(OSError):  # a client that is gone is its own trouble
                echo.sendmsg([name, b" ", data], to, 0, client)


async def serve(name: str, ports: Sequence[int]) -> None:
    """Serve on these ports, TCP and UDP, IPv4 and IPv6, until SIGTERM."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = Server(name)
    for port in ports:
        await asyncio.start_server(server.talk, port=port, backlog=4096, reuse_address=True)
        echo = open_echo(port)
        loop.add_reader(echo, answer_datagrams, echo, name.encode())
    await stop.wait()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="lbctl.testbed.server", description=__doc__)
    parser.add_argument("--name", default=socket.gethostname())
    parser.add_argument("--port", type=int, action="append", required=True)
    options = parser.parse_args()
    asyncio.run(serve(options.name, options.port))


if __name__ == "__main__":
    main()
