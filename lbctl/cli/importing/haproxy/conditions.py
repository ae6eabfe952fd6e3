"""
The conditions: what `if` and `unless` mean for one VIP.

Its address and port are known, so tests of `dst` and `dst_port` are true or false.  What is left
are the addresses of clients; everything else lbctl cannot know, for it does not look into what
clients say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING, NamedTuple

from lbctl.cli.importing.haproxy import units

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lbctl.cli.importing.haproxy.lines import Section
    from lbctl.model import IPNetwork, Vip

    Networks = tuple[IPNetwork, ...]
    # True or false for everybody, true for clients there, or None: it cannot be known.
    Answer = bool | Networks | None

PREDEFINED: dict[str, tuple[str, ...]] = {
    "TRUE": ("always_true",),
    "FALSE": ("always_false",),
    "LOCALHOST": ("src", "127.0.0.0/8", "::1"),
}
CONSTANT = {"always_true": True, "always_false": False}
COMPARE = ("eq", "lt", "le", "gt", "ge")


class Test(NamedTuple):
    """One test of a condition."""

    negated: bool
    words: tuple[tuple[str, ...], ...]  # of each acl line of that name: any may hold


@dataclass(frozen=True)
class Condition:
    """Tests joined by `and` in groups joined by `or`."""

    unless: bool
    groups: tuple[tuple[Test, ...], ...]

    def answer(self, vip: Vip) -> Answer:
        """What it means for *vip*."""
        answers = [_all([_test(test, vip) for test in group]) for group in self.groups]
        found = _any(answers)
        if not self.unless:
            return found
        return not found if isinstance(found, bool) else None


def acls(section: Section) -> dict[str, tuple[tuple[str, ...], ...]]:
    """The tests by name; lines of one name are joined by `or`."""
    found: dict[str, tuple[tuple[str, ...], ...]] = {
        name: (words,) for name, words in PREDEFINED.items()
    }
    for statement in section.every("acl"):
        if len(statement.words) > 2:
            name = statement.words[1]
            found[name] = (*found.get(name, ()), statement.words[2:])
    return found


def parse(words: Sequence[str], named: Mapping[str, tuple[tuple[str, ...], ...]]) -> Condition:
    """Read `if A B or !C`.  Raises ValueError if it makes no sense."""
    if words[0] not in ("if", "unless") or len(words) == 1:
        raise ValueError("after the backend must come `if` or `unless` and a condition")
    groups: list[list[Test]] = [[]]
    rest = [*reversed(words[1:])]  # so that the next one is popped from the end
    while rest:
        if rest[-1] in ("or", "||"):
            rest.pop()
            groups.append([])
        else:
            groups[-1].append(_pop_test(rest, named))
    if not all(groups):
        raise ValueError("a test is missing")
    return Condition(words[0] == "unless", tuple(map(tuple, groups)))


def _pop_test(rest: list[str], named: Mapping[str, tuple[tuple[str, ...], ...]]) -> Test:
    """Take a test from the end of *rest*: `A`, `!A`, `{ src 198.51.100.0/24 }`."""
    word, negated = rest.pop(), False
    while word.startswith("!"):
        negated, word = not negated, word[1:] or (rest.pop() if rest else "")
    if word in named:
        return Test(negated, named[word])
    if word != "{":
        raise ValueError(f"there is no acl {word!r}")
    if "}" not in rest:
        raise ValueError("a { is not closed")
    inside: list[str] = []
    while (word := rest.pop()) != "}":
        inside.append(word)
    return Test(negated, (tuple(inside),))


def _test(test: Test, vip: Vip) -> Answer:
    found = _any([_line(words, vip) for words in test.words])
    if not test.negated:
        return found
    return not found if isinstance(found, bool) else None


def _line(words: Sequence[str], vip: Vip) -> Answer:
    """What one acl line means for *vip*."""
    if not words or any(word.startswith("-") and word != "--" for word in words[1:]):
        return None  # a file of values, or another way of matching
    kind, values = words[0], [word for word in words[1:] if word != "--"]
    if kind == "dst_port":
        return _port(values, vip.port)
    if kind in ("src", "dst"):
        return _address(kind, values, vip)
    return CONSTANT.get(kind)


def _address(kind: str, values: Sequence[str], vip: Vip) -> Answer:
    """Compare addresses: the VIP's own for `dst`, those of clients for `src`."""
    networks = [_network(value) for value in values]
    if any(network is None for network in networks):
        return None
    same = tuple(net for net in networks if net and net.version == vip.address.version)
    if kind == "dst":
        return any(vip.address in network for network in same)
    return any(network.prefixlen == 0 for network in same) or same or False


def _network(text: str) -> IPNetwork | None:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return None
    if "%" in text:  # a scope: link-local clients do not come through a switch
        return None
    return None if getattr(network.network_address, "ipv4_mapped", None) else network


def _port(values: Sequence[str], port: int) -> bool | None:
    """Compare a port: `80`, `8000:8010`, `ge 1024`."""
    how, matched = "eq", False
    for value in values:
        if value in COMPARE:
            how = value
            continue
        found = re.fullmatch(r"([0-9]+)(?::([0-9]+))?", value)
        low = units.number(found[1], 0, 65535) if found else None
        high = units.number(found[2], 0, 65535) if found and found[2] else low
        if low is None or high is None:
            return None
        matched |= {
            "eq": low <= port <= high,
            "lt": port < low,
            "le": port <= low,
            "gt": port > high,
            "ge": port >= high,
        }[how]
    return matched


def _any(answers: Sequence[Answer]) -> Answer:
    """Join by `or`."""
    if any(answer is True for answer in answers):
        return True
    if any(answer is None for answer in answers):
        return None
    networks = [
        network for answer in answers if not isinstance(answer, bool) for network in answer or ()
    ]
    return tuple(dict.fromkeys(networks)) or False


def _all(answers: Sequence[Answer]) -> Answer:
    """Join by `and`."""
    if any(answer is False for answer in answers):
        return False
    if any(answer is None for answer in answers):
        return None
    found: Answer = True
    for answer in answers:
        if isinstance(answer, tuple):
            found = _both(found, answer) if isinstance(found, tuple) else answer
    return found or False


def _both(one: Networks, other: Networks) -> Networks:
    """The networks that are in both: of two that overlap, one contains the other."""
    narrow = [
        a if a.prefixlen >= b.prefixlen else b
        for a in one
        for b in other
        if a.version == b.version and a.overlaps(b)
    ]
    return tuple(dict.fromkeys(narrow))
