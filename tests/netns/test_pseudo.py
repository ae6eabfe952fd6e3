"""
Programs on the switch talk to everybody through it, by an interface that looks like hardware.
"""

from __future__ import annotations

import json
import socket
from contextlib import closing
from functools import partial

import pytest

from lbctl.testbed import namespaces
from tests.netns.live import connect, grown, read_answer, switch, total, until, vip4, vip6
from tests.netns.programs import PORT, host, serve, talk
from tests.support.exchange import digest_of
from tests.support.sniffer import Sniffer, is_from
from tests.support.sums import sums

HERE = {4: vip4(1), 6: vip6(1).strip("[]")}
WEB = {4: vip4(10), 6: vip6(10)}
FAMILIES = (4, 6)
API = 7999
CERTIFY = [
    "openssl",
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-days",
    "2",
    "-subj",
    "/CN=switch",
]
SMALL, LARGE = 1000, 200_000_000
ROOM = 1500  # bytes of an IP packet on every cable


@pytest.fixture(scope="module")
def live():
    """A switch with a pseudo interface, a program that serves there, and one on each server."""
    with switch() as live:
        live.lbctl("pseudo", "add", "lb0", *addresses())
        for family in FAMILIES:
            serve(live, "switch", HERE[family])
            serve(live, "client0", host(live, "client", 0, family))
            serve(live, "server0", host(live, "server", 0, family))
            live.pool(f"web{family}", f"{WEB[family]}:80/tcp", live.backends(family))
        yield live


def addresses():
    """The addresses of the pseudo interface, as options."""
    return [word for family in FAMILIES for word in ("--address", HERE[family])]


def verdicts(live, *, pseudo):
    """Packets by verdict, of the switch's ends of pseudo interfaces or of the other NICs."""
    stats = live.api.stats()
    nics = [nic for nic in stats["nics"] if nic["name"].endswith("-s") is pseudo]
    return total({"nics": nics})


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("role", ["client0", "client1", "server1"])
@pytest.mark.parametrize("verb", ["fetch", "store", "ask"])
def test_a_program_on_the_switch_serves_all_hosts(live, family, role, verb):
    """
    By TCP and UDP, on both sides of the switch.
    """
    assert digest_of(SMALL) == talk(live, role, verb, HERE[family], SMALL)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["client", "server"])
@pytest.mark.parametrize("verb", ["fetch", "store", "ask"])
def test_a_program_on_the_switch_talks_to_any_host(live, family, kind, verb):
    """
    From an address of the interface; its packets are counted where they enter the switch.
    """
    before = verdicts(live, pseudo=True)

    there = host(live, kind, 0, family)
    assert digest_of(SMALL) == talk(live, "switch", verb, there, SMALL, HERE[family])

    counted = grown(before, verdicts(live, pseudo=True))
    assert counted["FROM_PSEUDO"]
    assert {"FROM_PSEUDO"} == counted.keys()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_program_on_the_switch_is_a_client_of_a_pool(live, family):
    """
    Its connections are balanced like anybody's, over all servers.
    """

    def fetch():
        source = (HERE[family], 0)
        plug = socket.create_connection((WEB[family].strip("[]"), 80), 10, source)
        with closing(plug):
            plug.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            return read_answer(plug)

    found = {live.inside("switch", fetch) for _ in range(40)}

    assert {f"server{number}\n".encode() for number in range(3)} == found


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("verb", ["fetch", "store"])
def test_a_large_transfer_loses_nothing(live, family, verb):
    """
    In either direction, over the other network than the servers'.
    """
    before = live.verdicts()

    assert digest_of(LARGE) == talk(live, "client0", verb, HERE[family], LARGE)

    counted = grown(before, live.verdicts())
    assert {"TO_PSEUDO", "FROM_PSEUDO"} <= counted.keys()
    assert not {name for name in counted if name.startswith("DROP")}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", [56, 1400, 4000])
def test_the_switch_answers_pings(live, family, size):
    """
    Its kernel does, behind the interface.
    """
    settings = {"net.ipv4.ping_group_range": "0 0"}
    namespaces.sysctl(live.bed.plan.namespace("client0"), settings)

    live.inside("client0", partial(ping, HERE[family], size))


