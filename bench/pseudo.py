"""
The pseudo interface: what it costs a program on the switch, beside other ways to the same host.

A client's TCP and UDP through one bridge, in turns by four ways: a NIC of the kernel alone, as it
is and with packets of the MTU's size, which is all that XDP leaves of it; the pseudo interface; and
a TAP device with a relay, the other way of making one.  Ratios are each of one round.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.support import live
from bench.support.report import Report, Row, WrongVerdict
from lbctl.errors import LbctlError
from lbctl.testbed import namespaces
from lbctl.testbed.plan import VIPS4
from lbctl.testbed.stage import wait
from tests.support import exchange

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator

    from bench.support.live import Live

_PORT, _BYTES, _ASKS = 7000, 300_000_000, 2000
_USUAL, _BARE, _PSEUDO, _TAP = (
    "kernel NIC",
    "kernel NIC, MTU-sized",
    "pseudo interface",
    "TAP, relay",
)
_ADDRESSES = {
    _USUAL: "198.51.100.101",
    _BARE: "198.51.100.102",
    _PSEUDO: str(VIPS4[1]),
    _TAP: "198.51.100.103",
}
_NICS = {_USUAL: "usual", _BARE: "bare", _TAP: "side"}
_SOURCE = Path(__file__).parent / "support" / "relay.c"


def _plug_in(bed: Live) -> None:
    """Give the switch three NICs more, that are not attached."""
    outside, here = bed.bed.plan.namespace("ext"), bed.bed.switch
    for name in _NICS.values():
        lines = [f"link add port{name} type veth peer name {name} netns {here}"]
        namespaces.ip(outside, [*lines, f"link set port{name} master br0 up"])
        namespaces.ip(here, [f"link set {name} up"])
    for way, gro in ((_BARE, True), (_TAP, False)):  # merged frames have no checksum for a relay
        namespaces.offloads(here, [_NICS[way]], tx_checksum=False, gro=gro)
        namespaces.offloads(outside, [f"port{_NICS[way]}"], tx_checksum=False, gro=gro)
    # Who has the address answers, and nobody else; answers leave where questions came.
    namespaces.sysctl(here, {"net.ipv4.conf.all.arp_ignore": 1})
    for table, way in enumerate((_USUAL, _BARE), 100):
        _answer_by(here, _NICS[way], _ADDRESSES[way], table)


def _answer_by(here: str, nic: str, address: str, table: int) -> None:
    lines = [f"address add {address}/32 dev {nic}", f"rule add from {address} table {table}"]
    namespaces.ip(here, [*lines, f"route add 198.51.100.0/25 dev {nic} table {table}"])


def _compile(library: Path) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        raise LbctlError("cc: not found; `apt install gcc`")
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(_SOURCE)]
    subprocess.run(command, check=True)  # noqa: S603 - our own words
    return library


@contextlib.contextmanager
def _relay(bed: Live) -> Iterator[None]:
    """Run the relay in a process of its own, and give the TAP device its address."""
    here = bed.bed.switch
    with tempfile.TemporaryDirectory() as folder:
        library = _compile(Path(folder) / "relay.so")
        child = os.fork()
        if child == 0:
            namespaces.enter(here)
            index = socket.if_nametoindex(_NICS[_TAP])
            os._exit(ctypes.CDLL(str(library)).relay(b"tap0", index))
        try:
            wait(lambda: _exists(here, "tap0"), 10, "there is no TAP device")
            namespaces.ip(here, ["link set tap0 up"])
            _answer_by(here, "tap0", _ADDRESSES[_TAP], 102)
            yield
        finally:
            os.kill(child, 9)
            os.waitpid(child, 0)


def _exists(here: str, nic: str) -> bool:
    def found() -> bool:
        return nic in {name for _, name in socket.if_nameindex()}

    return namespaces.call(here, found)


def _serve(bed: Live) -> None:
    for way, address in _ADDRESSES.items():
        log = bed.bed.folder / f"{way}.log"
        with log.open("wb") as file:
            words = [sys.executable, "-m", "tests.support.exchange", "serve", address, str(_PORT)]
            bed.bed.popen("switch", words, stdout=file, stderr=file)
        wait(lambda log=log: b"ready" in log.read_bytes(), 10, "a program does not listen")  # type: ignore[misc]


def _bulk(verb: Callable[..., str], way: str) -> float:
    """Gigabits a second."""
    begin = time.perf_counter()
    found = verb(_ADDRESSES[way], _PORT, _BYTES)
    seconds = time.perf_counter() - begin
    if found != exchange.digest_of(_BYTES):
        raise WrongVerdict(f"{way}: not what was sent: {found}")
    return _BYTES * 8 / seconds / 1e9


def _latency(way: str) -> float:
    """Microseconds there and back, in the mean of many."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plug:
        plug.settimeout(10)
        plug.connect((_ADDRESSES[way], _PORT))
        for count in (100, _ASKS):
            begin = time.perf_counter()
            for _ in range(count):
                plug.send(b"x" * 32)
                plug.recv(100)
        return (time.perf_counter() - begin) / _ASKS * 1e6


_WORKS: dict[str, tuple[Callable[[str], float], str]] = {
    "TCP from the switch": (partial(_bulk, exchange.fetch), "Gbit/s"),
    "TCP to the switch": (partial(_bulk, exchange.store), "Gbit/s"),
    "UDP there and back": (_latency, "us"),
}


def run(options: Namespace) -> Report:
    """Measure all ways in turns."""
    rates: dict[tuple[str, str], list[float]] = {(w, way): [] for w in _WORKS for way in _ADDRESSES}
    with live.switch() as bed:
        bed.api.add_pseudo({"name": "lb0", "addresses": [_ADDRESSES[_PSEUDO]]})
        _plug_in(bed)
        with _relay(bed):
            _serve(bed)
            client = bed.bed.plan.namespace("client0")
            for _ in range(options.rounds):
                for (work, way), found in rates.items():
                    found.append(namespaces.call(client, partial(_WORKS[work][0], way)))
    return _report(rates)


def _report(rates: dict[tuple[str, str], list[float]]) -> Report:
    report = Report("The pseudo interface, beside other ways", "veth, native XDP; wall clock")
    for (work, way), found in rates.items():
        report.rows.append(Row(f"{work}: {way}", found, _WORKS[work][1]))
    for work in _WORKS:
        for way in (_USUAL, _BARE, _TAP):
            pairs = zip(rates[work, _PSEUDO], rates[work, way], strict=True)
            ratios = [pseudo / other for pseudo, other in pairs]
            report.rows.append(Row(f"{work}: pseudo interface / {way}", ratios, "times"))
    return report
