"""
What is printed: JSON as documented, plain columns on a pipe, drawings on a terminal.
"""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout, suppress

import pytest
import yaml

from lbctl.cli import cli, render
from tests.unit.cli.answers import ANSWERS

PRINTING = {
    "status": "status",
    "pool list": "pools",
    "pool show web": "pool",
    "vip list": "vips",
    "backend list": "backends",
    "health list": "health",
    "health check web 10.0.1.11:8080": "check_health",
    "agent list": "agents",
    "agent show 10.0.1.11:9150": "agent",
    "events": "events",
    "route list": "routes",
    "neighbor list": "neighbors",
    "connection list": "connections",
    "connection count": "count_connections",
    "generations": "generations",
    "rollback 7": "rollback",
    "stats": "stats",
    "drops": "drops",
    "export": "configuration",
}
PLAIN = {
    "status": """\
name         default
version      0.1.0
generation   7 (buffer B)
pools        1
back-ends    1 active, 1 draining, 0 down, 0 maintenance
connections  12 of 65536

NIC   MODE      PROGRAM           PACKETS  DROPS
eth1  native    938c70b5e007bfbb  1234567      3
eth2  detached  -                       0      0

PSEUDO  ADDRESSES                       STATE
lb0     203.0.113.1/32,2001:db8::1/128  up

APP   VIPS                   STATE    PACKETS
voip  203.0.113.20:5060/udp  running     1209

warning: NIC eth2 is not attached; run `lbctl attach eth2`
""",
    "pool list": """\
NAME  VIPS                                      FORWARD  SCHEDULER  ACTIVE  CONNECTIONS
web   203.0.113.10:80/tcp,203.0.113.10:443/tcp  nat      maglev        1/2         1239
""",
    "pool show web": """\
name        web
vips        203.0.113.10:80/tcp,203.0.113.10:443/tcp
forward     nat
scheduler   maglev
on-unknown  reset
table-size  65537

ADDRESS         STATE     WEIGHT  GIVEN  CONNECTIONS  NEW/S
10.0.1.11:8080  active         1  33.3%            5   12.2
10.0.1.12:8080  draining       2   0.0%         1234    0.0
""",
    "vip list": """\
VIP                    POOL  APP   CONNECTIONS
203.0.113.10:80/tcp    web   -               5
203.0.113.20:5060/udp  -     voip            -
""",
    "backend list": """\
POOL  ADDRESS         STATE     WEIGHT  SHARE  CONNECTIONS
web   10.0.1.11:8080  active         1  33.3%            5
web   10.0.1.12:8080  draining       2   0.0%         1234
""",
    "health list": """\
POOL  ADDRESS         CHECK  UP       SINCE                 OK  FAIL  RESPONSE  REASON
web   10.0.1.11:8080  http   up       2025-01-02T03:04:05Z   7     0     1.2ms  status 200
web   10.0.1.12:8080  http   down     2025-01-02T03:04:07Z   0     3         -  connection refused
web   10.0.1.13:8080  http   unknown  2025-01-02T03:04:08Z   0     0         -  -
""",
    "health check web 10.0.1.11:8080": "well: status 200\n",
    "agent list": """\
ADDRESS         KIND   STATE    AGE  CPU  MEMORY  CLIENTS  WEIGHT   WISH  PROBLEM
10.0.1.11:9150  lbctl  fresh    0.4  25%     50%        7     75%  drain  -
10.0.1.12:9150  push   waiting    -    -       -        -       -      -  signed with another key
""",
    "agent show 10.0.1.11:9150": """\
address              10.0.1.11:9150
kind                 lbctl
state                fresh
back-ends            10.0.1.11:8080
age                  0.4
answers              42
failures             1
refused              0
problem              -
cpu                  25%
memory               50%
clients              7
requests-per-second  120.5
execution-time       4.0ms
weight               75%
wish                 drain
reason               backup at night
""",
    "events": """\
TIME                  KIND    SUBJECT             TEXT
2025-01-02T03:04:05Z  health  web 10.0.1.12:8080  active -> down: connection refused
2025-01-02T03:04:06Z  pool    web                 backup sorry serves
""",
    "route list": """\
PREFIX       NEXT-HOP      NIC   MAC                STATE
10.0.1.0/24  -             eth2  -                  resolved
::/0         2001:db8::ff  eth1  02:00:00:00:00:01  unresolved
""",
    "neighbor list": """\
ADDRESS    NIC   MAC                STATE      USED-BY
10.0.1.11  eth2  02:00:00:00:01:0b  reachable  pool web,10.0.2.0/24
""",
    "connection list": """\
PROTOCOL  CLIENT              VIP                  BACKEND         STATE        IDLE  POOL
tcp       198.51.100.7:40000  203.0.113.10:80/tcp  10.0.1.11:8080  established   1.2  web
""",
    "connection count": "42\n",
    "generations": """\
GENERATION  ACTIVE  TIME                  WHO     WHAT
         8  *       2025-01-02T03:04:05Z  alice   pool add web
         7  -       2025-01-02T03:00:00Z  lbctld  new, empty
""",
    "stats": """\
NIC   VERDICT     PACKETS  BYTES
eth1  TO_BACKEND      100   6400
eth1  TO_KERNEL         7    420

POOL  VIP                  VERDICT          PACKETS
web   203.0.113.10:80/tcp  ECHO_REPLY             5
web   203.0.113.10:80/tcp  RESET                  9
web   203.0.113.10:80/tcp  DROP_NO_BACKEND       40

POOL  VIP                  BACKEND         NEW  ANSWERS  RETRIES  RESETS
web   203.0.113.10:80/tcp  10.0.1.11:8080   12       11        2       1

POOL  VIP                  BACKEND         PACKETS-IN  BYTES-IN  PACKETS-OUT  BYTES-OUT
web   203.0.113.10:80/tcp  10.0.1.11:8080         100      6400           90      90000
""",
    "drops": """\
REASON          NIC   PACKETS  BYTES
DROP_MALFORMED  eth1        3    180

DROP_MALFORMED: Headers that contradict each other or end too early, for a VIP.  \
The sender is broken.
To see such packets: `lbctl capture --verdict DROP_MALFORMED`; what becomes of one: `lbctl explain`
""",
}


