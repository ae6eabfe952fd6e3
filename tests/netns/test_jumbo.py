"""Jumbo frames: larger than a page, in several buffers, through a program that is loaded for it."""

from __future__ import annotations

import hashlib
import json

import pytest

from lbctl.testbed import namespaces
from lbctl.testbed.server import content
from tests.netns.live import PATIENCE, network, server_address, vip4, vip6
from tests.netns.live import Switch as Live

MTU = 9000
SIZE = 20_000_000


@pytest.fixture(scope="module")
def live():
    """A test bed all of whose cables take jumbo frames, with a daemon and no NIC attached."""
    with network(clients=1, backends=1) as bed:
        for role in bed.plan.roles:
            space = bed.plan.namespace(role)
            links = json.loads(bed.run(role, ["ip", "-j", "link"]).stdout)
            names = [link["ifname"] for link in links if link["ifname"] != "lo"]
            namespaces.ip(space, [f"link set dev {name} mtu {MTU}" for name in names])
        made = Live(bed)
        made.start()
        yield made


def received(live, role):
    """Bytes and packets that a host has received, since it had its NIC."""
    (link,) = [
        link
        for link in json.loads(live.bed.run(role, ["ip", "-j", "-s", "link"]).stdout)
        if link["ifname"] != "lo"
    ]
    return link["stats64"]["rx"]


@pytest.mark.parametrize("family", [4, 6])
def test_a_large_body_in_large_frames(live, family):
    """Every byte arrives, and in frames that no page could hold."""
    live.lbctl("attach", *live.bed.plan.nics, "--mode", "native")
    vip = vip4(10) if family == 4 else vip6(10)
    backend = server_address(live.bed.servers[0], family)
    live.pool(f"web{family}", f"{vip}:80/tcp", [backend])
    before = received(live, "client0")

    found = live.bed.run(
        "client0",
        ["curl", "-sS", "-g", "--max-time", str(int(PATIENCE)), f"http://{vip}/big?bytes={SIZE}"],
        text=False,
    ).stdout

    after = received(live, "client0")
    got = {name: after[name] - before[name] for name in ("bytes", "packets")}
    assert content(SIZE)[1] == hashlib.sha256(found).hexdigest()
    assert got["bytes"] / got["packets"] > MTU / 2
    assert {mode for _, mode in live.tags()} == {"native"}


def test_explain_runs_such_a_program_too(live):
    """It shares tables with the others, and these are for programs of one kind only."""
    told = live.json("explain", "tcp", "198.51.100.11:4000", f"{vip4(10)}:80")

    assert told["verdict"] == "TO_BACKEND_NEW"
