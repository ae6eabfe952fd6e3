"""
Side by side with IPVS: the kernel's own balancer and lbctl, on one machine with the same servers.

Each has a VIP; what a client sees of the one is held against what it sees of the other.
"""

from __future__ import annotations

import subprocess
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from tests.netns import live as tests
from tests.system.kernels.inside import live

if TYPE_CHECKING:
    from tests.system.kernels.inside.report import Report

THEIRS = 50  # position of their VIP
PORT = 80  # of the servers, for IPVS; lbctl has the other


class Lbctl:
    """Our balancer, by lbctl's commands."""

    def __init__(self, switch) -> None:
        self.switch, self.vip = switch, tests.vip4(live.WEB)

    def drain(self, number):
        """Give it no new connections."""
        self.switch.lbctl("backend", "drain", "web4", self.switch.backends()[number])

    def restore(self, number):
        """Give it new ones again."""
        self.switch.lbctl("backend", "restore", "web4", self.switch.backends()[number])


class Ipvs:
    """The kernel's, by ipvsadm in the switch's namespace."""

    def __init__(self, switch) -> None:
        self.switch, self.vip = switch, tests.vip4(THEIRS)
        subprocess.run(["modprobe", "-a", "ip_vs", "ip_vs_rr"], check=True)
        self._run("ip", "address", "add", f"{self.vip}/32", "dev", "lo")
        self._run("ipvsadm", "-A", "-t", f"{self.vip}:80", "-s", "rr")
        for server in switch.backends(port=PORT):
            self._run("ipvsadm", "-a", "-t", f"{self.vip}:80", "-r", server, "-m", "-w", "1")

    def _run(self, *command):
        done = self.switch.bed.run("switch", command)
        assert 0 == done.returncode, done.stderr

    def _weigh(self, number, weight):
        server = self.switch.backends(port=PORT)[number]
        self._run("ipvsadm", "-e", "-t", f"{self.vip}:80", "-r", server, "-m", "-w", str(weight))

    def drain(self, number):
        """Give it no new connections."""
        self._weigh(number, 0)

    def restore(self, number):
        """Give it new ones again."""
        self._weigh(number, 1)


def side_by_side(report: Report) -> None:
    """The same questions to both; equal answers are what is wanted."""
    with live.started(report) as switch:
        report.step("IPv4", partial(live.answered, switch, tests.vip4(live.WEB)))
        report.step("IPv6", partial(live.answered, switch, tests.vip6(live.WEB)))
        both = [Lbctl(switch), Ipvs(switch)]
        for name, question in (
            ("all servers answer", everybody),
            ("an open connection outlives a drain", outlives),
            ("a server that comes back", restored),
        ):
            report.step(f"IPVS: {name}", partial(_compare, both, question))
        report.step("IPVS: a dead server, nobody checking", partial(unchecked, switch, both))
        report.step("IPVS: a dead server, lbctl checking", partial(checked, switch, both[0]))


def _compare(both, question):
    ours, theirs = (question(one) for one in both)
    assert ours == theirs, f"lbctl: {ours}, IPVS: {theirs}"
    return f"both: {ours}"


def everybody(one):
    """Who answers new connections."""
    return sorted(set(one.switch.names(one.vip, 2 * live.TRIES)))


def outlives(one):
    """What a client sees whose server is drained, and who then has the new connections."""
    with closing(one.switch.inside("client0", tests.connect, one.vip, 80)) as plug:
        name = tests.ask(plug).decode().strip()
        one.drain(int(name[-1]))
        stays = tests.ask(plug).decode().strip() == name
        others = set(one.switch.names(one.vip)) - {name}
        one.restore(int(name[-1]))
    return f"it goes on: {stays}, new ones to {len(others)} other"


def restored(one):
    """A server that was drained and restored has connections again."""
    one.drain(0)
    one.restore(0)
    return everybody(one)


def unchecked(switch, both):
    """
    A server's program has ended: of the one, clients get to hear that at times.

    Of ours they do not: the refusal is withheld, and their next try finds another server.
    """
    ours, theirs = (dead(switch, one) for one in both)
    assert "none is refused" == ours
    return f"lbctl: {ours}, IPVS: {theirs}"


def dead(switch, one):
    """Whether new connections are refused when a server's program has ended."""
    (server, *_) = [child for child in switch.bed._children if "server0" in child.args]
    if server.poll() is None:
        server.kill()
        server.wait()
    refused = 0
    for _ in range(2 * live.TRIES):
        try:
            one.switch.names(one.vip, 1)
        except ConnectionRefusedError:
            refused += 1
    return "some are refused" if refused else "none is refused"


def checked(switch, ours):
    """With a health check all new connections are answered by the living."""
    switch.lbctl("pool", "set", "web4", "--check", "tcp")
    tests.until(
        lambda: any(row["state"] == "down" for row in switch.api.backends("web4")),
        "nobody notices",
    )
    assert {"server1"} == set(switch.names(ours.vip))
