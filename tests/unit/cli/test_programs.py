"""
Pseudo interfaces and network applications on the command line: words, calls, tables, files.
"""

from __future__ import annotations

import json
from unittest.mock import call

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lbctl.model import Configuration, OnExit
from tests.unit.cli import program_answers
from tests.unit.cli.test_completion import offered

VIP, OTHER = "203.0.113.20:5060/udp", "[2001:db8::20]:5060/udp"
CHANGES = [
    (
        "pseudo add lb0 --address 203.0.113.1 --address 2001:db8:0::1/64",
        call.add_pseudo({"name": "lb0", "addresses": ["203.0.113.1/32", "2001:db8::1/64"]}),
        "pseudo lb0: added, addresses: 2; try curl --interface 203.0.113.1 http://ADDRESS/",
    ),
    (
        "pseudo add lb0 --address 203.0.113.1/32 --mtu 1400",
        call.add_pseudo({"name": "lb0", "addresses": ["203.0.113.1/32"], "mtu": 1400}),
        "pseudo lb0: added, addresses: 2; try curl --interface 203.0.113.1 http://ADDRESS/",
    ),
    (
        "pseudo add lb0 --address 203.0.113.1/32 --mtu auto",
        call.add_pseudo({"name": "lb0", "addresses": ["203.0.113.1/32"]}),
        "pseudo lb0: added, addresses: 2; try curl --interface 203.0.113.1 http://ADDRESS/",
    ),
    (
        "pseudo set lb0 --mtu auto",
        call.set_pseudo("lb0", {"mtu": None}),
        "pseudo lb0: changed",
    ),
    (
        "pseudo set lb0 --add-address 203.0.113.2 --remove-address 203.0.113.1 --mtu 9000",
        call.set_pseudo(
            "lb0",
            {
                "add_addresses": ["203.0.113.2/32"],
                "remove_addresses": ["203.0.113.1/32"],
                "mtu": 9000,
            },
        ),
        "pseudo lb0: changed",
    ),
    (
        "pseudo set lb0 --address 203.0.113.3/24",
        call.set_pseudo("lb0", {"addresses": ["203.0.113.3/24"]}),
        "pseudo lb0: changed",
    ),
    ("pseudo remove lb0", call.remove_pseudo("lb0"), "pseudo lb0: removed"),
    (
        f"app add voip --vip {VIP}",
        call.add_app({"name": "voip", "vips": [VIP]}),
        "app voip: added, VIPs: 1, may be run by root",
    ),
    (
        f"""app add voip --vip {VIP} --vip {OTHER} --nic eth1 --nic eth2 --queue 0 --queue 3
        --user voip --on-exit drop --frames 64 --frame-size 4096 --hung-after 0""",
        call.add_app(
            {
                "name": "voip",
                "vips": [VIP, OTHER],
                "nics": ["eth1", "eth2"],
                "queues": [0, 3],
                "user": "voip",
                "on_exit": "drop",
                "frames": 64,
                "frame_size": 4096,
                "hung_after": 0.0,
            }
        ),
        "app voip: added, VIPs: 1, may be run by root",
    ),
    (
        "app set voip --nic all --queue all",
        call.set_app("voip", {"nics": [], "queues": []}),
        "app voip: changed",
    ),
    (
        f"app set voip --add-vip {OTHER} --remove-vip {VIP}",
        call.set_app("voip", {"add_vips": [OTHER], "remove_vips": [VIP]}),
        "app voip: changed",
    ),
    ("app set voip --vip " + OTHER, call.set_app("voip", {"vips": [OTHER]}), "app voip: changed"),
    ("app remove voip", call.remove_app("voip"), "app voip: removed"),
]
QUESTIONS = {
    "pseudo list": (call.pseudo_interfaces(), "pseudo_interfaces"),
    "pseudo show": (call.pseudo_interfaces(), "pseudo_interfaces"),
    "pseudo show lb0": (call.pseudo_interface("lb0"), "pseudo_interface"),
    "app list": (call.apps(), "apps"),
    "app show voip": (call.app("voip"), "app"),
}
SHOWN = """\
name         lb0
addresses    203.0.113.1/32,2001:db8::1/128
state        up
mtu          1500
inner-end    lb0-s
packets-in   12
packets-out  34
next         curl --interface 203.0.113.1 http://ADDRESS/

VERDICT         PACKETS
FROM_PSEUDO          34
TO_BACKEND_NEW        2
"""
PLAIN = {
    "pseudo list": """\
NAME  ADDRESSES                        MTU  STATE  PACKETS-IN  PACKETS-OUT
lb0   203.0.113.1/32,2001:db8::1/128  1500  up             12           34
""",
    "pseudo show": SHOWN,
    "pseudo show lb0": SHOWN,
    "app list": """\
NAME  VIPS                   USER  STATE     PID  PACKETS  LOST
voip  203.0.113.20:5060/udp  voip  running  4711     1209     9
dns   [2001:db8::53]:53/udp  root  stopped     -        0     0
""",
    "app show voip": """\
name        voip
vips        203.0.113.20:5060/udp
nics        all
queues      0,1
user        voip
on-exit     reset
frames      8192
frame-size  2048
hung-after  5
state       running
pid         4711
run-by      voip
since       2025-01-02T03:04:05Z
exits       1
hung-count  0
packets     1209
lost        9

NIC   QUEUE  ZERO-COPY  RECEIVED  TRANSMITTED  RX-RING-FULL  FILL-EMPTY
eth1      0  yes            1200          800             7           2
eth1      1  no             1200          800             -           -

VERDICT        PACKETS
TO_APP            1209
DROP_APP_GONE        3
""",
}


