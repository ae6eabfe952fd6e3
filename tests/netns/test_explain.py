"""
Explaining, on a switch that is alive: what it says of packets, and that it leaves them alone.
"""

from __future__ import annotations

import socket
from contextlib import closing

import pytest
from pyroute2 import IPRoute
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.utils import PcapNgWriter

from tests.netns.live import ask, connect, grown, server_address, switch, until, vip4, vip6

WEB, ALONE, GONE = 10, 20, 30


@pytest.fixture(scope="module")
def live():
    """Pools of all servers for each family, of a single one, and of a server that is not there."""
    with switch() as live:
        live.pool("web4", f"{vip4(WEB)}:80/tcp", live.backends())
        live.pool("web6", f"{vip6(WEB)}:80/tcp", live.backends(6))
        live.pool("alone", f"{vip4(ALONE)}:80/tcp", live.backends()[:1], "--on-unknown", "drop")
        live.pool("gone", f"{vip4(GONE)}:80/tcp", ["10.0.1.200:80"], "--force")
        yield live


def explain(live, *words):
    """Explain a packet."""
    return live.json("explain", *words)


def place(address, port):
    """Write both as one."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def stage(told, name):
    """What one stage said."""
    return next(one["text"] for one in told["stages"] if one["stage"] == name)


@pytest.mark.parametrize("family", [4, 6])
def test_what_is_foretold_of_a_new_connection_happens(live, family):
    """
    The back-end that a SYN would get is the one that the connection then has.
    """
    vip = vip4(WEB) if family == 4 else vip6(WEB)
    client = live.bed.clients[0]
    host = str(client.ipv4 if family == 4 else client.ipv6)
    told = explain(live, "tcp", place(host, 45_000 + family), f"{vip}:80")
    with closing(live.inside("client0", from_port, 45_000 + family, vip, family)) as plug:
        body = ask(plug)
        (row,) = live.json("connection", "list", "--client", place(host, 45_000 + family))

    assert ("TO_BACKEND_NEW", row["backend"]) == (told["verdict"], told["backend"])
    assert ("ext0", f"web{family}") == (told["in_nic"], told["pool"])
    server = next(s for s in live.bed.servers if told["backend"] in addresses(s))
    assert f"{server.role}\n" == body.decode()
    assert server.net.nic == told["out_nic"]


def addresses(server):
    """A server's addresses as a back-end."""
    return server_address(server, 4), server_address(server, 6)


def from_port(port, vip, family):
    """Connect from a port that was chosen."""
    plug = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6)
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    plug.bind(("", port))
    plug.settimeout(10)
    plug.connect((vip.strip("[]"), 80))
    return plug


def test_a_live_connection_is_left_alone(live):
    """
    Both of its directions are known; no counter moves and its time of last use stays.
    """
    with closing(live.inside("client0", connect, vip4(WEB), 80)) as plug:
        ask(plug)
        client = place(*plug.getsockname())
        row = until(
            lambda: next(
                (r for r in live.json("connection", "list", "--client", client)
                 if r["idle_seconds"] >= 1), None),
            "the connection is never idle",
        )  # fmt: skip
        before = live.api.stats()
        forward = explain(live, "tcp", client, f"{vip4(WEB)}:80")
        back = explain(live, "tcp", row["backend"], client)
        error = explain(live, "tcp", client, f"{vip4(WEB)}:80", "--icmp", "too-big")
        (after,) = live.json("connection", "list", "--client", client)

        assert before["backends"] == live.api.stats()["backends"]
        assert before["services"] == live.api.stats()["services"]
        assert after["idle_seconds"] >= row["idle_seconds"]
        assert b"server" in ask(plug)
    assert ["TO_BACKEND", "TO_CLIENT", "TO_BACKEND_ICMP"] == [
        told["verdict"] for told in (forward, back, error)
    ]
    assert {row["backend"]} == {told["backend"] for told in (forward, back, error)}
    assert {"established"} == {told["connection"]["state"] for told in (forward, back, error)}
    mac = mac_of(live, "client0")
    assert mac == back["rewritten"]["destination_mac"]["after"]
    assert f"from {mac} ({live.bed.clients[0].ipv4})" in stage(forward, "arrive")


def mac_of(live, role):
    """The MAC of a host of the test bed."""
    return live.inside(role, read_mac)


def read_mac():
    """Ask the kernel for the MAC of the only NIC."""
    with IPRoute() as kernel:
        return next(
            link.get_attr("IFLA_ADDRESS") for link in kernel.get_links()
            if link.get_attr("IFLA_IFNAME") != "lo"
        )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "verdict", "following"),
    [
        ((f"{vip4(WEB)}:81",), "RESET", "lbctl vip list"),
        ((f"{vip4(GONE)}:80",), "DROP_NO_NEIGHBOR", "ping -c 1 10.0.1.200"),
        ((f"{vip4(WEB)}:80", "--ttl", "1"), "DROP_TTL_EXPIRED", None),
        (
            (f"{vip4(ALONE)}:80", "--flags", "ACK"),
            "DROP_NO_CONNECTION",
            "lbctl connection list --client 198.51.100.11",
        ),
        ((f"{vip4(WEB)}:80", "--length", "3000"), "TOO_BIG_REPLY", None),
    ],
)
def test_why_packets_do_not_arrive(live, words, verdict, following):
    """
    The reason, and what to type; exit status 0 all the same.
    """
    told = explain(live, "tcp", "198.51.100.11:45100", *words)

    assert verdict == told["verdict"]
    assert told["next"]
    assert following in (None, told["next"])


