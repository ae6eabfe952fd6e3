"""The model of checks, agents and balance: what is accepted, and the sentence for what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from lbctl.model import Agent, AnyCheck, Balance, Passive, Pool, SocketAddress

CHECKS = {
    "tcp": {},
    "http": {"path": "/", "host": None, "status": "200-399", "body": None, "verify": False},
    "https": {"path": "/", "host": None, "status": "200-399", "body": None, "verify": False},
    "udp": {"send": "", "expect": None},
    "icmp": {},
    "grpc": {"service": ""},
    "script": {"command": "/usr/bin/true"},
}
TIMES = {"interval": 2, "timeout": 1, "rise": 2, "fall": 3, "jitter": 0.1}
COMMON = TIMES | {"port": None, "to_vip": False}
ANY = TypeAdapter(AnyCheck)


def refusal(kind, value) -> str:
    """The sentence with which *kind* refuses *value*."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    message = caught.value.errors()[0]["msg"]
    assert "\n" not in message
    return message.removeprefix("Value error, ")


@pytest.mark.parametrize("kind", CHECKS)
def test_a_kind_is_all_that_must_be_said_of_a_check(kind):
    """
    But for a script, which must be named; it goes out and back unchanged.
    """
    given_ = {"check": kind} | ({"command": "/usr/bin/true"} if kind == "script" else {})

    check = ANY.validate_python(given_)

    assert {"check": kind, **COMMON, **CHECKS[kind]} == check.model_dump()
    assert check == ANY.validate_json(check.model_dump_json())


@pytest.mark.parametrize(
    ("fields", "because"),
    [
        ({"check": "smoke"}, "does not match any of the expected tags: 'tcp', 'http'"),
        ({"path": "/"}, "Unable to extract tag"),
        ({"check": "tcp", "path": "/"}, "Extra inputs are not permitted"),
        (
            {"check": "tcp", "interval": 0.5},
            "timeout 1 is longer than interval 0.5; a check must end before the next one begins",
        ),
        ({"check": "tcp", "interval": 0.01}, "greater than or equal to 0.05"),
        ({"check": "tcp", "rise": 0}, "greater than or equal to 1"),
        ({"check": "tcp", "fall": 101}, "less than or equal to 100"),
        ({"check": "tcp", "jitter": 0.6}, "less than or equal to 0.5"),
        ({"check": "tcp", "port": 65536}, "less than or equal to 65535"),
        ({"check": "http", "path": "up"}, "should match pattern"),
        ({"check": "http", "path": "/a b"}, "should match pattern"),
        ({"check": "http", "path": "/\r\nHost: x"}, "should match pattern"),
        ({"check": "http", "host": "a\nb"}, "should match pattern"),
        ({"check": "http", "body": ""}, "at least 1 character"),
        ({"check": "http", "status": "ok"}, "'ok' is not like 200-399 or 200,204"),
        ({"check": "http", "status": "299-200"}, "'299-200' is not like 200-399 or 200,204"),
        ({"check": "http", "status": "200,"}, "'200,' is not like 200-399 or 200,204"),
        ({"check": "http", "status": "600"}, "'600' is not like 200-399 or 200,204"),
        ({"check": "script"}, "Field required"),
        ({"check": "script", "command": "true"}, "should match pattern"),
        ({"check": "script", "command": "/bin/a\n/bin/b"}, "should match pattern"),
    ],
)
def test_a_check_that_cannot_be(fields, because):
    """
    Refused with the value in it.
    """
    assert because in refusal(AnyCheck, fields)


@given(st.integers(100, 599))
def test_a_status_is_accepted_by_number_or_span(status):
    """
    As it is written.
    """
    check = ANY.validate_python({"check": "http", "status": "200-299,404"})

    assert check.accepts(status) == (200 <= status <= 299 or status == 404)


@pytest.mark.parametrize(
    ("fields", "because"),
    [
        ({"failures": 0}, "greater than or equal to 1"),
        ({"ratio": 0}, "greater than 0"),
        ({"ratio": 1.5}, "less than or equal to 1"),
        ({"window": 0}, "greater than or equal to 0.05"),
        ({"inhibit": 0.5}, "greater than or equal to 1"),
        ({"inhibit_max": 1e6}, "less than or equal to 86400"),
    ],
)
def test_passive_health_that_cannot_be(fields, because):
    """
    Each figure has its range.
    """
    assert because in refusal(Passive, fields)


@pytest.mark.parametrize(
    ("fields", "because"),
    [
        ({"interval": 0.01}, "greater than or equal to 0.1"),
        ({"smoothing": -1}, "greater than or equal to 0"),
        ({"dead_band": 0.6}, "less than or equal to 0.5"),
        ({"step": 0}, "greater than 0"),
        ({"floor": 2}, "less than or equal to 1"),
        ({"slow_start": -1}, "greater than or equal to 0"),
    ],
)
def test_a_balance_that_cannot_be(fields, because):
    """
    Each figure has its range.
    """
    assert because in refusal(Balance, fields)


def test_balance_is_calm_by_default():
    """
    Small differences move nothing, large ones in steps, and nobody starves.
    """
    balance = Pool(name="web").balance

    assert 0 < balance.dead_band < balance.step < 1
    assert 0 < balance.floor
    assert 0 == balance.slow_start


@pytest.mark.parametrize(
    ("fields", "because"),
    [
        ({}, "agent 10.0.1.11:9777: kind lbctl needs a key_file"),
        ({"kind": "push"}, "agent 10.0.1.11:9777: kind push needs a key_file"),
        (
            {"kind": "haproxy", "key_file": "/etc/lbctl/key"},
            "agent 10.0.1.11:9777: kind haproxy cannot be signed; no key_file",
        ),
        ({"kind": "snmp"}, "Input should be 'lbctl', 'push', 'haproxy'"),
        ({"kind": "orca", "path": "load"}, "should match pattern"),
        ({"key_file": "key"}, "should match pattern"),
        ({"kind": "orca", "interval": 0}, "greater than or equal to 0.1"),
        ({"kind": "orca", "stale": 0}, "greater than or equal to 0.5"),
        ({"kind": "orca", "backends": ["10.0.1.11"]}, "is not ADDRESS:PORT"),
    ],
)
def test_an_agent_that_cannot_be(fields, because):
    """
    Named by its address.
    """
    assert because in refusal(Agent, {"address": "10.0.1.11:9777"} | fields)


def test_an_agent_tells_of_the_servers_at_its_own_address():
    """
    Unless it names others.
    """
    agent = Agent(address="10.0.1.11:9777", key_file="/etc/lbctl/key")

    assert ("lbctl", ()) == (agent.kind, agent.backends)
    named = Agent(address="10.0.1.11:9777", kind="orca", backends=["10.0.1.12:80"])
    assert (SocketAddress.parse("10.0.1.12:80"),) == named.backends