@pytest.mark.parametrize(("words", "expected", "said"), CHANGES, ids=[row[0] for row in CHANGES])
def test_changes(run, fake, words, expected, said):
    """
    One call with what was said and nothing else, one sentence.
    """
    result = run(*words.split())

    assert (0, f"{said}\n", "") == (result.exit_code, result.stdout, result.stderr)
    assert [expected] == fake.mock_calls


@pytest.mark.parametrize("words", QUESTIONS)
def test_questions(run, fake, words):
    """
    One call that changes nothing; JSON and YAML are the answer itself.
    """
    expected, answer = QUESTIONS[words]

    assert program_answers.ANSWERS[answer] == json.loads(run(*words.split(), "-o", "json").stdout)
    assert program_answers.ANSWERS[answer] == yaml.safe_load(
        run(*words.split(), "-o", "yaml").stdout
    )
    assert [expected, expected] == fake.mock_calls


@pytest.mark.parametrize("words", PLAIN)
def test_plain_on_a_pipe(run, words):
    """
    Aligned columns that awk can read.
    """
    assert PLAIN[words] == run(*words.split()).stdout


def test_an_app_that_does_not_run(run, fake):
    """
    No empty tables, and what to type to start it.
    """
    fake.app.return_value = program_answers.IDLE
    shown = run("app", "show", "dns").stdout

    assert "\n\n" not in shown
    assert "queues      all\n" in shown
    assert "hung-after  never\n" in shown
    assert shown.endswith(
        'next        sudo -u root python3 PROGRAM  # that has netif.open("dns")\n'
    )


@pytest.mark.parametrize(
    ("words", "method", "hint"),
    [
        ("pseudo list", "pseudo_interfaces", "add one with `lbctl pseudo add NAME --address"),
        ("pseudo show", "pseudo_interfaces", "add one with `lbctl pseudo add NAME --address"),
        ("app list", "apps", "add one with `lbctl app add NAME --vip ADDR:PORT/PROTO`"),
    ],
)
def test_nothing_to_show(run, fake, words, method, hint):
    """
    No data on standard output, a hint beside it.
    """
    getattr(fake, method).return_value = []
    result = run(*words.split())

    assert (0, "") == (result.exit_code, result.stdout)
    assert hint in result.stderr


def test_status_without_programs(run, fake):
    """
    No tables of what there is not.
    """
    fake.status.return_value.update(pseudo=[], apps=[])
    shown = run("status").stdout

    assert "PSEUDO" not in shown
    assert "APP" not in shown


WRONG = [
    ("pseudo add lb0", "Missing option '--address'"),
    ("pseudo add lb0 --address 203.0.113", "'203.0.113' is not an address such as 203.0.113.1/32"),
    ("pseudo add lb0 --address 127.0.0.1", "not a unicast address that a packet can be sent to"),
    ("pseudo add lb0 --address 203.0.113.1 --mtu 68", "1280<=x<=65535"),
    ("pseudo set lb0 --mtu large", "'large' is not a valid integer"),
    ("pseudo set lb0", "Say what to change; see `lbctl pseudo set --help`"),
    ("app add voip", "Missing option '--vip'"),
    (f"app add voip --vip {VIP} --queue 64", "0<=x<=63"),
    (f"app add voip --vip {VIP} --queue first", "'first' is not a valid integer"),
    (f"app add voip --vip {VIP} --on-exit wait", "not one of reset, drop, kernel"),
    (f"app add voip --vip {VIP} --frame-size 1500", "'1500' is not one of '2048', '4096'"),
    (f"app add voip --vip {VIP} --frames 8", "64<=x<=1048576"),
    ("app set voip --hung-after nan", "'nan' is not a number"),
    ("app set voip --nic all --nic eth1", "--nic all stands alone; see `lbctl app set --help`"),
    ("app set voip --queue 1 --queue all", "--queue all stands alone"),
    ("app set voip", "Say what to change"),
    ("app show", "Missing argument 'APP'"),
]