def test_nobody_serves(live):
    """
    When its only back-end is drained.
    """
    backend = live.backends()[0]
    live.lbctl("backend", "drain", "alone", backend)
    told = explain(live, "tcp", "198.51.100.11:45101", f"{vip4(ALONE)}:80")
    live.lbctl("backend", "restore", "alone", backend)

    assert ("DROP_NO_BACKEND", "lbctl pool show alone") == (told["verdict"], told["next"])
    assert f"{backend} is draining" in stage(told, "select")


def test_refusals(live):
    """
    One line, and the exit status of its kind.
    """
    words = ("explain", "tcp", "198.51.100.11:1", f"{vip4(WEB)}:80")

    assert "NIC 'eth7' is not attached" in live.refused(3, *words, "--in", "eth7")
    assert "has no port" in live.refused(2, "explain", "tcp", "198.51.100.11", vip4(WEB))
    assert "there is no such file" in live.refused(3, "explain", "--pcap", "/nothing.pcap")


def test_what_tcpdump_captured(live):
    """
    A request as a client sent it, captured on its NIC: every packet is known for what it is.
    """
    path = live.bed.folder / "client.pcap"
    nic = live.inside("client0", nic_name)
    command = ["tcpdump", "-i", nic, "-U", "-w", str(path), f"host {vip4(WEB)} and tcp"]
    with (live.bed.folder / "tcpdump.log").open("w+") as log:
        dump = live.bed.popen("client0", command, stderr=log)
        until(lambda: "listening on" in (live.bed.folder / "tcpdump.log").read_text(), "no tcpdump")
        with closing(live.inside("client0", connect, vip4(WEB), 80)) as plug:
            ask(plug)
            client = place(*plug.getsockname())
            until(lambda: path.stat().st_size > 500, "tcpdump sees nothing")
            dump.terminate()
            dump.wait(10)
            told = live.json("explain", "--pcap", path)
            table = live.lbctl("explain", "--pcap", path, "--limit", "2")

    mine = [row for row in told if f" {client} > " in row["packet"]]
    assert {"web4"} == {row["pool"] for row in mine}
    assert {"TO_BACKEND"} == {row["verdict"] for row in mine if "SYN" not in row["packet"]}
    # what the VIP says to the client was never for the switch
    assert {"TO_KERNEL_OTHER_MAC"} == {r["verdict"] for r in told if f"> {client}" in r["packet"]}
    assert 3 == len(table.splitlines())


def nic_name():
    """The name of the only NIC in the calling thread's namespace."""
    return next(name for _, name in socket.if_nameindex() if name != "lo")


def test_a_capture_of_elsewhere(live):
    """
    For another station's MAC, unless it is to be for the NIC's.
    """
    path = live.bed.folder / "elsewhere.pcapng"
    packet = IP(src="198.51.100.11", dst=vip4(WEB)) / TCP(sport=45102, dport=80, flags="S")
    with PcapNgWriter(str(path)) as writer:
        writer.write(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / packet)
    (strange,), (ours,) = (
        live.json("explain", "--pcap", path),
        live.json("explain", "--pcap", path, "--to-nic", "--in", "ext1"),
    )

    assert ("TO_KERNEL_OTHER_MAC", "ext0") == (strange["verdict"], strange["in_nic"])
    assert ("TO_BACKEND_NEW", "ext1") == (ours["verdict"], ours["in_nic"])


def test_it_outlives_the_daemon(live):
    """
    What was compiled once is not again by the next daemon; counters of drops are what they were.
    """
    words = ("tcp", "198.51.100.11:45103", f"{vip4(WEB)}:80")
    first = explain(live, *words)
    folder = live.pin_dir / "explain" / "programs"
    made = folder.stat().st_ctime_ns, [path.stat().st_ino for path in folder.iterdir()]
    live.end()
    live.start()

    assert first == explain(live, *words)
    assert made == (folder.stat().st_ctime_ns, [path.stat().st_ino for path in folder.iterdir()])


def test_traffic_goes_on_meanwhile(live):
    """
    Requests are answered while packets are explained, and all drops are explained away.
    """
    before = live.verdicts()
    with closing(live.inside("client1", connect, vip4(WEB), 80)) as plug:
        for number in range(10):
            explain(live, "tcp", f"198.51.100.11:{46000 + number}", f"{vip4(GONE)}:80")
            assert ask(plug)
    assert "DROP_NO_NEIGHBOR" not in grown(before, live.verdicts())