@pytest.mark.parametrize("words", PLAIN)
def test_plain_on_a_pipe(run, words):
    """
    Aligned columns that awk can read: no colour, no boxes, nothing at the end of a line.
    """
    assert PLAIN[words] == run(*words.split()).stdout


@pytest.mark.parametrize("words", PRINTING)
def test_json_is_the_answer_itself(run, words):
    """
    Names and numbers as documented: nothing is renamed, rounded or left out.
    """
    result = run(*words.split(), "-o", "json")

    assert (0, "") == (result.exit_code, result.stderr)
    assert ANSWERS[PRINTING[words]] == json.loads(result.stdout)


@pytest.mark.parametrize("words", PRINTING)
def test_yaml_is_the_same(run, words):
    """
    The same data in the same order.
    """
    data = yaml.safe_load(run(*words.split(), "-o", "yaml").stdout)

    assert json.dumps(ANSWERS[PRINTING[words]]) == json.dumps(data)


EMPTY = {
    "pool list": ("pools", "no pools; add one with `lbctl pool add`\n"),
    "vip list": ("vips", "no pools; add one with `lbctl pool add`\n"),
    "backend list": ("backends", "no back-ends; add one with `lbctl backend add`\n"),
    "health list": (
        "health",
        "nothing is checked; begin with `lbctl pool set POOL --check tcp`\n",
    ),
    "agent list": ("agents", "no load agents; add one with `lbctl agent add`\n"),
    "events": ("events", "nothing has happened yet\n"),
    "route list": ("routes", "no routes; see `ip route` and `lbctl status`\n"),
    "neighbor list": ("neighbors", "no neighbors are needed\n"),
    "connection list": ("connections", "no connections\n"),
    "drops": ("drops", "no packet was discarded\n"),
}


@pytest.mark.parametrize("words", EMPTY)
def test_nothing_to_show(run, fake, words):
    """
    No data on standard output, a hint beside it; as JSON an empty list.
    """
    method, hint = EMPTY[words]
    getattr(fake, method).return_value = []
    result = run(*words.split())

    assert ("", hint) == (result.stdout, result.stderr)
    assert [] == json.loads(run(*words.split(), "-o", "json").stdout)


def test_what_a_terminal_would_obey_is_shown_as_text(run, fake):
    """
    Names of users come from anybody on the machine.
    """
    fake.generations.return_value[0]["who"] = "\x1b[2Jeve\n"

    assert r"\x1b[2Jeve\n" in run("generations").stdout


class Terminal(io.StringIO):
    """A standard output that people look at."""

    def isatty(self):
        """
        Yes.
        """
        return True


