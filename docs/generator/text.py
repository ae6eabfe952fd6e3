"""The text: Markdown that looks the same in a checkout, on a forge and in the site."""

from __future__ import annotations

import inspect
import re
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WIDTH = 100
NOTHING = "\N{EN DASH}"  # in a cell


def safe(words: str) -> str:
    """Escape in running text what Markdown would take for markup; what is in backticks stays."""
    parts = re.split(r"(`[^`]*`)", " ".join(words.split()))
    for i in range(0, len(parts), 2):
        parts[i] = parts[i].replace("<", "&lt;").replace("*", r"\*").replace("|", r"\|")
    return "".join(parts)


def code(words: str) -> str:
    """*words* as code; nothing where there are none."""
    return f"`{words}`" if words else ""


def choices(words: Iterable[str]) -> str:
    """Each of several words as code: a bar would end the cell of a table."""
    return ", ".join(code(word) for word in words)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a table; columns in which no row has anything are left out, no rows give nothing."""
    found = [tuple(row) for row in rows]
    kept = [i for i in range(len(head)) if any(row[i] for row in found)]
    if not found:
        return ""
    lines = [head, ["---"] * len(head), *found]
    return "".join("| " + " | ".join(line[i] or NOTHING for i in kept) + " |\n" for line in lines)


def paragraphs(words: str) -> str:
    """Paragraphs of a docstring or a help text, wrapped; what it sets line by line stays so."""
    parts = inspect.cleandoc(words).replace("``", "`").split("\n\n")
    return "\n\n".join(_paragraph(part) for part in parts if part.strip())


def _paragraph(words: str) -> str:
    if words.startswith("\b"):
        return fenced("text", words.removeprefix("\b\n"))
    return textwrap.fill(safe(words), WIDTH, break_long_words=False, break_on_hyphens=False)


def fenced(kind: str, words: str) -> str:
    """A block of code."""
    return f"```{kind}\n{words.strip(chr(10))}\n```"


def join(*parts: str) -> str:
    """Blocks of a page, with one empty line between those that there are."""
    return "\n\n".join(part.strip("\n") for part in parts if part.strip())
