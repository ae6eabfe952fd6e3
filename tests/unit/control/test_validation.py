"""A wrong value is one line that names the field."""

from __future__ import annotations

import tracemalloc

import pytest
from pydantic import ValidationError

from lbctl.control.validation import usage_error
from lbctl.errors import UsageError
from lbctl.model import Configuration

BACKEND = {"address": "10.0.1.11:8080"}
CASES = {
    "a misspelt key": (
        {"pools": [{"name": "web", "forwrad": "nat"}]},
        "pools[0].forwrad: there is no such key; check its spelling",
    ),
    "a number too large": (
        {
            "pools": [
                {
                    "name": "web",
                    "backends": [BACKEND, {"address": "10.0.1.12:8080", "weight": 70000}],
                }
            ]
        },
        "pools[0].backends[1].weight: must be less than or equal to 65535, not 70000",
    ),
    "a word that is none of the choices": (
        {"pools": [{"name": "web", "forward": "magic"}]},
        "pools[0].forward: must be 'nat' or 'dsr', not 'magic'",
    ),
    "a missing key": ({"pools": [{}]}, "pools[0].name: is missing"),
    "a name with a space": (
        {"pools": [{"name": "we b"}]},
        "pools[0].name: 'we b' is not a name; use at most 63 letters, digits, '.', '_' and '-'",
    ),
    "a VIP without protocol": (
        {"pools": [{"name": "web", "vips": ["203.0.113.10:80"]}]},
        "pools[0].vips[0]: '203.0.113.10:80' is not ADDRESS:PORT/PROTOCOL; add /tcp or /udp",
    ),
    "a contradiction": (
        {"pools": [{"name": "web"}, {"name": "web"}]},
        "pool 'web' is named twice",
    ),
    "a mapping instead of a list": (
        {"pools": {"name": "web"}},
        "pools: must be a list, not {'name': 'web'}",
    ),
    "a word instead of a number": (
        {"pools": [{"name": "web", "table_size": "large"}]},
        "pools[0].table_size: must be a whole number, not 'large'",
    ),
    "a name too long for a NIC": (
        {"nics": [{"name": "a-name-too-long-for-linux"}]},
        "nics[0].name: string should have at most 15 characters, not 'a-name-too-long-for-linux'",
    ),
    "a check that there is not": (
        {"pools": [{"name": "web", "health": {"check": "smoke"}}]},
        (
            "pools[0].health: check must be one of 'tcp', 'http', 'https', 'udp', 'icmp', 'grpc', "
            "'script', not 'smoke'"
        ),
    ),
    "a check of no kind": (
        {"pools": [{"name": "web", "health": {"path": "/"}}]},
        "pools[0].health: check is missing",
    ),
    "a value of a check": (
        {"pools": [{"name": "web", "health": {"check": "http", "interval": "soon"}}]},
        "pools[0].health.interval: must be a number, not 'soon'",
    ),
    "a check that contradicts itself": (
        {"pools": [{"name": "web", "health": {"check": "tcp", "interval": 0.1}}]},
        (
            "pools[0].health: timeout 1 is longer than interval 0.1; "
            "a check must end before the next one begins"
        ),
    ),
    "no scheduler": (
        {"pools": [{"name": "web", "scheduler": "9 lives"}]},
        (
            "pools[0].scheduler: must be 'maglev', 'rr', 'wrr', 'lc', 'wlc', 'sh', 'least-load', "
            "'least-response-time' or 'p2c', not '9 lives' (and 1 more)"
        ),
    ),
    "several at once": (
        {"pools": [{"name": "web", "a": 1, "b": 2, "c": 3}]},
        "pools[0].a: there is no such key; check its spelling (and 2 more)",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_first_wrong_value_is_described(case):
    """Exit status 2, the field, what it must be, what it is."""
    given, text = case
    with pytest.raises(ValidationError) as caught:
        Configuration.model_validate(given)

    error = usage_error(caught.value.errors())

    assert (type(error), str(error)) == (UsageError, text)


def test_a_long_value_is_cut():
    """One line stays one line."""
    with pytest.raises(ValidationError) as caught:
        Configuration.model_validate({"pools": "x" * 999})

    assert len(str(usage_error(caught.value.errors()))) < 120


def test_a_huge_value_is_not_written_out():
    """It would take its time and room, to be cut afterwards."""
    huge = {"type": "tuple_type", "loc": ("pools",), "msg": "", "input": ["x" * 5_000_000] * 9}

    tracemalloc.start()
    assert str(usage_error([huge])).startswith("pools: must be a list, not ['xxx")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000
