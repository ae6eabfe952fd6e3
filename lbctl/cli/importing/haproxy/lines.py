"""The lines of a haproxy.cfg: split them into words and sections, as HAProxy's manual has it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lbctl.cli.importing.remarks import Remarks

PROXIES = ("frontend", "backend", "listen")
DEFAULTS, GLOBAL = "defaults", "global"
NOT_INHERITED = ("bind", "server", "server-template", "dispatch", "acl", "use_backend")
FOREIGN = {  # sections that have nothing to do with who balances what
    *("peers", "resolvers", "mailers", "userlist", "program", "http-errors", "ring", "traces"),
    *("log-forward", "log-profile", "cache", "fcgi-app", "crt-list", "crt-store", "acme"),
}
NO_SUCH_SECTION = "lbctl has nothing that does the work of such a section"
OUTSIDE = "it stands before the first section"
CONDITIONAL = "lines between .if and .endif are not taken; write out what holds"
ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
# A word's piece: escaped byte, escaped character, quoted text (weak, strong), or anything else.
PIECE = re.compile(
    r"""\\x(?P<byte>[0-9A-Fa-f]{2})|\\(?P<escaped>.)"""
    r"""|"(?P<weak>(?:[^"\\]|\\.)*)"|'(?P<strong>[^']*)'"""
    r"""|(?P<space>\s+)|(?P<comment>\#.*)|(?P<plain>[^\s\\"'\#]+)""",
    re.VERBOSE,
)


class Statement(NamedTuple):
    """A line of a section."""

    line: int
    words: tuple[str, ...]

    @property
    def text(self) -> str:
        """The words with single spaces."""
        return " ".join(self.words)

    def begins(self, words: Sequence[str]) -> bool:
        """Whether these are the first words."""
        return self.words[: len(words)] == tuple(words)


@dataclass
class Section:
    """A section: its kind, name and own lines, and the defaults that hold for it."""

    kind: str
    name: str
    head: Statement
    base: Section | None = None
    own: list[Statement] = field(default_factory=list)

    @property
    def statements(self) -> list[Statement]:
        """All lines that hold: those of the defaults first."""
        inherited = self.base.own if self.base else []
        return [*(s for s in inherited if s.words[0] not in NOT_INHERITED), *self.own]

    def last(self, *words: str) -> Statement | None:
        """The line with these first words that holds: the last, unless `no` takes it back."""
        for statement in reversed(self.statements):
            if statement.begins(words):
                return statement
            if statement.begins(("no", *words)):
                return None
        return None

    def every(self, *words: str) -> list[Statement]:
        """All lines with these first words."""
        return [statement for statement in self.statements if statement.begins(words)]

    @property
    def mode(self) -> str:
        """What the proxy does: tcp, unless it is said."""
        said = self.last("mode")
        return said.words[1] if said and len(said.words) > 1 else "tcp"


def split(text: str) -> tuple[str, ...]:
    """Split a line into words.  Raises ValueError where a quote is not closed."""
    words: list[str] = []
    inside, place = False, 0
    while place < len(text):
        piece = PIECE.match(text, place)
        if not piece:
            raise ValueError("a quote is not closed")
        place = piece.end()
        if piece["comment"] is not None:
            break
        if piece["space"] is not None:
            inside = False
            continue
        if not inside:
            words.append("")
            inside = True
        words[-1] += _plain(piece)
    return tuple(words)


def _plain(piece: re.Match[str]) -> str:
    """What a piece of a word stands for; variables stay as they are."""
    if piece["byte"]:
        return chr(int(piece["byte"], 16))
    if piece["escaped"]:
        return ESCAPES.get(piece["escaped"], piece["escaped"])
    if piece["weak"] is not None:
        return re.sub(r"\\(.)", lambda found: ESCAPES.get(found[1], found[1]), piece["weak"])
    return piece["strong"] if piece["strong"] is not None else piece["plain"]


def sections(text: str, remarks: Remarks) -> list[Section]:
    """Read all sections: global, defaults and proxies; of the others it is said that they go."""
    found: list[Section] = []
    current: Section | None = None
    foreign = OUTSIDE
    for statement in _unconditional(_statements(text, remarks), remarks.not_taken):
        word = statement.words[0]
        if word in (GLOBAL, DEFAULTS, *PROXIES):
            current = _begin(statement, found, remarks)
            found.append(current)
        elif word in FOREIGN:
            current, foreign = None, NO_SUCH_SECTION
            remarks.not_taken(statement.line, statement.text, foreign)
        elif current:
            current.own.append(statement)
        else:
            remarks.not_taken(statement.line, statement.text, foreign)
    return found


def _statements(text: str, remarks: Remarks) -> Iterator[Statement]:
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            words = split(line)
        except ValueError as err:
            remarks.not_taken(number, line.strip(), str(err))
            continue
        if words:
            yield Statement(number, words)


def _unconditional(
    statements: Iterator[Statement], not_taken: Callable[[int, str, str], None]
) -> Iterator[Statement]:
    """Leave out what stands between .if and .endif."""
    depth = 0
    for statement in statements:
        word = statement.words[0]
        depth += word == ".if"
        if depth or word.startswith("."):
            not_taken(statement.line, statement.text, CONDITIONAL)
        else:
            yield statement
        depth -= word == ".endif" and depth > 0


def _begin(head: Statement, before: Sequence[Section], remarks: Remarks) -> Section:
    """Begin a section, with the defaults that it names, or those that came last."""
    kind, *rest = head.words
    named = rest.pop(rest.index("from") + 1) if "from" in rest[:-1] else ""
    rest = [word for word in rest if word != "from"]
    known = [section for section in before if section.kind == DEFAULTS]
    base = None
    if named:
        base = next((section for section in known if section.name == named), None)
        if not base:
            remarks.not_taken(head.line, f"from {named}", "there are no defaults of that name")
    elif known and kind in PROXIES:
        base = known[-1]
    section = Section(kind, rest[0] if rest else "", head, base)
    if kind in PROXIES and not rest:
        remarks.not_taken(head.line, head.text, "a proxy must have a name")
    if kind in ("frontend", "listen") and rest[1:]:  # an address, as it was written long ago
        section.own.append(Statement(head.line, ("bind", *rest[1:])))
    return section
