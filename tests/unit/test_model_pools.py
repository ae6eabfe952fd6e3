"""The model of pools that serve for each other: rules, backups, quorum; and who is refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from lbctl.model import Backend, Configuration, OnDown, Pool, Rule, State, Vip

WEB = {"name": "web", "vips": ["203.0.113.10:80/tcp"], "backends": [{"address": "10.0.1.11:8080"}]}
SPARE = {"name": "spare", "backends": [{"address": "10.0.2.1:8080"}]}
SIX = {"name": "six", "backends": [{"address": "[2001:db8::1]:8080"}]}
DSR = {"name": "dsr", "forward": "dsr"}
CLIENTS = {"clients": "198.51.100.0/24"}


def refusal(kind, value) -> str:
    """The sentence with which *kind* refuses *value*."""
    with pytest.raises(ValidationError) as caught:
        kind.model_validate(value)
    message = caught.value.errors()[0]["msg"]
    assert "\n" not in message
    return message.removeprefix("Value error, ")


def refused_with(*others: dict, **fields) -> str:
    """The sentence with which the pool web is refused beside *others*."""
    return refusal(Configuration, {"pools": [WEB | fields, *others]})


def test_nothing_of_it_is_on_by_default():
    """A name is all that must be said."""
    plain = Pool(name="web")

    assert (None, None, None, ()) == (plain.health, plain.passive, plain.backup, plain.rules)
    assert (0, 0, OnDown.KEEP) == (plain.quorum, plain.panic, plain.on_down)
    assert State.MAINTENANCE is Backend(address="10.0.1.11:80", state="maintenance").state


@pytest.mark.parametrize(
    ("fields", "because"),
    [
        ({"quorum": -1}, "greater than or equal to 0"),
        ({"panic": 1.1}, "less than or equal to 1"),
        ({"panic": -0.1}, "greater than or equal to 0"),
        ({"on_down": "panic"}, "Input should be 'keep' or 'reset'"),
        ({"backup": "a pool"}, "should match pattern"),
        ({"scheduler": "9 lives"}, "Input should be 'maglev'"),
        (
            {"rules": [{"pool": "spare"}]},
            "a rule to pool 'spare' needs clients, a port, or both",
        ),
        (
            {"rules": [CLIENTS | {"pool": "one"}, CLIENTS | {"pool": "two"}]},
            "pool 'web': there are two rules for the same: clients 198.51.100.0/24 to pool one",
        ),
        (
            {
                "rules": [
                    {"clients": "0.0.0.0/0", "port": 80, "pool": "a"},
                    {"port": 80, "pool": "b"},
                ]
            },
            "pool 'web': there are two rules for the same: clients 0.0.0.0/0 port 80 to pool a",
        ),
        (
            {"rules": [{"clients": "2001:db8::/32", "pool": "spare"}]},
            "VIPs, back-ends and clients in rules must be of one address family; make one pool for",
        ),
        (
            {"rules": [{"clients": "198.51.100.7/24", "pool": "spare"}]},
            "198.51.100.7/24: has host bits set; write 198.51.100.0/24",
        ),
        ({"rules": [{"clients": "me", "pool": "spare"}]}, "'me' is not a prefix such as"),
        ({"rules": [{"port": 0, "pool": "spare"}]}, "greater than or equal to 1"),
    ],
)
def test_a_pool_that_cannot_be(fields, because):
    """
    The sentence names the pool and the value.
    """
    assert because in refusal(Pool, WEB | fields)


def test_a_rule_is_written_as_people_say_it():
    """In differences and errors."""
    rules = (
        CLIENTS | {"pool": "a"},
        {"port": 443, "pool": "b"},
        CLIENTS | {"port": 1, "pool": "c"},
    )

    assert [
        "clients 198.51.100.0/24 to pool a",
        "port 443 to pool b",
        "clients 198.51.100.0/24 port 1 to pool c",
    ] == [str(Rule.model_validate(rule)) for rule in rules]


def test_a_plugin_may_be_a_scheduler():
    """Whether there is one of that name only the control processor can tell."""
    assert "night-shift" == Pool(name="web", scheduler="night-shift").scheduler


REFERENCES = {
    "a backup that is not there": (
        refused_with,
        {"backup": "spare"},
        (),
        "pool 'web': backup pool 'spare': there is no such pool",
    ),
    "a backup of itself": (
        refused_with,
        {"backup": "web"},
        (),
        "pool 'web': backup pool 'web': that is the pool itself",
    ),
    "backups in a circle": (
        refused_with,
        {"backup": "spare"},
        (SPARE | {"backup": "web"},),
        "pool 'web': backup pool 'spare': would in the end be a backup of itself",
    ),
    "a long circle": (
        refused_with,
        {"backup": "spare"},
        (SPARE | {"backup": "last"}, {"name": "last", "backup": "web"}),
        "pool 'web': backup pool 'spare': would in the end be a backup of itself",
    ),
    "a circle of others": (
        refused_with,
        {"backup": "spare"},
        (SPARE | {"backup": "last"}, {"name": "last", "backup": "spare"}),
        "pool 'spare': backup pool 'last': would in the end be a backup of itself",
    ),
    "a backup of the other family": (
        refused_with,
        {"backup": "six"},
        (SIX,),
        "pool 'web': backup pool 'six': is of the other address family",
    ),
    "a backup that forwards otherwise": (
        refused_with,
        {"backup": "dsr"},
        (DSR,),
        "pool 'web': backup pool 'dsr': forwards by dsr, this one by nat",
    ),
    "a rule to a pool that is not there": (
        refused_with,
        {"rules": [CLIENTS | {"pool": "spare"}]},
        (),
        "pool 'web': rule to pool 'spare': there is no such pool",
    ),
    "a rule to the pool itself": (
        refused_with,
        {"rules": [CLIENTS | {"pool": "web"}]},
        (),
        "pool 'web': rule to pool 'web': that is the pool itself",
    ),
    "a rule to a pool with rules": (
        refused_with,
        {"rules": [CLIENTS | {"pool": "spare"}]},
        (SPARE | {"rules": [CLIENTS | {"pool": "last"}]}, {"name": "last"}),
        "pool 'web': rule to pool 'spare': has rules of its own, which would not be followed",
    ),
    "a rule with a port for a VIP with one": (
        refused_with,
        {"rules": [{"port": 443, "pool": "spare"}]},
        (SPARE,),
        "pool 'web': rules with a port need VIPs with port *, for any other has one port only",
    ),
}


@pytest.mark.parametrize("case", REFERENCES.values(), ids=REFERENCES)
def test_a_pool_that_cannot_serve_for_another_is_refused(case):
    """
    Both are named, and why.
    """
    refused, fields, others, because = case

    assert because == refused(*others, **fields)


def test_what_pools_may_be_to_each_other():
    """A backup with a backup, and rules of a pool that has a backup, too."""
    configuration = Configuration.model_validate(
        {
            "pools": [
                WEB
                | {
                    "vips": ["203.0.113.10:*/tcp"],
                    "backup": "spare",
                    "rules": [CLIENTS | {"port": 443, "pool": "special"}],
                },
                SPARE | {"backup": "last"},
                {"name": "last"},
                {"name": "special", "backup": "last"},
                {"name": "other", "vips": ["203.0.113.11:80/tcp"], "backup": "special"},
            ]
        }
    )
    names = {
        pool.name: [other.name for other in configuration.stand_ins(pool)]
        for pool in configuration.pools
    }

    assert {
        "web": ["web", "special", "spare", "last"],
        "spare": ["spare", "last"],
        "last": ["last"],
        "special": ["special", "last"],
        "other": ["other", "special", "last"],
    } == names


def test_the_vips_that_lead_to_a_pool():
    """Its own, those of pools whose rules name it, and those that it is a backup of."""
    configuration = Configuration.model_validate(
        {
            "pools": [
                WEB | {"rules": [CLIENTS | {"pool": "special"}]},
                {"name": "special", "backup": "last"},
                {"name": "last", "vips": ["203.0.113.11:80/tcp"]},
                {"name": "alone"},
            ]
        }
    )
    web, last = (Vip.parse(f"203.0.113.{n}:80/tcp") for n in (10, 11))

    assert {
        "web": (web,),
        "special": (web,),
        "last": (web, last),
        "alone": (),
    } == configuration.vips_by_pool()


def test_an_agent_is_named_once():
    """By its address."""
    agent = {"address": "10.0.1.11:9777", "kind": "orca"}

    assert "agent 10.0.1.11:9777 is named twice" == refusal(
        Configuration, {"agents": [agent, agent | {"interval": 5}]}
    )


def test_the_resource_manager_is_here_or_elsewhere():
    """Nothing else."""
    assert "Input should be 'local' or 'remote'" in refusal(
        Configuration, {"settings": {"resource_manager": "nowhere"}}
    )
