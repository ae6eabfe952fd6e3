"""
The test bed: everybody reaches everybody, XDP works on its cables, and nothing of it stays behind.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
from functools import partial
from itertools import product
from pathlib import Path
from uuid import uuid4

import pytest

from lbctl.errors import Conflict, NotFound
from lbctl.shared import syscall
from lbctl.testbed import Testbed, namespaces
from lbctl.testbed import testbed as testbed_module
from lbctl.testbed.processes import environment

FETCH = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=5).read().decode())"
FRAMES = 300
SO_RCVBUFFORCE = 33
EXPERIMENTAL = 0x88B5  # an Ethernet type that nobody else uses


def unique():
    """A prefix of which there is one."""
    return f"lbt{uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def bed():
    """Two clients, three servers, and a router past the switch."""
    with Testbed(unique(), dsr=True) as made:
        yield made


@pytest.mark.parametrize(("client", "server", "family"), list(product((0, 1), (0, 1, 2), (4, 6))))
def test_every_client_reaches_every_server(bed, client, server, family):
    """
    Through the switch's kernel, as long as there is no switching processor.
    """
    host = bed.servers[server]
    address = str(host.ipv4) if family == 4 else f"[{host.ipv6}]"

    done = bed.run(f"client{client}", [sys.executable, "-c", FETCH, f"http://{address}:8080/"])

    assert host.role == done.stdout.strip(), done.stderr


def test_bulk_arrives_whole(bed):
    """
    Checksums are right, though nobody offloads them.
    """
    url = f"http://{bed.servers[1].ipv4}/big?bytes=5000000"
    command = [sys.executable, "-m", "lbctl.testbed.load", "--requests=4", url]

    account = json.loads(bed.run("client0", command).stdout.splitlines()[-1])

    assert (4, {}) == (account["ok"], account["failures"])


def instruction(code, dst=0, src=0, offset=0, value=0):
    """One BPF instruction."""
    return struct.pack("=BBhi", code, src << 4 | dst, offset, value)


def reflector(*end):
    """A program that swaps the MACs of frames of EXPERIMENTAL, and passes all others."""
    load_word, load_half, store_word, store_half = 0x61, 0x69, 0x63, 0x6B
    body = [
        instruction(load_half, 5, 2, 12),
        instruction(0x55, 5, 0, 8 + len(end), socket.htons(EXPERIMENTAL)),  # if other: pass
        instruction(load_word, 5, 2, 0),
        instruction(load_half, 6, 2, 4),
        instruction(load_word, 7, 2, 6),
        instruction(load_half, 8, 2, 10),
        instruction(store_word, 2, 7, 0),
        instruction(store_half, 2, 8, 4),
        instruction(store_word, 2, 5, 6),
        instruction(store_half, 2, 6, 10),
        *end,
    ]
    begin = [
        instruction(load_word, 2, 1, 0),  # data
        instruction(load_word, 3, 1, 4),  # data_end
        instruction(0xBF, 4, 2),
        instruction(0x07, 4, 0, 0, 14),
        instruction(0x2D, 4, 3, len(body)),  # if the frame is too short: pass
    ]
    passing = [instruction(0xB7, 0, 0, 0, syscall.PASS), instruction(0x95)]
    return b"".join([*begin, *body, *passing])


def back():
    """Back out of the same NIC."""
    return reflector(instruction(0xB7, 0, 0, 0, syscall.TX), instruction(0x95))


def to(ifindex):
    """Out of another NIC."""
    return reflector(
        instruction(0xB7, 1, 0, 0, ifindex),
        instruction(0xB7, 2),
        instruction(0x85, 0, 0, 0, 23),  # bpf_redirect
        instruction(0x95),
    )


@pytest.mark.parametrize(
    "mode", [syscall.MODE_NATIVE, syscall.MODE_GENERIC], ids=["native", "generic"]
)
@pytest.mark.parametrize("way", ["back", "to int0", "to ext1"])
def test_frames_of_xdp_arrive(bed, mode, way):
    """
    What is sent back by XDP_TX, or redirected to another NIC: veth loses it if not set up for it.
    """
    listener = {"back": "client0", "to int0": "server0", "to ext1": "client1"}[way]
    ear = namespaces.call(bed.plan.namespace(listener), open_ear)
    link = namespaces.call(bed.switch, partial(attach, way, mode))
    try:
        target = namespaces.call(bed.switch, partial(mac_of, "ext0"))
        namespaces.call(bed.clients[0].namespace, partial(send_frames, target))
        heard = sum(1 for _ in frames(ear))
    finally:
        ear.close()
        syscall.link_detach(link)
        os.close(link)

    assert FRAMES == heard


def attach(way, mode):
    """Give ext0 the program for that way."""
    code = back() if way == "back" else to(socket.if_nametoindex(way.removeprefix("to ")))
    program = syscall.prog_load(code, "reflector")
    try:
        return syscall.link_create(program, socket.if_nametoindex("ext0"), mode)
    finally:
        os.close(program)


def open_ear():
    """Hear frames of our type on eth0."""
    ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EXPERIMENTAL))
    ear.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 21)
    ear.bind(("eth0", EXPERIMENTAL))
    ear.settimeout(0.5)
    return ear


def frames(ear):
    """Incoming frames, until there are no more."""
    while True:
        try:
            frame, origin = ear.recvfrom(2000)
        except TimeoutError:
            return
        if origin[2] != socket.PACKET_OUTGOING:
            yield frame


def mac_of(nic):
    """The MAC of a NIC of the calling thread's namespace."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as plug:
        plug.bind((nic, 0))
        return plug.getsockname()[4]