@pytest.mark.parametrize(("words", "said"), WRONG, ids=[row[0] for row in WRONG])
def test_wrong_usage(run, fake, words, said):
    """
    Exit status 2, one line that says what is wrong, and nobody is asked.
    """
    result = run(*words.split())

    assert (2, "", 1) == (result.exit_code, result.stdout, result.stderr.count("\n"))
    assert said in result.stderr
    assert [] == fake.mock_calls


def test_completion(daemon):
    """
    The daemon knows the names; the choices are known anyway.
    """
    daemon.answers["GET", "/v1/apps"] = (200, [{"name": "voip"}, {"name": "dns"}])
    daemon.answers["GET", "/v1/pseudo"] = (200, [{"name": "lb0"}])
    words = ["--socket", daemon.socket]

    assert ["voip"] == offered([*words, "app", "show"], "v")
    assert ["lb0"] == offered([*words, "pseudo", "set"], "")
    assert ["reset", "drop", "kernel"] == offered(["app", "add", "--on-exit"], "")
    assert ["add", "list", "remove", "set", "show"] == offered(["pseudo"], "")


NAMES = st.from_regex(r"[a-z][a-z0-9._-]{0,10}", fullmatch=True)
HOSTS = st.integers(0xCB007100, 0xCB0071FF)  # of 203.0.113.0/24


def _vip(number, protocol):
    return f"203.0.113.{number & 0xFF}:{1 + (number >> 8) % 65535}/{protocol}"


@st.composite
def configurations(draw):
    """Make a whole configuration with programs of all kinds."""
    places = draw(st.lists(st.integers(0, 1 << 20), unique_by=_place, max_size=4))
    apps = [
        {
            "name": f"app{number}",
            "vips": [_vip(place, draw(st.sampled_from(["tcp", "udp"])))],
            "queues": draw(st.lists(st.integers(0, 63), max_size=2)),
            "on_exit": draw(st.sampled_from([*map(str, OnExit)])),
            "frame_size": draw(st.sampled_from([2048, 4096])),
            "hung_after": draw(st.floats(0, 3600)),
            "user": draw(st.sampled_from(["root", "voip", "1000"])),
        }
        for number, place in enumerate(places)
    ]
    hosts = draw(st.lists(HOSTS, unique=True, max_size=3))
    pseudo = [
        {
            "name": f"lb{number}",
            "addresses": [f"203.0.113.{host & 0xFF}/{draw(st.integers(24, 32))}"],
            "mtu": draw(st.none() | st.integers(1280, 65535)),
        }
        for number, host in enumerate(hosts)
    ]
    processors = [
        {"name": draw(NAMES), "role": "application", "cpus": [3], "apps": [app["name"]]}
        for app in apps[:1]
    ]
    return Configuration.model_validate(
        {"apps": apps, "pseudo": pseudo, "processors": processors}
    ).model_dump(mode="json")


def _place(number):
    return _vip(number, "any")


@given(configurations())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_export_leaves_nothing_out_that_matters(run, fake, configuration):
    """
    `export | apply` sends back exactly what the daemon has.
    """
    fake.reset_mock()
    fake.configuration.return_value = configuration
    result = run("apply", "-f", "-", stdin=run("export").stdout)

    assert 0 == result.exit_code, result.stderr
    fake.apply.assert_called_once_with(configuration, dry_run=False, force=False)


def test_export_is_short(run, fake):
    """
    What is as usual is not there.
    """
    app = {"name": "voip", "vips": [VIP]}
    pseudo = {"name": "lb0", "addresses": ["203.0.113.1/32"]}
    full = Configuration.model_validate({"apps": [app], "pseudo": [pseudo]})
    fake.configuration.return_value = full.model_dump(mode="json")
    exported = yaml.safe_load(run("export").stdout)

    assert [app] == exported["apps"]
    assert [pseudo] == exported["pseudo"]
    assert "processors" not in exported
