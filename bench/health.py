"""
Health checks: the CPU that a thousand of them a second take, kind by kind.

One process watches 1000 back-ends, each once a second, as the daemon does.  All are addresses of
loopback behind which one small server answers, in a process of its own, on another CPU if there is
one.  The CPU time is the watching process's, the kernel's part of it included.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import socket
import time
from contextlib import contextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING

from bench.support import machine
from bench.support.report import Report, Row, WrongVerdict
from lbctl.control.health.check import look
from lbctl.control.health.monitor import HealthMonitor
from lbctl.model import (
    Backend,
    Configuration,
    HttpCheck,
    IcmpCheck,
    Pool,
    SocketAddress,
    TcpCheck,
    UdpCheck,
)
from lbctl.testbed.server import answer_datagrams, open_echo

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from lbctl.control.health.target import Outcome, Target
    from lbctl.model import AnyCheck

_BACKENDS = 1000
_OFTEN = {"interval": 1, "timeout": 1}
_QUEUE = 4096  # connections that may wait while others have the server's CPU
_SETTLE = 3  # seconds until the looks are spread over the interval
_CHECKS: dict[AnyCheck, float | None] = {  # and the most they may take, in % of a CPU
    TcpCheck(**_OFTEN): 50,
    HttpCheck(**_OFTEN): 50,
    UdpCheck(send="ping", **_OFTEN): None,
    IcmpCheck(**_OFTEN): None,
}
_BODY = b"well\n"
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)


class _Web(asyncio.Protocol):
    """Answers any request."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        del data
        self._transport.write(_ANSWER)  # type: ignore[attr-defined]


async def _serve(tcp: socket.socket, udp: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    loop.add_reader(udp, answer_datagrams, udp, b"echo")
    server = await loop.create_server(_Web, sock=tcp, backlog=_QUEUE)
    await server.serve_forever()


def _child(tcp: socket.socket, udp: socket.socket, cpu: int) -> None:
    others = set(range(os.cpu_count() or 1)) - {cpu}
    os.sched_setaffinity(0, others or {cpu})
    asyncio.run(_serve(tcp, udp))


@contextmanager
def _server(cpu: int) -> Iterator[int]:
    """The server, at one port of all addresses of loopback and no others; yields the port."""
    with socket.socket() as tcp:
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        tcp.bind(("", 0))
        tcp.listen(_QUEUE)
        port = tcp.getsockname()[1]
        with open_echo(port) as udp:
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
            fork = multiprocessing.get_context("fork")
            child = fork.Process(target=_child, args=(tcp, udp, cpu))
            child.start()
            try:
                yield port
            finally:
                child.terminate()
                child.join()


class _Looks:
    """Counts looks, and those that failed."""

    def __init__(self) -> None:
        self.count = 0
        self.failures: list[str] = []

    async def look(self, target: Target) -> Outcome:
        """Look, and count."""
        outcome = await look(target)
        self.count += 1
        if not outcome.ok:
            self.failures.append(outcome.reason)
        return outcome


async def _shares(check: AnyCheck, port: int, rounds: int) -> list[float]:
    """CPU in per cent for 1000 looks a second, of as many seconds as there are rounds."""
    looks, shares = _Looks(), []
    monitor = HealthMonitor(lambda _: None, look=looks.look)
    addresses = [ip_address("127.1.0.0") + number for number in range(1, 1 + _BACKENDS)]
    backends = [Backend(address=SocketAddress(address, port)) for address in addresses]
    monitor.follow(Configuration(pools=(Pool(name="bench", backends=backends, health=check),)))
    running = asyncio.ensure_future(monitor.run())
    await asyncio.sleep(_SETTLE)
    for _ in range(rounds):
        before = (time.process_time(), looks.count)
        await asyncio.sleep(1)
        used, done = time.process_time() - before[0], looks.count - before[1]
        shares.append(100 * used * _BACKENDS / done)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    if looks.failures:
        said = f"{len(looks.failures)} of {looks.count} failed: {looks.failures[0]}"
        raise WrongVerdict(f"check {check.check}: {said}")
    return shares


def run(options: Namespace) -> Report:
    """Watch 1000 back-ends by each kind of check in turn."""
    report = Report("health: 1000 checks a second of 1000 back-ends", "loopback, one process")
    logging.getLogger("lbctl").setLevel(logging.ERROR)
    with machine.alone(options.cpu) as cpu, _server(cpu) as port:
        for check, target in _CHECKS.items():
            shares = asyncio.run(_shares(check, port, options.rounds))
            report.rows.append(Row(f"check {check.check}", shares, "% of a CPU", target))
    return report