def send_frames(target):
    """Send more frames than the ring of a veth holds: it loses what nobody fetches."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as plug:
        plug.bind(("eth0", 0))
        frame = target + plug.getsockname()[4] + EXPERIMENTAL.to_bytes(2, "big") + bytes(50)
        for _ in range(FRAMES):
            plug.send(frame)


def test_servers_answer_from_a_vip_past_the_switch(bed):
    """
    With --dsr: the VIPs are theirs, and what comes from one leaves by the router.
    """
    four = bed.run("server1", ["ip", "route", "get", "198.51.100.11", "from", "203.0.113.10"])
    six = bed.run("server1", ["ip", "route", "get", "2001:db8:1::11", "from", "2001:db8:f::10"])
    own = bed.run("server1", ["ip", "route", "get", "198.51.100.11"])

    assert "via 10.0.2.254" in four.stdout
    assert "via 2001:db8:b::254" in six.stdout
    assert "via 10.0.2.1 " in own.stdout


@pytest.mark.parametrize("vip", ["203.0.113.77", "2001:db8:f::77"])
def test_servers_do_not_answer_arp_for_a_vip(bed, vip):
    """
    Or traffic would pass the switch by.
    """
    nic = ["dev", "int0"]
    bed.run("switch", ["ip", "route", "add", vip, *nic])
    try:
        command = f"import socket; socket.create_connection(({vip!r}, 80), 20)"
        bed.run("switch", [sys.executable, "-c", command])  # ends when nobody has answered
        known = bed.run("switch", ["ip", "neigh", "show", vip, *nic]).stdout
    finally:
        bed.run("switch", ["ip", "route", "del", vip, *nic])

    assert "FAILED" in known or not known


def lbctl(*words):
    """Run the command line."""
    command = [sys.executable, "-m", "lbctl", *words]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)


def test_the_commands_make_show_and_remove_it():
    """
    Another process each: what there is is known from the outside.
    """
    prefix = unique()
    with_prefix = ("--prefix", prefix)
    try:
        assert 0 == lbctl("testbed", "up", "--backends=2", *with_prefix).returncode
        status = lbctl("testbed", "status", "-o", "json", *with_prefix)
        servers = [row for row in json.loads(status.stdout)["hosts"] if "server" in row["role"]]
        again = lbctl("testbed", "up", *with_prefix)
    finally:
        down = lbctl("testbed", "down", *with_prefix)

    assert 2 == len(servers)
    assert all("lbctl.testbed.server" in row["runs"][0] for row in servers)
    assert (4, f"`lbctl testbed down --prefix {prefix}`") == (
        again.returncode,
        again.stderr.split(", or ")[1].strip(),
    )
    assert 0 == down.returncode
    assert 3 == lbctl("testbed", "status", *with_prefix).returncode
    assert 3 == lbctl("testbed", "down", *with_prefix).returncode
    pids = [int(row["runs"][0].split("(")[1].rstrip(")")) for row in servers]
    assert not any(alive(pid) for pid in pids)


def alive(pid):
    """Whether it runs; where nobody collects orphans, its number may outlive it."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_nothing_is_left_when_it_cannot_be_made(monkeypatch):
    """
    Whatever the last step was.
    """
    bed = Testbed(unique())
    monkeypatch.setattr(testbed_module, "settled", lambda _plan: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        bed.up()

    assert [] == bed.leftovers()
    assert not bed.file.exists()
    assert not bed.folder.exists()
    assert [] == bed.processes()


def test_what_is_half_gone_is_removed():
    """
    Somebody deleted a namespace and the file of the test bed: the rest is found by its names.
    """
    bed = Testbed(unique(), serve=False)
    bed.up()
    try:
        namespaces.delete(bed.switch)
        bed.file.unlink()
        with pytest.raises(Conflict):
            Testbed(bed.plan.prefix).up()
    finally:
        Testbed.find(bed.plan.prefix).down()

    assert [] == bed.leftovers()
    with pytest.raises(NotFound):
        Testbed.find(bed.plan.prefix)


def test_a_test_bed_leaves_those_of_similar_names_alone():
    """
    "x" and "x-server" both have names that begin with "x-server".
    """
    prefix = unique()
    with Testbed(f"{prefix}-server", clients=1, backends=1, serve=False) as other:
        assert [] == Testbed(prefix).leftovers()
        assert 5 == len(other.leftovers())
