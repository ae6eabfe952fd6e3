"""
The switch alive in a guest: lbctld, commands, real connections, on veth or on virtio NICs.

It is the live tests' own switch; commands run in this process, because each start of Python takes
the emulator seconds, and patience is longer.
"""

from __future__ import annotations

import json
import re
import subprocess
import threading
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

from click.testing import CliRunner

from lbctl.cli import cli
from lbctl.cli.client import connect
from lbctl.testbed import build, namespaces, testbed
from tests.netns import live
from tests.system.kernels.wires import PLAN, wires

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.system.kernels.inside.report import Report

PATIENCE = 300.0
WEB = 10  # position of the VIP
TRIES = 8
SILENCE = 5  # seconds


class Switch(live.Switch):
    """One lbctld, which has the host compile."""

    def command(self, *options):
        """The command line of the daemon."""
        words = super().command(*options)
        words[words.index("lbctl.testbed.lbctld")] = "tests.system.kernels.inside.lbctld"
        return words

    def typed(self, *words, **unused):
        """Run a command as it is typed, but in this process."""
        del unused
        client = connect(self.name, str(self.socket), patience=PATIENCE)
        done = CliRunner().invoke(cli, [str(word) for word in words], obj=client)
        said = f"{done.exception}" if done.exception else ""
        return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr + said)

    def names(self, url="", count=TRIES):
        """Which servers answer so many new connections of a client."""
        return [self.inside("client0", _name, url or live.vip4(WEB)) for _ in range(count)]


def _name(address, port=80):
    """Who answers at an address."""
    with live.connect(address, port, SILENCE * 4) as plug:
        return live.ask(plug).decode().strip()


@contextmanager
def patient() -> Iterator[None]:
    """Wait longer than on a machine that is not emulated."""
    with (
        mock.patch.object(live, "PATIENCE", PATIENCE),
        mock.patch.object(testbed, "PATIENCE", PATIENCE),
    ):
        yield


def _plug(plan, net, role, nic, port) -> None:
    """Give a namespace its virtio NIC, which is here from the start."""
    del port
    (wire,) = (w for w in wires() if (w.role, w.bridge) == (role, net.nic))
    (name,) = (
        path.name
        for path in Path("/sys/class/net").iterdir()
        if (path / "address").read_text().strip() == wire.mac
    )
    there = plan.namespace(role)
    subprocess.run(["ip", "link", "set", name, "netns", there, "name", nic], check=True)


@contextmanager
def virtio() -> Iterator[None]:
    """A test bed's cables are virtio NICs, with the offloads that they come with."""
    subprocess.run(["modprobe", "virtio_net"], check=True)
    with (
        mock.patch.object(build, "_cable", _plug),
        mock.patch.object(build, "_harden"),
        mock.patch.object(namespaces, "offloads"),
    ):
        yield


@contextmanager
def started(report: Report) -> Iterator[Switch]:
    """A test bed with a switch that balances; each step is told."""
    with patient(), live.network(clients=PLAN.clients, backends=PLAN.backends) as bed:
        switch = Switch(bed)
        switch.start()
        report.step("attach", partial(attach, switch))
        report.step("pool add", partial(add_pools, switch))
        yield switch


def attach(switch):
    """All NICs, in native mode."""
    nics = switch.bed.plan.nics
    switch.lbctl("attach", *nics, "--mode", "native")
    modes = {nic["mode"] for nic in switch.api.status()["nics"]}
    assert {"native"} == modes
    told = switch.bed.run("switch", ["ethtool", "-l", nics[0]]).stdout
    queues = re.findall(r"^(?:Combined|RX):\s+(\d+)", told, re.MULTILINE)  # most, then now
    return f"{len(nics)} NICs, {queues[-1] if queues else '1'} queues each"


def add_pools(switch):
    """One pool for each family."""
    for family, vip in ((4, live.vip4(WEB)), (6, live.vip6(WEB))):
        switch.pool(f"web{family}", f"{vip}:80/tcp", switch.backends(family))


def walk(report: Report) -> None:
    """What the switch is for, step by step."""
    with started(report) as switch:
        report.step("IPv4", partial(answered, switch, live.vip4(WEB)))
        report.step("IPv6", partial(answered, switch, live.vip6(WEB)))
        report.step("100 kB", partial(large, switch))
        report.step("drain", partial(drain, switch))
        report.step("explain", partial(explain, switch))
        report.step("capture", partial(capture, switch))
        report.step("lbctld killed", partial(killed, switch))


def answered(switch, address):
    """Curl has an answer, and of all connections each server gets some."""
    done = switch.curl(f"http://{address}/")
    assert 0 == done.returncode, done.stderr
    names = set(switch.names(address, 2 * TRIES))
    assert {"server0", "server1"} == names


def large(switch):
    """Many packets each way are whole: checksums, segmentation."""
    done = switch.curl(f"http://{live.vip4(WEB)}/big?bytes=100000", "client0", "-o", "/dev/null")
    assert 0 == done.returncode, done.stderr


def drain(switch):
    """The open connection stays, new ones go elsewhere."""
    plug = switch.inside("client0", live.connect, live.vip4(WEB), 80)
    with plug:
        name = live.ask(plug).decode().strip()
        gone = switch.backends()[int(name[-1])]
        switch.lbctl("backend", "drain", "web4", gone)
        assert name not in switch.names()
        assert name == live.ask(plug).decode().strip()
        switch.lbctl("backend", "restore", "web4", gone)


def explain(switch):
    """The program itself says where a packet would go."""
    vip = f"{live.vip4(WEB)}:80"
    told = switch.lbctl("explain", "tcp", f"{switch.bed.clients[0].ipv4}:4321", vip, "-o", "json")
    verdict = json.loads(told)["verdict"]
    assert verdict.startswith("TO_BACKEND"), told
    return verdict


def capture(switch):
    """Packets are shown as they came, while connections are made."""
    over = threading.Event()

    def go_on():
        while not over.wait(0.2):
            with suppress(OSError):
                switch.names(count=1)

    client = threading.Thread(target=go_on)
    client.start()
    words = ("capture", "--pool", "web4", "--count", "4", "--seconds", "120", "-o", "json")
    try:
        done = switch.typed(*words)
    finally:
        over.set()
        client.join()
    assert 0 == done.returncode, done.stderr
    packets = [line for line in done.stdout.splitlines() if line.startswith("{")]
    assert 4 == len(packets), done.stdout
    return f"{len(packets)} packets"


def killed(switch):
    """Without the daemon, old and new connections go on."""
    with switch.inside("client0", live.connect, live.vip4(WEB), 80) as plug:
        name = live.ask(plug)
        switch.kill()
        assert name == live.ask(plug)
        assert {"server0", "server1"} == set(switch.names(count=2 * TRIES))
