"""
Network applications: they have no privilege, they die, hang and do wrong, and nobody else minds.

Each runs as a process of its own, as the user nobody; see tests/support/network_app.py.
"""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from lbctl import netif
from lbctl.errors import NotFound
from tests.netns.live import PATIENCE, datagrams, grown, switch, until, vip4

PROGRAM = Path(__file__).parents[1] / "support" / "network_app.py"
NOBODY = 65534
VOIP, DNS = (vip4(20), 5060), (vip4(21), 53)
TCP = (vip4(20), 5061)
MIB = 1 << 20
FEW = 256  # frames: soon used up


@pytest.fixture(scope="module")
def live():
    """Two applications, one by each outer NIC, and the pool of somebody else."""
    with switch() as live:
        who = ("--user", "nobody", "--frames", FEW, "--hung-after", 0)
        live.lbctl("app", "add", "voip", "--vip", "{}:{}/udp".format(*VOIP), *nic(0), *who)
        live.lbctl("app", "set", "voip", "--add-vip", "{}:{}/tcp".format(*TCP))
        live.lbctl("app", "add", "dns", "--vip", "{}:{}/udp".format(*DNS), *nic(1), *who)
        live.pool("web", f"{vip4(22)}:80/tcp", live.backends())
        with running(live, "dns"):
            yield live


def nic(number):
    """The option for the NIC of the clients with this parity."""
    return "--nic", f"ext{number}"


