"""
The choices: which backend a VIP's connections get, and which clients get another one.

HAProxy takes the first `use_backend` whose condition holds, lbctl the rule with the longest prefix.
Both mean the same once a rule is left out whose clients an earlier one has already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lbctl.cli.importing.haproxy import conditions

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from lbctl.cli.importing.haproxy.conditions import Condition
    from lbctl.cli.importing.haproxy.lines import Section, Statement
    from lbctl.cli.importing.remarks import Remarks
    from lbctl.model import IPNetwork, Vip

    Usable = Callable[[str], bool]

UNKNOWABLE = "only addresses and ports decide; these connections go on to the next line that fits"
NO_SERVERS = (
    "no server of it can serve this VIP; these connections go on to the next line that fits"
)
EXCEPTION = "it is an exception to a later line, and a rule cannot name the pool itself"


class Use(NamedTuple):
    """A `use_backend` or `default_backend` line; without a condition it is for all."""

    statement: Statement
    backend: str
    condition: Condition | None


class Way(NamedTuple):
    """Clients that get another backend."""

    clients: IPNetwork
    backend: str


class Choice(NamedTuple):
    """Who gets the connections of a VIP."""

    default: str | None
    ways: tuple[Way, ...]


def uses(section: Section, known: Collection[str], remarks: Remarks) -> list[Use]:
    """All lines of a frontend that choose a backend, in the order in which they are asked."""
    return [*_conditional(section, known, remarks), *_default(section, known, remarks)]


def _conditional(section: Section, known: Collection[str], remarks: Remarks) -> Iterator[Use]:
    named = conditions.acls(section)
    for statement in section.every("use_backend"):
        _, *words = statement.words
        if not words or words[0] not in known:
            remarks.not_taken(statement.line, statement.text, "there is no such backend")
            continue
        try:
            condition = conditions.parse(words[1:], named) if words[1:] else None
        except ValueError as err:
            remarks.not_taken(statement.line, statement.text, str(err))
            continue
        yield Use(statement, words[0], condition)


def _default(section: Section, known: Collection[str], remarks: Remarks) -> Iterator[Use]:
    statement = section.last("default_backend")
    if statement and statement.words[1:2] and statement.words[1] in known:
        yield Use(statement, statement.words[1], None)
    elif statement:
        remarks.not_taken(statement.line, statement.text, "there is no such backend")
    elif section.every("server") and section.name in known:
        yield Use(section.head, section.name, None)


def choose(vip: Vip, lines: Sequence[Use], usable: Usable, remarks: Remarks) -> Choice:
    """Find out who gets the connections of *vip*; *usable* tells whether a backend can serve it."""
    ways: list[tuple[Way, Statement]] = []
    default = None
    for statement, backend, condition in lines:
        answer = condition.answer(vip) if condition else True
        if answer is None:
            remarks.not_taken(statement.line, statement.text, UNKNOWABLE)
        elif answer is False:
            continue
        elif not usable(backend):
            remarks.not_taken(statement.line, statement.text, NO_SERVERS)
        elif answer is True:
            default = backend
            break
        else:
            ways += [(Way(network, backend), statement) for network in _new(answer, ways)]
    for place, (way, statement) in enumerate(ways):
        later = (other.clients for other, _ in ways[place + 1 :])
        if way.backend == default and any(_inside(way.clients, network) for network in later):
            remarks.not_taken(statement.line, statement.text, EXCEPTION)
    return Choice(default, tuple(way for way, _ in ways if way.backend != default))


def _new(
    networks: Sequence[IPNetwork], ways: Sequence[tuple[Way, Statement]]
) -> Iterator[IPNetwork]:
    """Those of *networks* whose clients nobody has yet."""
    taken = [way.clients for way, _ in ways]
    for network in networks:
        if not any(_inside(network, other) for other in taken):
            taken.append(network)
            yield network


def _inside(network: IPNetwork, other: IPNetwork) -> bool:
    """Whether *other* contains *network*."""
    return network.overlaps(other) and network.prefixlen >= other.prefixlen