@pytest.fixture
def draw(fake, monkeypatch):
    """
    Run `lbctl` with its output on a terminal of 100 columns; gives what is to be seen there.
    """
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")

    def run_words(*words):
        screen = Terminal()
        with redirect_stdout(screen), redirect_stderr(screen), suppress(SystemExit):
            cli(words, obj=fake)
        return screen.getvalue()

    return run_words


@pytest.mark.parametrize("words", PLAIN)
def test_tables_on_a_terminal(draw, fake, words):
    """
    Every word that a pipe gets is there, `[2001:db8::1]` included.
    """
    fake.vips.return_value[0]["vip"] = "[2001:db8::1]:80/tcp"
    drawn = draw(*words.split())

    expected = PLAIN[words]
    if words == "vip list":
        expected = expected.replace("203.0.113.10:80/tcp", "[2001:db8::1]:80/tcp")
    assert [] == [word for word in expected.split() if word not in drawn]


def test_colour_on_a_terminal(draw):
    """
    States are seen at a glance.
    """
    assert "\x1b[33mdraining" in draw("pool", "show", "web")


def test_no_colour_where_none_is_wanted(draw, monkeypatch):
    """
    NO_COLOR, as everywhere.
    """
    monkeypatch.setenv("NO_COLOR", "1")

    assert "\x1b[3" not in draw("pool", "show", "web")


def test_json_on_a_terminal_is_plain(draw):
    """
    It is to be copied.
    """
    assert ANSWERS["pools"] == json.loads(draw("pool", "list", "-o", "json"))


@pytest.fixture
def three_looks(fake, monkeypatch):
    """
    The counters grow by 50 packets from look to look, two seconds apart; then comes Ctrl-C.
    """
    clock = iter([100.0, 102.0, 104.0])
    monkeypatch.setattr(render.time, "monotonic", lambda: next(clock))
    pauses = []
    monkeypatch.setattr(render.time, "sleep", pauses.append)
    looks = [
        [{"reason": "DROP_MALFORMED", "packets": 100 + n, "bytes": 0, "nic": "eth1"}]
        for n in (0, 50, 100)
    ]
    looks[1].append({"reason": "DROP_NO_BACKEND", "packets": 8, "bytes": 0, "nic": "eth1"})
    fake.drops.side_effect = [*looks, KeyboardInterrupt]
    return pauses


@pytest.mark.usefixtures("three_looks")
def test_watch_on_a_pipe(run):
    """
    Table after table, from the second on with the rate; a verdict that is new counts from 0.
    """
    result = run("drops", "--watch")

    assert 130 == result.exit_code
    assert [
        """\
REASON          NIC   PACKETS  BYTES
DROP_MALFORMED  eth1      100      0""",
        """\
REASON           NIC   PACKETS  BYTES  PACKETS/S
DROP_MALFORMED   eth1      150      0         25
DROP_NO_BACKEND  eth1        8      0          4""",
        """\
REASON          NIC   PACKETS  BYTES  PACKETS/S
DROP_MALFORMED  eth1      200      0         25""",
    ] == [block for block in result.stdout.split("\n\n") if block.startswith("REASON")]


def test_watch_as_json(run, three_looks):
    """
    One line for each look.
    """
    result = run("drops", "--watch", "--interval", "2", "-o", "json")

    assert [100, 150, 200] == [
        json.loads(line)[0]["packets"] for line in result.stdout.splitlines()
    ]
    assert [2.0, 2.0, 2.0] == three_looks


@pytest.mark.usefixtures("three_looks")
def test_watch_as_yaml(run):
    """
    One document for each look.
    """
    documents = yaml.safe_load_all(run("drops", "--watch", "-o", "yaml").stdout)

    assert [100, 150, 200] == [data[0]["packets"] for data in documents]


@pytest.mark.usefixtures("three_looks")
def test_watch_on_a_terminal(draw):
    """
    One screen that is drawn again, and given back at the end.
    """
    screen = draw("drops", "--watch")

    assert "200" in screen
    assert screen.index("\x1b[?1049h") < screen.index("200") < screen.index("\x1b[?1049l")


@pytest.mark.usefixtures("three_looks")
def test_rates_of_stats(run, fake):
    """
    All tables have one.
    """
    fake.stats.side_effect = [ANSWERS["stats"], ANSWERS["stats"], KeyboardInterrupt]
    second = run("stats", "--watch").stdout.split("NIC   VERDICT")[2]

    rates = [line.split()[-1] for line in second.splitlines() if "POOL" in line]
    assert ["PACKETS/S", "NEW/S", "PACKETS-IN/S"] == rates
    assert "PACKETS/S" in second.splitlines()[0]