class App:
    """A running application."""

    def __init__(self, live, name="voip", manners="echo", user=NOBODY):
        self.live, self.name = live, name
        path = live.socket.with_suffix(".apps")
        self.process = live.bed.popen(
            None,
            [sys.executable, str(PROGRAM), name, str(path), manners],
            stdout=subprocess.PIPE,
            text=True,
            user=user,
            group=user,
            extra_groups=[],
        )
        self.first = self.line()

    def line(self):
        """What it says next; it may take its time."""
        return self.process.stdout.readline().strip()

    def kill(self):
        """End it as if memory had run out."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def signal(self, number):
        """Send it a signal."""
        self.process.send_signal(number)


@contextlib.contextmanager
def running(live, *arguments, **options):
    """An application that runs, and is ended."""
    app = App(live, *arguments, **options)
    try:
        assert "ready" == app.first
        yield app
    finally:
        app.signal(signal.SIGCONT)
        app.kill()
        app.process.stdout.close()
        until(lambda: state(live, app.name)["state"] == "stopped", "its end is not seen")


def refused(live, status, *arguments, **options):
    """Start an application that is refused; returns the line that says why."""
    app = App(live, *arguments, **options)
    with app.process.stdout:
        assert status == app.process.wait(PATIENCE)
    return app.first


def state(live, name="voip"):
    """How an application does."""
    return live.api.app(name)


def echoes(live, where=VOIP, client="client0", tries=1):
    """Send a datagram and look whether it comes back, in one of so many tries."""
    with closing(live.inside(client, datagrams)) as plug:
        plug.settimeout(0.5 if tries > 1 else PATIENCE)
        for _ in range(tries):
            plug.sendto(b"hello", where)
            with contextlib.suppress(TimeoutError):
                assert (b"hello", where) == plug.recvfrom(100)
                return True
    return False


def flood(live, count, where=VOIP):
    """Send so many datagrams from client0 that all of them arrive at the switch."""
    before = live.verdicts().get("TO_APP", 0)
    with closing(live.inside("client0", datagrams)) as plug:
        for sent in range(count):
            plug.sendto(b"hello", where)
            if sent % 64 == 63:
                until(lambda n=sent: live.verdicts()["TO_APP"] > before + n, "packets are missing")
        until(lambda: live.verdicts()["TO_APP"] >= before + count, "packets are missing")


def descriptors(live):
    """What lbctld has open, by kind."""
    found = []
    for link in Path(f"/proc/{live.daemon.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed by now
            found.append(re.sub(r":.*", "", str(link.readlink())))
    return Counter(found)


def resident(live):
    """Bytes of memory that lbctld has, its tables apart."""
    status = Path(f"/proc/{live.daemon.pid}/status").read_text(encoding="ascii")
    return int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) * 1024


def total(live, *names, app="voip"):
    """The sum of counters over all ports."""
    return sum(port[name] for port in state(live, app)["ports"] for name in names)


def others_serve(live):
    """The other application echoes, and the pool is served."""
    assert echoes(live, DNS, "client1")
    assert 0 == live.curl(f"http://{vip4(22)}/").returncode


def test_an_application_without_privilege_echoes(live):
    """
    Its answers come from the VIP; the command line knows who runs it, and where.
    """
    with running(live) as app:
        assert echoes(live)

        found = state(live)
        assert ("running", app.process.pid, "nobody") == (
            found["state"],
            found["pid"],
            found["run_by"],
        )
        assert {"ext0"} == {port["nic"] for port in found["ports"]}
        until(lambda: total(live, "received") >= 1, "nothing is counted")
    assert (None, "stopped") == (state(live)["pid"], state(live)["state"])


def test_what_it_asks_for_is_refused_in_one_line(live):
    """
    Another's user, a second one of the same, a name that there is not.
    """
    with running(live):
        assert "app 'voip' is running already: pid" in refused(live, 4)
        line = refused(live, 6, user=NOBODY - 1)
    assert "only nobody and root may run it" in line
    assert "there is no app 'fax'; see `lbctl app list`" in refused(live, 3, "fax")


def test_a_vip_and_a_queue_belong_to_one(live):
    """
    A second application for a VIP is refused when it is added, one for a queue when it starts.
    """
    udp = "{}:{}/udp".format(*VOIP)
    line = live.refused(4, "app", "add", "fax", "--vip", udp)
    assert "voip" in line
    live.lbctl("app", "add", "fax", "--vip", f"{vip4(23)}:1/udp", *nic(0), "--user", "nobody")
    try:
        with running(live):
            line = refused(live, 4, "fax")
    finally:
        live.lbctl("app", "remove", "fax")

    assert "NIC 'ext0' queue 0 belongs to app 'voip'" in line
    assert "--queue" in line


def falls_to_reset(live):
    """TCP is answered by a reset, and UDP dropped."""
    with pytest.raises(ConnectionRefusedError):
        live.inside("client0", socket.create_connection, TCP, 10)
    return falls_to_drop(live)


def falls_to_drop(live):
    """The packet is counted where it was dropped."""
    before = live.verdicts()
    with closing(live.inside("client0", datagrams)) as plug:
        plug.sendto(b"anybody there?", VOIP)
        until(
            lambda: grown(before, live.verdicts()).get("DROP_APP_GONE"),
            "it is not counted",
        )
    assert "DROP_APP_GONE" in state(live)["verdicts"]


def falls_to_kernel(live):
    """Whoever listens there on the switch gets it."""
    live.ip("switch", f"address add {VOIP[0]}/32 dev lo")
    try:
        with closing(live.inside("switch", listener)) as plug:
            with closing(live.inside("client0", datagrams)) as client:
                client.sendto(b"to the kernel", VOIP)
            assert b"to the kernel" == plug.recv(100)
    finally:
        live.ip("switch", f"address del {VOIP[0]}/32 dev lo")


def listener():
    """A plain socket at the VIP."""
    plug = datagrams(port=VOIP[1])
    plug.settimeout(PATIENCE)
    return plug


@pytest.mark.parametrize(
    ("on_exit", "falls"),
    [("reset", falls_to_reset), ("drop", falls_to_drop), ("kernel", falls_to_kernel)],
)
def test_killed_amid_a_batch_packets_go_where_the_configuration_says(live, on_exit, falls):
    """
    While it holds packets; the change of on-exit itself disturbs nobody.
    """
    exits = state(live)["exits"]
    with running(live, "voip", "hold") as app:
        flood(live, 10)
        assert app.line().startswith("holds")
        live.lbctl("app", "set", "voip", "--on-exit", on_exit)
        app.kill()
        until(lambda: state(live)["state"] == "stopped", "its end is not seen")
        falls(live)
    assert exits + 1 == state(live)["exits"]
    assert "has ended: pid" in live.lbctl("events", "--kind", "app").splitlines()[-1]


def test_it_comes_back_at_once_and_nothing_is_left_of_it(live):
    """
    Again and again, without a pause; lbctld has afterwards what it had before.
    """
    with running(live):
        pass
    before, memory = descriptors(live), resident(live)
    for _ in range(5):
        app = App(live)
        assert "ready" == app.first
        assert echoes(live)
        app.kill()
        app.process.stdout.close()

    until(lambda: not descriptors(live) - before, "descriptors are left")
    assert resident(live) - memory < 8 * MIB


def test_what_never_gives_a_buffer_back_starves_alone(live):
    """
    Every packet is counted: those that it has, and those that there was no buffer for.
    """
    with running(live, "voip", "hold"):
        flood(live, 2 * FEW)
        until(
            lambda: total(live, "received", "rx_dropped", "rx_ring_full") >= 2 * FEW,
            "packets are not counted",
        )
        assert 0 < total(live, "rx_dropped", "rx_ring_full")
        assert total(live, "received") <= FEW
        others_serve(live)


def test_a_packet_sent_twice_is_refused_before_the_kernel_sees_it(live):
    """
    And the application goes on.
    """
    with running(live, "voip", "twice") as app:
        assert echoes(live)
        assert app.line().startswith("FrameError this batch was transmitted")
        assert echoes(live)
        until(lambda: total(live, "invalid"), "it is not counted")
        assert 0 == total(live, "tx_invalid")
        others_serve(live)


def test_wrong_descriptors_are_the_kernels_to_refuse(live):
    """
    Written past all checks of the library; they are counted and do no harm.
    """
    with running(live, "voip", "wrong") as app:
        flood(live, FEW)  # the kernel looks at what is in the fill ring when it needs it
        assert "wrote" == app.line()
        assert "all are refused" == app.line()
        others_serve(live)


def test_what_is_slower_than_its_packets_loses_its_own(live):
    """
    They are counted as lost, and nobody else's are.
    """
    with running(live, "voip", "slow"):
        before = state(live)["verdicts"]
        flood(live, 2 * FEW)
        others_serve(live)
        until(lambda: total(live, "rx_dropped", "rx_ring_full"), "they are not counted")
        assert {"TO_APP": 2 * FEW} == grown(before, state(live)["verdicts"])


def test_traffic_goes_on_while_lbctld_does_not_and_the_next_one_knows(live):
    """
    Its sockets outlive the daemon; it makes itself known again, without a thread.
    """
    with running(live) as app:
        assert echoes(live)
        live.kill()
        assert echoes(live)
        live.start()
        until(lambda: state(live)["pid"] == app.process.pid, "it is not known again")
        assert "running" == state(live)["state"]
        assert echoes(live)
        until(lambda: total(live, "received") >= 3, "what it counted is lost")


def test_a_hung_application_loses_its_packets_until_it_looks_again(live):
    """
    Where they go meanwhile, the configuration says.
    """
    live.lbctl("app", "set", "voip", "--hung-after", 0.5, "--on-exit", "drop")
    try:
        with running(live) as app:
            assert echoes(live)
            app.signal(signal.SIGSTOP)
            until(
                lambda: not echoes(live, tries=2) and state(live)["state"] == "hung",
                "nobody notices that it hangs",
            )
            falls_to_drop(live)

            app.signal(signal.SIGCONT)
            until(lambda: state(live)["state"] == "running", "it does not come back")
            assert echoes(live, tries=5)
            assert 1 == state(live)["hung_count"]
    finally:
        live.lbctl("app", "set", "voip", "--hung-after", 0)


def test_removed_and_changed_it_is_told(live):
    """
    It ends by an error, and packets do not go to it any more.
    """
    live.lbctl("app", "add", "fax", "--vip", f"{vip4(23)}:1/udp", *nic(0), "--user", "nobody")
    with running(live, "fax") as app:
        live.lbctl("app", "set", "fax", "--frames", 512)
        assert "was changed or removed" in app.line()
    again = App(live, "fax")
    with again.process.stdout:
        assert "ready" == again.first
        live.lbctl("app", "remove", "fax")
        assert "there is no app 'fax'" in again.line()


def test_it_learns_routes(live):
    """
    By which NIC, and with which MACs; or why not.
    """
    server = live.bed.servers[0].ipv4
    with netif.open("voip", live.socket.with_suffix(".apps")) as interface:
        route = interface.route(server)
        assert ("int0", 1500, None) == (route.nic, route.mtu, route.queue)
        assert interface.route(live.bed.clients[0].ipv4).queue == 0
        with pytest.raises(NotFound, match="does not answer ARP"):
            interface.route("198.51.100.77")
