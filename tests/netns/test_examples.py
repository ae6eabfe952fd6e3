"""
The examples alive: as programs of the user nobody, asked by sockets, telephones and `dig`.

One at a time: a NIC's queue belongs to one application.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

import examples.dns
from tests.netns.live import PATIENCE, datagrams, switch, until, vip4, vip6
from tests.support.telephone import Telephone, in_dialog, lines, status, value, values

NOBODY = 65534
VIPS = {4: vip4(20), 6: vip6(20).strip("[]")}
ZONE = Path(examples.dns.__file__).parent / "example.net.zone"
CLIENTS = ("client0", "client1")
EVERYWHERE = [(client, family) for client in CLIENTS for family in (4, 6)]


@pytest.fixture(scope="module")
def live():
    """A switch that knows three applications."""
    with switch() as live:
        for name, port in (("echo", 7), ("voip", 5060), ("dns", 53)):
            vips = [f"{vip4(20)}:{port}/udp", f"{vip6(20)}:{port}/udp"]
            live.lbctl(
                *("app", "add", name, "--user", "nobody", "--vip", vips[0], "--vip", vips[1])
            )
        yield live


@contextlib.contextmanager
def running(live, module, name, *words):
    """An example that is ready, as nobody; it is ended, and the switch has seen it."""
    where = str(live.socket.with_suffix(".apps"))
    command = [sys.executable, "-m", f"examples.{module}", "--app", name, "--socket", where, *words]
    process = live.bed.popen(
        None,
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
    )
    try:
        ready = process.stdout.readline()
        assert ready.startswith(f"{name} is ready: "), ready + process.stdout.read()
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE)
        process.stdout.close()
        until(lambda: live.api.app(name)["state"] == "stopped", "its end is not seen")


@pytest.fixture
def echo(live):
    """The echo, which runs."""
    with running(live, "echo", "echo"):
        yield


@pytest.fixture
def proxy(live):
    """The SIP proxy, which runs."""
    with running(live, "sip", "voip", "--domain", "example.net"):
        yield


@pytest.fixture
def responder(live):
    """The DNS responder, which runs."""
    with running(live, "dns", "dns", str(ZONE)):
        yield


@pytest.mark.usefixtures("echo")
def test_the_echo_answers(live):
    """
    Packets of all sizes, many at a time; the kernel of the client finds their checksums right.
    """
    sent = {bytes([size & 255]) * size for size in range(0, 1400, 100)}
    for client, family in EVERYWHERE:
        with closing(live.inside(client, datagrams, family)) as plug:
            for data in sent:
                plug.sendto(data, (VIPS[family], 7))
            got = [plug.recvfrom(2000) for _ in sent]

        assert sent == {data for data, _ in got}
        assert {(VIPS[family], 7)} == {where[:2] for _, where in got}


class Line:
    """A telephone with its socket, and what both say."""

    def __init__(self, live, plug, user, client, family):
        role = next(host for host in live.bed.clients if host.role == client)
        self.plug, self.proxy = plug, (VIPS[family], 5060)
        self.telephone = Telephone(user, str(role.ipv4 if family == 4 else role.ipv6))

    def say(self, message):
        """Send a message to the proxy."""
        self.plug.sendto(message, self.proxy)

    def hear(self):
        """The next message, which comes from the proxy."""
        message, where = self.plug.recvfrom(2000)
        assert self.proxy == where[:2]
        return message

    def ask(self, message):
        """Send a request, and hear its answer."""
        self.say(message)
        return self.hear()


@pytest.mark.usefixtures("proxy")
def test_two_telephones_talk(live):
    """
    From one network to the other: registered, called, answered, ended; who is not there is not.
    """
    for family, names in ((4, ("alice", "bob")), (6, ("carol", "dave"))):
        with contextlib.ExitStack() as stack:
            plugs = [
                stack.enter_context(closing(live.inside(client, datagrams, family, 5060)))
                for client in CLIENTS
            ]
            rows = zip(plugs, names, CLIENTS, strict=True)
            talk(*(Line(live, *row, family) for row in rows))


def talk(caller, called):
    """One call, from its beginning to its end."""
    alice, bob = caller.telephone, called.telephone
    assert 403 == status(caller.ask(alice.request("INVITE", bob.aor)))
    for line in (caller, called):
        answer = line.ask(line.telephone.register())
        assert (200, f"{line.telephone.contact};expires=3600") == (
            status(answer),
            value(answer, "Contact"),
        )
    assert 404 == status(caller.ask(alice.request("INVITE", "sip:nobody@example.net")))

    caller.say(alice.request("INVITE", bob.aor, body="v=0\r\n"))
    invite = called.hear()
    assert bob.contact.strip("<>") in lines(invite)[0]
    called.say(bob.answer(invite, "180 Ringing"))
    assert 180 == status(caller.hear())
    called.say(bob.answer(invite, headers=[f"Contact: {bob.contact}"]))
    answer = caller.hear()
    assert (200, 1) == (status(answer), len(values(answer, "Via")))

    uri, routes, to = in_dialog(answer)
    caller.say(alice.request("ACK", uri, to, headers=routes))
    assert f"ACK {uri} SIP/2.0" == lines(called.hear())[0]
    caller.say(alice.request("BYE", uri, to, 2, headers=routes))
    bye = called.hear()
    assert f"BYE {uri} SIP/2.0" == lines(bye)[0]
    called.say(bob.answer(bye))
    assert 200 == status(caller.hear())


def dig(live, client, family, *words):
    """What dig says of an answer: its status, its flags, and the rest."""
    command = ["dig", f"@{VIPS[family]}", "+tries=2", "+time=10", "+nocmd", *words]
    done = live.bed.run(client, command)
    assert 0 == done.returncode, done.stdout
    assert ";; Warning" not in done.stdout, done.stdout
    return re.search(r"status: (\w+)", done.stdout)[1], done.stdout


@pytest.mark.usefixtures("responder")
def test_dig_takes_the_answers(live):
    """
    Of every kind, from everywhere.
    """
    for client, family in EVERYWHERE:
        take_answers(live, client, family)


def take_answers(live, client, family):
    """Have dig ask for what there is, and for what there is not."""
    for name, kind, expected in (
        ("www.example.net", "A", r"www\S+\s+3600\s+IN\s+CNAME\s+web\S+\n(.*\n)*.*203\.0\.113\.80"),
        ("example.net", "AAAA", r"IN\s+AAAA\s+2001:db8:f::80"),
        ("example.net", "NS", r"IN\s+NS\s+ns2\.example\.net\."),
        ("example.net", "SOA", r"IN\s+SOA\s+ns1\.example\.net\. hostmaster"),
        ("text.example.net", "TXT", r'IN\s+TXT\s+"one screen of" "text"'),
    ):
        how, said = dig(live, client, family, name, kind)
        assert "NOERROR" == how
        assert re.search(expected, said), said
        assert re.search(r"flags: qr aa rd; .*\n(.*\n)*.*EDNS: version: 0, .*udp: 1232", said), said
    how, said = dig(live, client, family, "nobody.example.net")
    assert "NXDOMAIN" == how
    assert re.search(r"AUTHORITY SECTION:\nexample.net.\s+300\s+IN\s+SOA", said), said
    assert "REFUSED" == dig(live, client, family, "example.org")[0]
    _, said = dig(live, client, family, "large.example.net", "TXT", "+ignore", "+noedns")
    assert re.search(r"flags: qr aa tc rd;", said), said


@pytest.mark.usefixtures("responder")
def test_dnspython_takes_the_answers(live):
    """
    Short and long ones; what does not fit is cut, and asked for anew with more room it is whole.
    """
    for client, family in EVERYWHERE:
        with closing(live.inside(client, datagrams, family)) as plug:
            ask = partial(asked, plug, family)
            answer = ask("A", "mail")
            assert ["mail.example.net. 3600 IN A 203.0.113.25"] == list(map(str, answer.answer))
            cut = ask("TXT", "middle")
            assert (True, []) == (bool(cut.flags & dns.flags.TC), cut.answer)
            whole = ask("TXT", "middle", use_edns=0, payload=1232)
            assert (False, 3) == (bool(whole.flags & dns.flags.TC), len(whole.answer[0]))
            assert dns.rcode.NXDOMAIN == ask("A", "nobody").rcode()


def asked(plug, family, kind, name, **options):
    """The answer to a question, which dnspython finds to be one."""
    question = dns.message.make_query(f"{name}.example.net", kind, **options)
    return dns.query.udp(question, VIPS[family], PATIENCE, sock=plug)
