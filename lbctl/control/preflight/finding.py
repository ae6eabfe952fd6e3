"""
The finding: what is wrong with whom, why that matters, and the command that mends it.

Values, and the way from checks to a report; a check that lacks a fact is named as not made, and
never guesses.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from lbctl.model import Model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Value = TypeVar("Value")


class Severity(StrEnum):
    """`error`: packets are lost; `warning`: some are, or will be; `note`: worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Finding(Model):
    """
    One thing that is wrong.

    `subject` and `what` make a sentence: "NIC eth0", "is down".  `cure` is to be typed as it is.
    """

    check: str
    severity: Severity
    subject: str
    what: str
    why: str
    cure: str

    @property
    def line(self) -> str:
        """All that fits into one line."""
        return f"{self.subject} {self.what}; run `{self.cure}`"


class Report(Model):
    """What was found, the worst first; the checks that were made; and those that could not be."""

    findings: tuple[Finding, ...]
    checks: tuple[str, ...]
    not_checked: tuple[str, ...] = ()


class Told(NamedTuple):
    """What a check has to say of its subject."""

    severity: Severity
    what: str
    why: str
    cure: str


class Unknown(Exception):
    """A fact that a check needs is not to be had; the message says why."""


class Subject(Protocol):
    """Facts about one thing; its name is the subject of findings."""

    @property
    def subject(self) -> str:
        """As people call it: "NIC eth0"."""


Facts = TypeVar("Facts", bound=Subject)


def error(what: str, why: str, cure: str) -> Told:
    """Packets are lost."""
    return Told(Severity.ERROR, what, why, cure)


def warning(what: str, why: str, cure: str) -> Told:
    """Some packets are lost, or will be."""
    return Told(Severity.WARNING, what, why, cure)


def note(what: str, why: str, cure: str) -> Told:
    """Worth knowing."""
    return Told(Severity.NOTE, what, why, cure)


def known(value: Value | None, why: str) -> Value:
    """Give a fact.  Raises Unknown with *why* where it is not to be had."""
    if value is None:
        raise Unknown(why)
    return value


class Collection:
    """Checks that were made, and what came of them."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self._made: dict[str, None] = {}
        self._missing: dict[str, None] = {}

    def look(
        self, checks: Iterable[Callable[[Facts], Told | None]], subjects: Iterable[Facts]
    ) -> None:
        """Make each check of each subject; the name of a check is that of its function."""
        rows = list(subjects)
        for check in checks:
            name = check.__name__.replace("_", "-")
            for facts in rows:
                try:
                    told = check(facts)
                except Unknown as why:
                    self._missing[f"{name} of {facts.subject}: {why}"] = None
                    continue
                self.made(name)
                if told:
                    self.add(name, facts.subject, told)

    def made(self, check: str) -> None:
        """Note that a check was made."""
        self._made[check] = None

    def add(self, check: str, subject: str, told: Told) -> None:
        """Note a finding."""
        self.made(check)
        self.findings.append(Finding(check=check, subject=subject, **told._asdict()))

    def has(self, check: str) -> bool:
        """Whether that check found something."""
        return any(finding.check == check for finding in self.findings)

    def sorted(self) -> Iterator[Finding]:
        """The findings, the worst first."""
        for severity in Severity:
            yield from (finding for finding in self.findings if finding.severity is severity)

    def report(self) -> Report:
        """All of it."""
        return Report(
            findings=tuple(self.sorted()),
            checks=tuple(self._made),
            not_checked=tuple(self._missing),
        )
