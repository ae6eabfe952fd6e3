"""The ping-pong: how long a UDP packet takes to an echo server and back, one after the other."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import socket
import time
from functools import partial
from typing import TYPE_CHECKING

from lbctl import netif
from lbctl.netif.headers import UDP4
from lbctl.testbed import namespaces
from tests.support import xdp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CLIENT, _SERVER, _PORT = "203.0.113.7", "203.0.113.10", 7
_FORK = multiprocessing.get_context("fork")
_TIMES, _WARM = 3000, 300


def _by_netif(*, busy: bool = False) -> None:
    with xdp.redirecting("near") as program, netif.direct({"near": [0]}, 2048) as interface:
        (port,) = interface.ports
        program.give(port)
        while True:
            if not busy:
                port.wait()
            while len(batch := port.receive(64)):
                lines = batch.lines(UDP4)
                netif.turn_around(lines)
                batch.write(lines)
                port.transmit(batch)


def _by_kernel() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plug:
        plug.bind((_SERVER, _PORT))
        while True:
            plug.sendto(*plug.recvfrom(2048))


WAYS: dict[str, Callable[[], None]] = {
    "netif, sleeping": _by_netif,
    "netif, busy": partial(_by_netif, busy=True),
    "kernel UDP": _by_kernel,
}


@contextlib.contextmanager
def _cable() -> Iterator[tuple[str, str]]:
    """A client's and a server's namespace; nothing of them is left."""
    client, server = (f"lbctl-bench-{os.getpid()}-{role}" for role in ("ping", "pong"))
    try:
        for name in (client, server):
            namespaces.create(name)
            namespaces.sysctl(name, {"net.ipv6.conf.all.disable_ipv6": 1})
        namespaces.ip(client, [f"link add far type veth peer name near netns {server}"])
        for name, nic, address in ((client, "far", _CLIENT), (server, "near", _SERVER)):
            namespaces.ip(name, [f"address add {address}/24 dev {nic}", f"link set {nic} up"])
            namespaces.offloads(name, [nic], tx_checksum=False, gro=True)
        # an application without a kernel answers no ARP
        mac = namespaces.run(["ip", "-n", server, "-o", "link", "show", "near"]).split("ether ")[1]
        entry = f"neighbor replace {_SERVER} lladdr {mac.split()[0]} dev far nud permanent"
        namespaces.ip(client, [entry])
        yield client, server
    finally:
        for name in (client, server):
            namespaces.delete(name)


def _serve(name: str, way: str) -> None:
    namespaces.enter(name)
    WAYS[way]()


def _ping() -> list[float]:
    """Microseconds of each round trip."""
    times = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plug:
        plug.settimeout(0.2)
        plug.connect((_SERVER, _PORT))
        while len(times) < _TIMES + _WARM:
            begin = time.perf_counter()
            with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                plug.send(b"ping")
                plug.recv(64)
                times.append((time.perf_counter() - begin) * 1e6)
    return sorted(times[_WARM:])


def latencies() -> dict[str, tuple[float, float]]:
    """Median and 99th percentile of the round trips of each way, in microseconds."""
    found = {}
    with _cable() as (client, server):
        for way in WAYS:
            child = _FORK.Process(target=_serve, args=(server, way), daemon=True)
            child.start()
            try:
                times = namespaces.call(client, _ping)
            finally:
                child.terminate()
                child.join()
            found[way] = times[len(times) // 2], times[len(times) * 99 // 100]
    return found
