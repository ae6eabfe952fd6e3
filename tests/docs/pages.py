"""The pages: their links, headings, and the commands in them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PROGRAMS = ("lbctl", "lbctl-agent", "lbctl-resource-manager", "lbctld", "make")


class Command(NamedTuple):
    """A command line on a page."""

    page: str
    line: int
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}:{self.line} {' '.join(self.words)}"


def pages() -> list[str]:
    """Name all pages, from the top of the checkout."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return sorted(str(path.relative_to(ROOT)) for path in found)


def text(page: str) -> str:
    """Read a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def links(page: str) -> list[str]:
    """List what a page links to within the checkout."""
    found = re.findall(r"\]\(([^()\s]+)\)", text(page))
    return [target for target in found if "://" not in target]


def anchors(page: str) -> set[str]:
    """Name the headings of a page as links spell them."""
    headings = re.findall(r"^#+ (.+)$", text(page), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}


def commands(page: str) -> Iterator[Command]:
    """
    Yield the commands of ours on a page; a backslash continues a line.

    An indented block is commands; in one fenced as `console` they stand after `$ `.
    """
    fence = ""
    waiting = ""
    for number, line in enumerate(text(page).splitlines(), 1):
        if line.startswith("```"):
            fence = "" if fence else line
            continue
        if waiting or (fence == "```console" and line.startswith("$ ")):
            waiting += line.removeprefix("$ ")
        elif not fence and line.startswith("    "):
            waiting = line.strip()
        if waiting.endswith("\\"):
            waiting = waiting[:-1]
            continue
        yield from (Command(page, number, words) for words in split(waiting))
        waiting = ""


def split(line: str) -> Iterator[tuple[str, ...]]:
    """Take our commands out of one line of shell."""
    words: list[str] = []
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        tokens = [*lexer, ";"]
    except ValueError:  # output, not a command: a quote without its other half
        return
    for token in tokens:
        if set(token) <= set("|&;()<>"):
            while words and (words[0] == "sudo" or "=" in words[0]):
                words.pop(0)
            if words and Path(words[0]).name in PROGRAMS:
                yield (Path(words[0]).name, *words[1:])
            words = []
        else:
            words.append(token)


def inline(page: str) -> set[str]:
    """List the commands of ours in running text: `lbctl pool add`."""
    prose = re.sub(r"```.*?```", "", text(page), flags=re.DOTALL)
    quoted = set(re.findall(r"`((?:sudo )?(?:lbctl|make)(?: [^`\n]+)?)`", prose))
    return {each.removeprefix("sudo ") for each in quoted}