def ping(address, size):
    """Have one echo answered."""
    six = ":" in address
    kind = (socket.AF_INET6, socket.IPPROTO_ICMPV6) if six else (socket.AF_INET, 1)
    with socket.socket(kind[0], socket.SOCK_DGRAM, kind[1]) as plug:
        plug.settimeout(10)
        body = bytes(number % 251 for number in range(size))
        plug.sendto(bytes([128 if six else 8, 0, 0, 0, 0, 0, 0, 7]) + body, (address, 0))
        assert body == plug.recv(1 << 16)[8:]


@pytest.mark.parametrize("family", FAMILIES)
def test_datagrams_may_be_as_large_as_a_packet(live, family):
    """
    And larger: fragments are put together behind the interface.
    """
    largest = ROOM - {4: 28, 6: 48}[family]

    assert digest_of(largest) == talk(live, "client0", "ask", HERE[family], largest)
    assert digest_of(4000) == talk(live, "client0", "ask", HERE[family], 4000)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_checksum_that_leaves_is_whole(live, family):
    """
    What a program sends carries the sums that a receiver computes, though no NIC of its host did.
    """
    outside = live.bed.plan.namespace("ext")
    namespaces.offloads(outside, ["switch0"], tx_checksum=False, gro=False)  # merges none
    with live.inside("client0", Sniffer, "eth0") as sniffer:
        for verb in ("fetch", "ask"):
            talk(live, "client0", verb, HERE[family], 100_000 if verb == "fetch" else SMALL)
        frames = sniffer.frames()
    namespaces.offloads(outside, ["switch0"], tx_checksum=False, gro=True)

    ours = [frame for frame in frames if is_from(frame, HERE[family])]
    assert len(ours) > 60
    assert {0} == {value for frame in ours for value in sums(frame).values()}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_api_listens_at_the_control_vip(live, family):
    """
    The daemon is a program on the switch as well.
    """
    shown = f"[{HERE[family]}]" if family == 6 else HERE[family]
    places = {name: live.bed.folder / f"{name}.pem" for name in ("cert", "key")}
    live.bed.run("client0", [*CERTIFY, "-keyout", str(places["key"]), "-out", str(places["cert"])])
    token = live.bed.folder / "token"
    token.write_text("a-token-of-a-test-0123456789\n")
    token.chmod(0o600)
    words = ["--token-file", token, "--tls-cert", places["cert"], "--tls-key", places["key"]]
    live.end()
    live.start("--connections=65536", "--listen", f"{shown}:{API}", *map(str, words))

    header = f"Authorization: Bearer {token.read_text().strip()}"
    done = live.curl(f"https://{shown}:{API}/v1/status", "client0", "-k", "-H", header)

    assert live.generation == json.loads(done.stdout)["generation"], done.stderr


def test_a_transfer_survives_the_daemon(live):
    """
    Killed and started again in the middle of it; the interface is the same one afterwards.
    """
    before = json.loads(live.bed.run("switch", ["ip", "-j", "addr", "show", "dev", "lb0"]).stdout)
    with closing(live.inside("client0", partial(connect, HERE[4], PORT))) as plug:
        plug.sendall(b"fetch %d\n" % LARGE)
        got = len(plug.recv(1 << 16))
        live.kill()
        while got < LARGE // 3:
            got += len(plug.recv(1 << 18))
        live.start()
        while data := plug.recv(1 << 18):
            got += len(data)

    assert LARGE == got
    after = json.loads(live.bed.run("switch", ["ip", "-j", "addr", "show", "dev", "lb0"]).stdout)
    assert before == after


def test_what_is_deleted_by_hand_comes_back(live):
    """
    An address, and the whole interface.
    """
    live.ip("switch", f"addr del {HERE[4]}/32 dev lb0")
    until(lambda: reachable(live), "the address does not come back")
    live.ip("switch", "link del lb0")

    until(lambda: reachable(live), "the interface does not come back")


def reachable(live):
    """Whether a client gets to the programs' end."""
    try:
        return bool(live.inside("client0", partial(connect, HERE[4], PORT, 1)).close() or True)
    except ConnectionRefusedError:  # the program that listened is gone; the switch is not
        return True
    except OSError:
        return False
