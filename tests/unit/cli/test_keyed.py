"""
Words such as `http,path=/healthz,interval=1`: read, refused and written.
"""

from __future__ import annotations

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from lbctl.cli import defaults, keyed
from lbctl.model import AnyCheck, Balance

CHECKS = [
    ("tcp", {"check": "tcp"}),
    (
        "http,path=/healthz,interval=1,fall=2",
        {"check": "http", "path": "/healthz", "interval": 1.0, "fall": 2},
    ),
    ("https,path=/a?b=c", {"check": "https", "path": "/a?b=c"}),
    (r"http,status=200\,204,port=8081", {"check": "http", "status": "200,204", "port": 8081}),
    (r"udp,send=\x00\x01,expect=a\,b", {"check": "udp", "send": r"\x00\x01", "expect": "a,b"}),
    ("tcp,to-vip=true,to_vip2=1", "tcp.to_vip2: there is no such key; check its spelling"),
    ("tcp,to-vip=yes", {"check": "tcp", "to_vip": True}),
    ("script,command=/bin/true -x", {"check": "script", "command": "/bin/true -x"}),
    ("grpc,service=", {"check": "grpc", "service": ""}),
    ("none", "none"),
    ("", "'' is not one of tcp, http, https, udp, icmp, grpc, script"),
    ("ftp", "'ftp' is not one of tcp"),
    ("interval=1", "'interval=1' is not one of tcp"),
    ("tcp,fast", r"'fast' is not KEY=VALUE; a comma in a value is written \,"),
    ("tcp,=1", "'=1' is not KEY=VALUE"),
    ("tcp,", "'' is not KEY=VALUE"),
    ("http,status=200,204", "'204' is not KEY=VALUE"),
    ("tcp,fall=2,fall=3", "fall stands there twice"),
    ("tcp,check=http", "check stands there twice"),
    ("tcp,timeout=5", "timeout 5 is longer than interval 2"),
    ("tcp,interval=nan", "tcp.interval: must be"),
    ("tcp,interval=soon", "tcp.interval: must be"),
    ("script", "script.command: is missing"),
]
OTHERS = [
    (keyed.PASSIVE, "on", {}),
    (keyed.PASSIVE, "none", "none"),
    (keyed.PASSIVE, "failures=3,inhibit_max=60", {"failures": 3, "inhibit_max": 60.0}),
    (keyed.PASSIVE, "off", "'off' is not KEY=VALUE"),
    (keyed.PASSIVE, "ratio=0", "ratio: must be greater than 0"),
    (keyed.BALANCE, "slow-start=30,step=0.2", {"slow_start": 30.0, "step": 0.2}),
    (keyed.BALANCE, "none", "'none' is not KEY=VALUE"),
    (keyed.BALANCE, "pace=1", "pace: there is no such key"),
    (
        keyed.RULE,
        "clients=198.51.100.0/24,pool=staff",
        {"clients": "198.51.100.0/24", "pool": "staff"},
    ),
    (keyed.RULE, "port=443,pool=tls", {"port": 443, "pool": "tls"}),
    (keyed.RULE, "pool=tls", "a rule to pool 'tls' needs clients, a port, or both"),
    (keyed.RULE, "port=443", "pool: is missing"),
    (keyed.RULE, "clients=198.51.100.7/24,pool=a", "has host bits set; write 198.51.100.0/24"),
]


def read(kind, word):
    """Convert a word; gives the data, or what is wrong with it."""
    try:
        return kind.convert(word, None, None)
    except click.BadParameter as err:
        return err.message


@pytest.mark.parametrize(
    ("kind", "word", "expected"),
    [*((keyed.CHECK, *case) for case in CHECKS), *OTHERS],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_words(kind, word, expected):
    """
    They give what was said and no more, or one line that says what is wrong.
    """
    found = read(kind, word)

    if isinstance(expected, str):
        assert expected in found
        assert "\n" not in found
    else:
        assert expected == found


TEXT = st.text("abc,=/ 7", min_size=1)


@given(
    body=TEXT,
    status=st.lists(st.integers(100, 599), min_size=1, max_size=3),
    interval=st.floats(1, 3600),
    verify=st.booleans(),
)
def test_what_is_written_can_be_read(body, status, interval, verify):
    """
    Commas, equals signs and every digit of a number survive.
    """
    said = {
        "check": "http",
        "body": body,
        "status": ",".join(map(str, status)),
        "interval": interval,
        "verify": verify,
    }

    assert said == read(keyed.CHECK, keyed.check_text(said))


@pytest.mark.parametrize("kind", defaults.CHECKS)
def test_what_is_as_usual_is_left_out(kind):
    """
    A check is its kind and what differs; what is left out, the model puts back.
    """
    needed = {"command": "/bin/true"} if kind == "script" else {}
    check = TypeAdapter(AnyCheck).validate_python({"check": kind, "fall": 7, **needed})
    short = defaults.check(check.model_dump(mode="json"))

    assert {"check": kind, "fall": 7, **needed} == short
    assert check == TypeAdapter(AnyCheck).validate_python(short)


def test_every_kind_of_check_has_a_class():
    """
    The list follows the model.
    """
    assert ["tcp", "http", "https", "udp", "icmp", "grpc", "script"] == list(defaults.CHECKS)
    assert {} == defaults.unusual(Balance, Balance().model_dump(mode="json"))
